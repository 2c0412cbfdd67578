"""Packages of the distribution, installed where we are root on Debian or Ubuntu."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console

from clusters import shell
from clusters.model import HostCannot

LOG = Path("/var/log/netproof/apt.log")


def ensure(commands: Mapping[str, str], *, why: str) -> None:
    """Install what is missing of `commands` (command → the package that has it), and nothing where none is.

    `why` completes "needed …" in messages. HostCannot says what to install where we may not or cannot do it.
    """
    missing = sorted({package for command, package in commands.items() if which(command) is None})
    if missing:
        install(missing, why=why)


def which(command: str) -> str | None:
    """Where a command is, also for users whose PATH leaves out the sbin folders."""
    return shutil.which(command, path=f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/sbin")


def install(packages: Sequence[str], *, why: str, env: Mapping[str, str] | None = None) -> None:
    """Install packages with apt, without what they only recommend; HostCannot with apt's last words.

    An installation that was interrupted before is finished first. `env` is added to apt's environment.
    """
    wanted = " ".join(packages)
    if not is_debian():
        raise HostCannot(f"missing here: {wanted}, needed {why}. Install it with this system's package manager.")
    if os.geteuid() != 0:
        raise HostCannot(f"missing here: {wanted}, needed {why}. As root: apt-get install {wanted}")
    Console(stderr=True).print(f"installing {wanted} ({why})", markup=False, highlight=False)
    environment = {"DEBIAN_FRONTEND": "noninteractive", **(env or {})}
    wait = ["-o", "DPkg::Lock::Timeout=300"]
    try:
        shell.run(["dpkg", "--configure", "-a"], env=environment, timeout=600, log=LOG)
        shell.run(["apt-get", *wait, "-qq", "update"], env=environment, timeout=600, log=LOG)
        command = ["apt-get", *wait, "-qq", "install", "-y", "--no-install-recommends", *packages]
        shell.run(command, env=environment, timeout=1800, log=LOG)
    except shell.CommandFailed as error:
        raise HostCannot(f"could not install {wanted}, needed {why}: {error}") from error


def is_debian() -> bool:
    """Whether packages come from apt: Debian, Ubuntu and what descends from them."""
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        return False
    family = {release.get("ID", ""), *release.get("ID_LIKE", "").split()}
    return bool(family & {"debian", "ubuntu"}) and shutil.which("apt-get") is not None
