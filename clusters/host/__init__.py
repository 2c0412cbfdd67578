"""The host and its Docker engine: found, measured, and made ready where that is ours to do."""

from clusters.host.engine import Engine, Facts, Reach, client, facts, find
from clusters.model import HostCannot

__all__ = ["Engine", "Facts", "HostCannot", "Reach", "client", "facts", "find"]
