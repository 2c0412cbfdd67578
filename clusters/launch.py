"""What `./run` does once there is a Python: make the host ready, and call tox with what was asked for."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NoReturn

from rich.console import Console
from rich.table import Table

from clusters.counts import FOLDER, Counts
from clusters.labels import HOLDER, RunId
from clusters.legs import ORDER, Leg, chosen, groups, legs
from clusters.model import HostCannot, UsageError

PASSED, FAILED, USAGE, HOST_CANNOT, INTERRUPTED = 0, 1, 2, 3, 130

SHOWN_RED = 40
"""Failures that are named at the end; a run that was broken off has hundreds."""
PYTEST = {0: PASSED, 2: USAGE, 3: HOST_CANNOT, 4: USAGE}
"""What pytest's exit statuses stand for (2 and 3 as our own plugin sets them); every other is a failure."""


def main(arguments: list[str]) -> int:
    """Run what was asked for; 0 passed, 1 failed or unknown, 2 usage, 3 the host cannot."""
    names, rest = _split(arguments)
    signal.signal(signal.SIGTERM, _terminated)
    try:
        match names:
            case []:
                raise UsageError("nothing to run was named; ./run --help lists what there is")
            case ["help" | "-h" | "--help"]:
                return _help()
            case ["doctor"]:
                return _doctor()
            case ["sweep"]:
                return _sweep()
            case ["accept"]:
                return _accept(rest)
            case _:
                return _run(chosen(names), rest)
    except UsageError as error:
        return _refuse(error, USAGE)
    except HostCannot as error:
        return _refuse(error, HOST_CANNOT)
    except KeyboardInterrupt:
        return INTERRUPTED


# What needs Docker is imported where it is needed, so that a leg without Docker starts at once.


def _doctor() -> int:
    from clusters.host.doctor import doctor

    return doctor()


def _sweep() -> int:
    from clusters.sweep import sweep

    Console().print(f"removed: {sweep()}", markup=False, highlight=False, soft_wrap=True)
    return PASSED


def _accept(rest: list[str]) -> int:
    """Two releases under one profile, and what differs."""
    from clusters.accept import accept, asked

    return accept(asked(rest), lambda leg, arguments: _run((leg,), arguments))


def _run(wanted: tuple[Leg, ...], rest: list[str]) -> int:
    """Run these legs; whatever comes of them, the last line on standard output counts checks and tests.

    Before it stands what failed, a line each, so that nobody looks for it in the output of many legs.
    """
    with TemporaryDirectory(prefix="netproof-") as place:
        folder = Path(place)
        statuses = dict.fromkeys((leg.name for leg in wanted), HOST_CANNOT)
        try:
            if any(leg.docker for leg in wanted):
                from clusters.host.ready import ready

                ready()
            try:
                statuses = _tox(wanted, rest, folder)
            finally:
                _take_back(wanted)
            return worst(statuses.values())
        finally:
            counts = total(statuses, folder)
            shown, more = counts.red[:SHOWN_RED], len(counts.red) - SHOWN_RED
            said = [*shown, *([f"and {more} more: see the reports"] if more > 0 else []), counts]
            print(*said, sep="\n", flush=True)  # noqa: T201 - plain, for whoever counts


def _take_back(wanted: Iterable[Leg]) -> None:
    """What a leg lent to the next one, which did not come to it, goes."""
    if any(leg.profile for leg in wanted):
        from clusters.cluster import take_back

        take_back(RunId.current())


def total(statuses: Mapping[str, int], folder: Path) -> Counts:
    """Checks and tests of all legs, as each left them in `folder`; one that left nothing counts as one test."""
    counted = Counts()
    for leg, ended in statuses.items():
        alone = Counts(passed=1) if ended == PASSED else Counts(failed=1, red=(f"{leg}: see above",))
        counted += Counts.read(folder, leg) or alone
    return counted


def _terminated(*_: object) -> NoReturn:
    """End as an interrupt at the terminal does, which reaches what we started as well."""
    for children in Path("/proc/self/task").glob("*/children"):
        for pid in children.read_text().split():
            os.kill(int(pid), signal.SIGINT)
    raise KeyboardInterrupt


def _split(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Names before `--`, pytest's arguments after it."""
    if "--" not in arguments:
        return arguments, []
    place = arguments.index("--")
    return arguments[:place], arguments[place + 1 :]


def _tox(wanted: tuple[Leg, ...], rest: list[str], folder: Path) -> dict[str, int]:
    """Our exit status of each leg; pytest leaves its counts in `folder`."""
    from tox.run import main as tox

    os.environ[FOLDER] = str(folder)  # tox hands it on, as everything called NETPROOF_…
    result = folder / "result.json"
    names = ",".join(leg.name for leg in wanted)
    os.environ[ORDER], os.environ[HOLDER] = names, str(RunId.current())
    tox(["run", "-e", names, "--result-json", str(result), *(["--", *rest] if rest else [])])
    found = json.loads(result.read_text())["testenvs"] if result.exists() else {}
    return {leg.name: status(found.get(leg.name, {})) for leg in wanted}


def status(ran: dict[str, Any]) -> int:
    """Our exit status for one environment, as tox's result file describes it.

    An environment that could not be made is the host's fault; of a tool other than pytest, any failure is one,
    and so is an interruption, after which there is no result.
    """
    if not ran.get("test"):
        return HOST_CANNOT
    code = ran.get("result", {}).get("exit_code", INTERRUPTED)
    if any(Path(step["command"][0]).name == "pytest" for step in ran["test"]):
        return PYTEST.get(code, FAILED)
    return PASSED if code == 0 else FAILED


def worst(statuses: Iterable[int]) -> int:
    """The exit status of several: a failure outweighs what could not be tried, and that a mistake in asking."""
    return max(statuses, key=(PASSED, USAGE, HOST_CANNOT, FAILED).index)


def _refuse(error: Exception, code: int) -> int:
    Console(stderr=True).print(f"./run: {error}", markup=False, highlight=False, soft_wrap=True)
    return code


def _help() -> int:
    console = Console(highlight=False)
    console.print(
        "usage: ./run ENV… [-- pytest arguments]\n"
        "       ./run doctor    what this host and its Docker can do, and what is missing for which check\n"
        "       ./run sweep     remove what runs that are over left behind\n"
        "       ./run accept -- --profile=NAME --from=RELEASE --to=RELEASE\n"
        "                       the profile with both releases of its CNI, and what differs;\n"
        "                       a build in place of --to: --cni-manifest=FILE --cni-image=NAME=TAR\n\n"
        "exit status: 0 pass, 1 fail or unknown, 2 usage, 3 the host cannot\n",
        markup=False,
        soft_wrap=True,
    )
    table = Table("ENV", "", box=None, pad_edge=False)
    for name, members in groups().items():
        table.add_row(name, " + ".join(members))
    for leg in legs():
        table.add_row(leg.name, leg.summary)
    console.print(table)
    return PASSED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
