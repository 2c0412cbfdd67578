"""`./run accept`: one profile with two releases of its CNI, one after the other, and what differs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from clusters import shell
from clusters.legs import ROOT, Leg, chosen
from clusters.model import UsageError, chosen_version, load_cni, load_profile


@dataclass(frozen=True)
class Acceptance:
    """What is to be held against each other: two releases under one profile, with more arguments for pytest."""

    profile: str
    old: str
    new: str
    more: tuple[str, ...] = ()

    @property
    def leg(self) -> Leg:
        """The leg that is run with each."""
        (leg,) = chosen([self.profile])
        return leg

    @property
    def folders(self) -> tuple[Path, Path]:
        """Where the report of each is written."""
        place = ROOT / "reports"
        return place / f"{self.profile}-{self.old}", place / f"{self.profile}-{self.new}"

    def arguments(self, version: str, folder: Path) -> list[str]:
        """pytest's arguments for one release."""
        return [f"--cni-version={version}", f"--reports={folder}", *self.more]


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]
        raise UsageError(f"accept: {message}\n{self.format_usage().rstrip()}")


def asked(arguments: Sequence[str]) -> Acceptance:
    """Read what stands after `--`; UsageError for a profile or a release that is not known."""
    parser = _Parser(prog="./run accept --", add_help=False)
    parser.add_argument("--profile", required=True, help="a file of clusters/profiles/")
    parser.add_argument("--from", dest="old", required=True, help="the release that was accepted")
    parser.add_argument("--to", dest="new", required=True, help="the release that is to be")
    found, more = parser.parse_known_args(list(arguments))
    cni = load_cni(load_profile(found.profile).cni)
    for version in (found.old, found.new):
        chosen_version(cni, version)
    return Acceptance(found.profile, found.old, found.new, tuple(more))


def accept(wanted: Acceptance, run: Callable[[Leg, list[str]], int]) -> int:
    """Run both and say what differs: 0 where nothing was lost, 1 where something was, or a run came to no report.

    `run` takes a leg and pytest's arguments. What is red in both runs alike is no regression.
    """
    for version, folder in zip((wanted.old, wanted.new), wanted.folders, strict=True):
        (folder / "report.json").unlink(missing_ok=True)
        status = run(wanted.leg, wanted.arguments(version, folder))
        if not (folder / "report.json").exists():
            return status or 1
    told = shell.run(
        [sys.executable, "-m", "fixtures.report", "diff", *wanted.folders], cwd=ROOT, check=False, timeout=300
    )
    print(told.stdout or told.stderr, end="")  # noqa: T201 - what it is for
    return told.status
