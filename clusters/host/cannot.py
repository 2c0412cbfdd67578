"""The error of a host that lacks something."""

from __future__ import annotations


class HostCannot(Exception):
    """This host lacks what was asked of it; the message says what, and how to get it. Exit status 3."""
