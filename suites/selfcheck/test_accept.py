"""`./run accept` refuses what it does not know, runs both releases in turn, and needs a report of each."""

from __future__ import annotations

from pathlib import Path

import pytest

from clusters.accept import Side, accept, asked
from clusters.launch import USAGE, main
from clusters.legs import Leg
from clusters.model import UsageError

WORDS = ["--profile=flannel-vxlan", "--from=v0.27.4", "--to=v0.28.10"]


def test_what_is_asked_for_is_read_and_the_rest_is_pytests() -> None:
    wanted = asked([*WORDS, "-k", "dns"])
    assert (wanted.old, wanted.new) == (
        Side("v0.27.4", ("--cni-version=v0.27.4",)),
        Side("v0.28.10", ("--cni-version=v0.28.10",)),
    )
    assert (wanted.profile, wanted.more) == ("flannel-vxlan", ("-k", "dns"))
    assert wanted.leg.name == "flannel-vxlan"


def test_a_build_takes_the_place_of_the_second_release(tmp_path: Path) -> None:
    manifest = tmp_path / "flannel-dev.yml"
    manifest.touch()
    wanted = asked([*WORDS[:2], f"--cni-manifest={manifest}", "--cni-image=flannel:dev=mine"])
    assert wanted.new == Side("flannel-dev", (f"--cni-manifest={manifest}", "--cni-image=flannel:dev=mine"))
    assert wanted.folder(wanted.new).name == "flannel-vxlan-flannel-dev"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (WORDS[:2], "--to"),
        (["--profile=flanel", *WORDS[1:]], "unknown profile"),
        ([*WORDS[:2], "--to=v9"], "unknown flannel version"),
        ([*WORDS, "--cni-manifest=x.yml"], "not allowed with"),
        ([*WORDS[:2], "--cni-manifest=x.yml"], "there is no file x.yml"),
    ],
)
def test_what_is_not_known_is_refused(words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match=says):
        asked(words)
    assert main(["accept", "--", *words]) == USAGE
    assert says in capsys.readouterr().err


def test_a_run_without_a_report_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clusters.accept.ROOT", tmp_path)
    ran: list[list[str]] = []

    def run(leg: Leg, arguments: list[str]) -> int:
        ran.append([leg.name, *arguments])
        return 3

    assert accept(asked(WORDS), run) == 3
    folder = tmp_path / "reports" / "flannel-vxlan-v0.27.4"
    assert ran == [["flannel-vxlan", "--cni-version=v0.27.4", f"--reports={folder}"]]
