"""`./run accept`: one profile with two releases of its CNI, or a release and a build, and what differs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from clusters import shell
from clusters.cni_build import CniBuild
from clusters.legs import ROOT, Leg, chosen
from clusters.model import UsageError, chosen_version, load_cni, load_profile


@dataclass(frozen=True)
class Side:
    """One of the two: what it is called, and what makes pytest run with it."""

    name: str
    arguments: tuple[str, ...]


@dataclass(frozen=True)
class Acceptance:
    """What is to be held against each other under one profile, with more arguments for pytest."""

    profile: str
    old: Side
    new: Side
    more: tuple[str, ...] = ()
    expected: Path | None = None
    """A file of failures that are known."""

    @property
    def leg(self) -> Leg:
        """The leg that is run with each."""
        (leg,) = chosen([self.profile])
        return leg

    def folder(self, side: Side) -> Path:
        """Where the report of one is written."""
        return ROOT / "reports" / f"{self.profile}-{side.name}"

    def arguments(self, side: Side) -> list[str]:
        """pytest's arguments for one."""
        return [*side.arguments, f"--reports={self.folder(side)}", *self.more]


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]
        raise UsageError(f"accept: {message}\n{self.format_usage().rstrip()}")


def asked(arguments: Sequence[str]) -> Acceptance:
    """Read what stands after `--`; UsageError for a profile, a release or a build that is not there."""
    parser = _Parser(prog="./run accept --", add_help=False)
    parser.add_argument("--profile", required=True, help="a file of clusters/profiles/")
    parser.add_argument("--from", dest="old", required=True, metavar="RELEASE", help="what was accepted")
    new = parser.add_mutually_exclusive_group(required=True)
    new.add_argument("--to", dest="new", metavar="RELEASE", help="what is to be")
    new.add_argument("--cni-manifest", type=Path, metavar="FILE", help="or a build, by its manifest")
    parser.add_argument("--expected", type=Path, metavar="FILE", help="failures that are known (docs/usage.md)")
    parser.add_argument("--cni-image", action="append", default=[], metavar="NAME=TAR|REFERENCE")
    found, more = parser.parse_known_args(list(arguments))
    cni = load_cni(load_profile(found.profile).cni)

    def release(version: str) -> Side:
        return Side(chosen_version(cni, version), (f"--cni-version={version}",))

    expected = found.expected.resolve() if found.expected else None
    if expected and not expected.is_file():
        raise UsageError(f"accept: --expected: {found.expected} is no file")
    build = CniBuild.asked(found.cni_manifest, found.cni_image)
    if build is None:
        return Acceptance(found.profile, release(found.old), release(found.new), tuple(more), expected)
    given = [f"--cni-image={image}" for image in found.cni_image]
    to = Side(build.manifest.stem, (f"--cni-manifest={build.manifest}", *given))
    return Acceptance(found.profile, release(found.old), to, tuple(more), expected)


def accept(wanted: Acceptance, run: Callable[[Leg, list[str]], int]) -> int:
    """Run both and say what differs: 0 where nothing was lost, 1 where something was, or a run came to no report.

    `run` takes a leg and pytest's arguments. What is red in both runs alike is no regression.
    """
    folders = [wanted.folder(side) for side in (wanted.old, wanted.new)]
    for side, folder in zip((wanted.old, wanted.new), folders, strict=True):
        (folder / "report.json").unlink(missing_ok=True)
        status = run(wanted.leg, wanted.arguments(side))
        if not (folder / "report.json").exists():
            return status or 1
    known = [f"--expected={wanted.expected}"] if wanted.expected else []
    page = f"--html={folders[1] / 'diff.html'}"
    words: list[shell.Argument] = [sys.executable, "-m", "fixtures.report", "diff", *folders, page, *known]
    told = shell.run(words, cwd=ROOT, check=False, timeout=300)
    print(told.stdout or told.stderr, end="")  # noqa: T201 - what it is for
    return told.status
