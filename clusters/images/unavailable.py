"""The error of images that cannot be had."""

from __future__ import annotations

from clusters.model import HostCannot


class ImagesUnavailable(HostCannot):
    """An image cannot be had from the chosen source; the message says why and what would help."""
