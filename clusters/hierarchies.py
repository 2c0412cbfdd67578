"""cgroup v1 hierarchies that a kind node stumbles over.

A node is given the hierarchies that its host has mounted. Its own systemd then mounts every other one that the
kernel knows, and its kubelet refuses to start, because nobody has made its cgroup there. Such a hierarchy is left
over when somebody mounted it once, made a cgroup in it, and unmounted it again.
"""

from __future__ import annotations

from pathlib import Path

from clusters.host import Facts
from clusters.model import HostCannot


def require_none_stray(facts: Facts) -> None:
    """HostCannot where the engine is on this machine and kind's nodes would fail; the message says the remedy."""
    if facts.cgroup_version != 1 or not facts.address.startswith("unix://"):
        return
    found = stray(Path("/proc/cgroups").read_text(), Path("/proc/mounts").read_text())
    if found:
        names = ", ".join(found)
        raise HostCannot(
            f"the cgroup v1 hierarchies of {names} exist, but are not mounted on this host, so kubelet would not"
            " start in kind's nodes. Something mounted them once and left a cgroup in them. Find it with, as root:"
            f" mount -t cgroup -o {found[0]} none /mnt; find /mnt -mindepth 1 -type d. Remove the empty cgroups"
            " with rmdir and unmount it again, each in turn; or mount them below /sys/fs/cgroup for good"
        )


def stray(cgroups: str, mounts: str) -> list[str]:
    """The controllers in a v1 hierarchy that is mounted nowhere, from /proc/cgroups and /proc/mounts as text."""
    mounted: set[str] = set()
    for line in mounts.splitlines():
        _, _, kind, options, *_ = line.split()
        if kind == "cgroup":
            mounted.update(options.split(","))
    rows = [line.split() for line in cgroups.splitlines() if not line.startswith("#")]
    return [
        name for name, hierarchy, _, enabled in rows if hierarchy != "0" and enabled == "1" and name not in mounted
    ]
