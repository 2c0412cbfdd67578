"""A Docker engine on a host that has none: installed from the distribution, started, and left running.

An engine that is there already is never touched, nor is anything in /etc/docker: what ours needs to be told
stands in a configuration of its own.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

from rich.console import Console

from clusters import shell
from clusters.host import bounding, packages
from clusters.host.engine import Reach, find
from clusters.model import HostCannot
from clusters.waiting import TIMEOUTS, TimedOut, poll

LOG = Path("/var/log/netproof/dockerd.log")
DROP_IN = Path("/etc/systemd/system/docker.service.d/netproof.conf")


def install() -> None:
    """Install Docker from the distribution, without starting it; HostCannot where that cannot be done."""
    wanted = ["docker.io", "iptables", "ca-certificates"]
    apparmor = Path("/sys/module/apparmor/parameters/enabled")
    if apparmor.exists() and apparmor.read_text().startswith("Y"):
        wanted.append("apparmor")
    # Where no systemd runs, RUNLEVEL keeps the package's own script from starting an engine before ours.
    packages.install(wanted, why="for a Docker engine", env={} if systemd_runs() else {"RUNLEVEL": "1"})
    if packages.which("docker") is None:
        packages.install(["docker-cli"], why="for the docker command")


def start() -> None:
    """Start the installed engine and wait until it answers; HostCannot with the last lines of its log."""
    config = bounding.configure(Path("/proc/1/status" if systemd_runs() else "/proc/self/status").read_text())
    Console(stderr=True).print("starting the Docker engine", highlight=False)
    if systemd_runs():
        _start_unit(config)
    elif _alive(Path("/var/run/docker.pid"), "dockerd"):
        _wait(None)
    else:
        _wait(_start_by_hand(config))


def systemd_runs() -> bool:
    """Whether systemd is this machine's init (the test that sd_booted(3) makes)."""
    return Path("/run/systemd/system").is_dir()


def _start_unit(config: Path | None) -> None:
    """Start docker.service; it is ours to restart here, because a moment ago nothing answered."""
    if config is not None:
        found = shell.run(["systemctl", "show", "--property=ExecStart", "--value", "docker.service"]).stdout
        words = found.partition("argv[]=")[2].partition(" ;")[0]
        lines = ["# Written by netproof; remove this file to undo it.", "[Service]", "ExecStart="]
        if not DROP_IN.exists():
            bounding.write(DROP_IN, "\n".join([*lines, f"ExecStart={words} --config-file {config}\n"]), mode=0o644)
        shell.run(["systemctl", "daemon-reload"])
    try:
        shell.run(["systemctl", "restart" if config else "start", "docker.service"], timeout=TIMEOUTS.engine_start)
    except shell.CommandFailed as error:
        said = shell.run(["journalctl", "--no-pager", "-n", "15", "-u", "docker.service"], check=False).stdout
        raise HostCannot(f"the Docker engine does not start: {error}\n{said}") from error
    _wait(None)


def _start_by_hand(config: Path | None) -> shell.Process:
    _clear_stale()
    command = [packages.which("dockerd") or "dockerd"]
    if config is not None:
        command += ["--config-file", str(config)]
    path = f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/sbin"
    return shell.start(command, log=LOG, env={"PATH": _iptables_first(path)})


def _iptables_first(path: str) -> str:
    """A PATH on which iptables is the backend that this kernel has, without changing the host's choice."""
    if _lists_nat("iptables") or not _lists_nat("iptables-legacy"):
        return path
    folder = bounding.HOME / "legacy"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("iptables", "ip6tables"):
        link = folder / name
        if not link.is_symlink():
            link.symlink_to(packages.which(f"{name}-legacy") or f"/usr/sbin/{name}-legacy")
    return f"{folder}:{path}"


def _lists_nat(command: str) -> bool:
    found = packages.which(command)
    return found is not None and shell.run([found, "-t", "nat", "-S"], check=False).ok


def _clear_stale() -> None:
    """Remove what a dead engine left and a new one would trip over: process ids reused, a socket without owner."""
    containerd = Path("/var/run/docker/containerd/containerd.pid")
    for path, name in ((Path("/var/run/docker.pid"), "dockerd"), (containerd, "containerd")):
        if not _alive(path, name):
            path.unlink(missing_ok=True)
    shared = Path("/run/containerd/containerd.sock")
    with socket.socket(socket.AF_UNIX) as wire:
        try:
            wire.connect(str(shared))
        except ConnectionRefusedError:
            shared.unlink()
        except OSError:
            pass


def _alive(pid_file: Path, name: str) -> bool:
    """Whether the process that wrote the file still is one of that name."""
    try:
        pid = int(pid_file.read_text())
        return Path(f"/proc/{pid}/comm").read_text().strip() == name
    except (OSError, ValueError):
        return False


def _wait(process: shell.Process | None) -> None:
    """Wait until the engine answers, or `process`, the engine that we started, has ended."""

    def look() -> str:
        if process is not None and process.poll() is not None:
            return f"dockerd ended with status {process.returncode}"
        found = find()
        return Reach.ANSWERS if found.reach is Reach.ANSWERS else found.detail

    try:
        ended = poll(
            look,
            until=lambda said: said == Reach.ANSWERS or said.startswith("dockerd ended"),
            what="an answer of the Docker engine",
            within=TIMEOUTS.engine_start,
        )
    except TimedOut as error:
        ended = str(error)
    if ended != Reach.ANSWERS:
        lines = LOG.read_text(errors="replace").splitlines()[-15:] if LOG.exists() else []
        raise HostCannot("\n".join([f"the Docker engine does not start: {ended}", *lines, f"(whole log: {LOG})"]))
