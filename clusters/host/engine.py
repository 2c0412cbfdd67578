"""The Docker engine that we work against: where it is, whether it answers, and what it says of itself."""

from __future__ import annotations

import os
import socket
import struct
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import docker
from docker.context import ContextAPI
from docker.errors import DockerException

from clusters.host.bounded_runc import NAMES, given
from clusters.model import HostCannot

LOCAL = "unix:///var/run/docker.sock"
"""Where an engine of this machine listens unless told otherwise; the only place where we ever start one."""


class Reach(StrEnum):
    """How far we get to an engine."""

    ANSWERS = "answers"
    FORBIDDEN = "forbidden"
    """Its socket is there, and not for this user."""
    SILENT = "silent"
    """Nothing listens."""


@dataclass(frozen=True)
class Engine:
    """An engine by its address (as DOCKER_HOST would name it), and how far we get to it."""

    address: str
    reach: Reach
    detail: str = ""
    """What was said when it does not answer."""

    @property
    def chosen(self) -> bool:
        """Whether somebody chose this engine (DOCKER_HOST or a Docker context): then it is never ours to start."""
        return self.address != LOCAL


@dataclass(frozen=True)
class Facts:
    """What an engine's host is like, as far as setting up a cluster depends on it."""

    address: str
    version: str
    storage_driver: str
    data_root: Path
    kernel: str
    system: str
    cgroup_version: int
    rootless: bool
    cpus: int
    memory: int
    """Bytes."""
    missing_capabilities: frozenset[str]
    """Capabilities (`CAP_…`) that the kernel knows and the engine cannot give, even to a privileged container."""


def client(timeout: float = 60.0) -> docker.DockerClient:
    """A client of the engine that the `docker` command would speak to: DOCKER_HOST, else the Docker context.

    `timeout` is in seconds and holds for each request. Raises HostCannot where the engine does not answer.
    """
    try:
        return _connect(timeout)
    except (DockerException, OSError) as error:
        raise HostCannot(f"no Docker engine answers at {address()}: {_said(error)}") from error


def _connect(timeout: float) -> docker.DockerClient:
    if os.environ.get("DOCKER_HOST"):
        return docker.DockerClient.from_env(timeout=int(timeout))
    return docker.DockerClient(**ContextAPI.kwargs_from_context(), timeout=int(timeout))


def address() -> str:
    """Where that engine is, as DOCKER_HOST would name it."""
    context = ContextAPI.kwargs_from_context()
    return os.environ.get("DOCKER_HOST") or str(context.get("base_url") or LOCAL)


def find() -> Engine:
    """Look for the engine, and see whether it answers."""
    where = address()
    try:
        with closing(_connect(timeout=10)) as engine:
            engine.ping()
    except (DockerException, OSError) as error:
        reach = Reach.FORBIDDEN if isinstance(_system_error(error), PermissionError) else Reach.SILENT
        return Engine(where, reach, _said(error))
    return Engine(where, Reach.ANSWERS)


def facts() -> Facts:
    """What the engine says of itself and its host; HostCannot where none answers."""
    where = address()
    with closing(client()) as engine:
        info = engine.info()
    return Facts(
        address=where,
        version=info["ServerVersion"],
        storage_driver=info["Driver"],
        data_root=Path(info["DockerRootDir"]),
        kernel=info["KernelVersion"],
        system=info["OperatingSystem"],
        cgroup_version=int(info.get("CgroupVersion", 1)),
        rootless=any(option.startswith("name=rootless") for option in info.get("SecurityOptions") or []),
        cpus=info["NCPU"],
        memory=info["MemTotal"],
        missing_capabilities=_missing(where),
    )


def _missing(where: str) -> frozenset[str]:
    """What the process behind a local socket cannot give; an engine elsewhere is taken to have everything."""
    if not where.startswith("unix://"):
        return frozenset()
    with socket.socket(socket.AF_UNIX) as wire:
        wire.connect(where.removeprefix("unix://"))
        pid, _, _ = struct.unpack("3i", wire.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    try:
        status = Path(f"/proc/{pid or 1}/status").read_text()
    except OSError:
        return frozenset()
    return missing_capabilities(status, int(Path("/proc/sys/kernel/cap_last_cap").read_text()))


def missing_capabilities(status: str, last: int) -> frozenset[str]:
    """The capabilities up to bit `last` that a process lacks, from the text of its /proc/PID/status."""
    return frozenset("CAP_" + name for name in NAMES[: last + 1]) - given(status)


def _said(error: BaseException) -> str:
    cause = _system_error(error)
    return str(cause.strerror if cause else error)


def _system_error(error: BaseException | None) -> OSError | None:
    """The system's own error under the layers that urllib3, requests and docker put around it."""
    while error is not None:
        for part in (error, *error.args):
            if isinstance(part, OSError) and part.strerror:
                return part
        error = error.__cause__ or error.__context__
    return None
