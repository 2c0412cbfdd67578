"""Whose things are whose: the label on everything that netproof makes, and the sweep by it.

Every container, network, volume, cluster and namespace carries `LABEL=<run id>`. The run id holds the process
id and its start time, so that a later run can tell a crashed run's leftovers from a living neighbour's things.
"""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path

LABEL = "netproof.run"
CLUSTER_LABEL = "netproof.cluster"
"""On a cluster's own Docker network, with the cluster's name. It lives and goes with the cluster, whose run and
keep mark are in clusters.records, because kind lets us set no label on its nodes and Docker lets none change."""
FAKE_NODE_LABEL = "netproof.fake-node"
"""On Node objects that have no machine; the value is the run that made them."""


def _start_ticks(pid: int) -> int | None:
    """The kernel's start time of a process (field 22 of /proc/PID/stat), None where there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return int(stat.rpartition(")")[2].split()[19])


@cache
def _here() -> str:
    """Where process ids mean what they mean to us: this machine and process namespace, as a short name."""
    machine = Path("/etc/machine-id")
    name = machine.read_text().strip() if machine.exists() else ""
    return sha256(f"{name or platform.node()} {Path('/proc/self/ns/pid').readlink()}".encode()).hexdigest()[:8]


@dataclass(frozen=True)
class RunId:
    """A run by process id, start time (clock ticks since boot) and machine: unique until the machine restarts."""

    pid: int
    ticks: int
    machine: str

    @classmethod
    def current(cls) -> RunId:
        """This process's run."""
        return cls.of(os.getpid())

    @classmethod
    def of(cls, pid: int) -> RunId:
        """The run of a process on this machine that lives now."""
        return cls(pid, _start_ticks(pid) or 0, _here())

    @classmethod
    def parse(cls, text: str) -> RunId:
        """Read what `str` wrote; ValueError for anything else."""
        pid, ticks, machine = text.split("-")
        return cls(int(pid), int(ticks), machine)

    def alive(self) -> bool:
        """Whether the process of that run still lives; of another machine's we cannot tell, and say yes."""
        return self.machine != _here() or _start_ticks(self.pid) == self.ticks

    def __str__(self) -> str:
        return f"{self.pid}-{self.ticks}-{self.machine}"


HOLDER = "NETPROOF_HOLDER"
"""In the environment: the run of the command that this one is a leg of."""


def holder() -> RunId | None:
    """The command that this run is a leg of, if any."""
    text = os.environ.get(HOLDER)
    return RunId.parse(text) if text else None


def is_over(run: str) -> bool:
    """Whether this is the id of a run that lives no more; False for what is nobody's id."""
    try:
        return not RunId.parse(run).alive()
    except ValueError:
        return False
