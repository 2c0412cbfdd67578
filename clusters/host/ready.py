"""A host made ready: a Docker engine that answers, made where there is none and it is ours to make."""

from __future__ import annotations

import fcntl
import grp
import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clusters.host import daemon, packages
from clusters.host.engine import Engine, Reach, find
from clusters.model import HostCannot

LOCK = Path("/run/netproof.lock")


def ready() -> None:
    """See that a Docker engine answers, and make one where there is none and we are root on Debian or Ubuntu.

    Raises HostCannot, which says what is missing and how to get it.
    """
    engine = find()
    if engine.reach is not Reach.ANSWERS:
        if said := refusal(engine):
            raise HostCannot(said)
        with _alone():
            if find().reach is not Reach.ANSWERS:
                if packages.which("dockerd") is None:
                    daemon.install()
                daemon.start()
    if packages.which("docker") is None:
        raise HostCannot(
            "the docker command is missing, which kind needs beside the engine: install the package docker-cli, "
            "or docker.io where the distribution has no docker-cli"
        )


def refusal(engine: Engine) -> str | None:
    """Why an engine that does not answer is not ours to make or start, and what helps; None where it is ours."""
    if engine.reach is Reach.FORBIDDEN:
        return f"a Docker engine is at {engine.address}, but not for this user: {_way_in()}"
    if engine.chosen:
        return (
            f"no Docker engine answers at {engine.address}, which DOCKER_HOST or the Docker context names. "
            f"Start it, or unset that choice. ({engine.detail})"
        )
    if os.geteuid() != 0:
        return (
            f"no Docker engine answers at {engine.address}. Start it (`sudo systemctl start docker`), or install "
            "it (`sudo apt-get install docker.io`) and join its group (`sudo usermod -aG docker $USER`, log in "
            "again). As root on Debian or Ubuntu, ./run does this by itself"
        )
    if packages.which("dockerd") is None and not packages.is_debian():
        return (
            f"no Docker engine answers at {engine.address}, and this system is neither Debian nor Ubuntu, where "
            "./run would install one: install Docker (20.10 or newer) and start it"
        )
    return None


def _way_in() -> str:
    user = pwd.getpwuid(os.geteuid()).pw_name
    try:
        group = grp.getgrnam("docker")
    except KeyError:
        return "run as root"
    if user in group.gr_mem and group.gr_gid not in os.getgroups():
        return f"{user} is in the group docker, which holds from the next login on (or use `newgrp docker`)"
    return f"`sudo usermod -aG docker {user}` and log in again, or run as root"


@contextmanager
def _alone() -> Iterator[None]:
    """Hold the host's lock, so that of two runs at once the second waits and finds the engine made."""
    with LOCK.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
