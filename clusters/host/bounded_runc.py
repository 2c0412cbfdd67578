"""An OCI runtime in front of runc that asks only for capabilities which this host has to give.

Docker gives a privileged container every capability that the kernel knows. Where the host's own bounding set
is shorter, as in many virtual machines and containers, runc then refuses to start it. Installed as Docker's
default runtime, this script takes the missing ones out of what runc is about to read. It stands alone, because
it is copied to a place outside of the project, and imports little, because every container and exec starts it.
"""

from __future__ import annotations

import json
import os
import sys
from itertools import pairwise
from typing import Any

# fmt: off
NAMES = (
    "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
    "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER",
    "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE",
    "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP",
    "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF",
    "CHECKPOINT_RESTORE",
)
# fmt: on
"""Capabilities in the kernel's order: the place is the bit."""


def given(status: str) -> set[str]:
    """The names of the capabilities in the bounding set, from the text of a /proc/PID/status."""
    line = next(line for line in status.splitlines() if line.startswith("CapBnd:"))
    mask = int(line.split()[1], 16)
    return {"CAP_" + name for bit, name in enumerate(NAMES) if mask >> bit & 1}


def bound(spec: dict[str, Any], allowed: set[str]) -> None:
    """Take the capabilities that are not in `allowed` out of an OCI config.json or exec process, in place."""
    sets = (spec.get("process") or spec).get("capabilities") or {}
    for kind, names in sets.items():
        sets[kind] = [name for name in names if name in allowed]


def spec_path(arguments: list[str]) -> str | None:
    """The file that runc is about to read capabilities from; None for a command that reads none."""
    words = [part for word in arguments for part in (word.split("=", 1) if word.startswith("-") else [word])]
    options = dict(pairwise(words))
    if "exec" in words:
        return options.get("--process", options.get("-p"))
    if "create" in words or "run" in words:
        return os.path.join(options.get("--bundle", options.get("-b", ".")), "config.json")
    return None


def main(arguments: list[str]) -> None:
    """Bound the file that runc will read, and become runc."""
    path = spec_path(arguments)
    if path is not None:
        with open("/proc/self/status") as file:
            allowed = given(file.read())
        with open(path) as file:
            spec = json.load(file)
        bound(spec, allowed)
        with open(path, "w") as file:
            json.dump(spec, file)
    os.execvp("runc", ["runc", *arguments])


if __name__ == "__main__":
    main(sys.argv[1:])
