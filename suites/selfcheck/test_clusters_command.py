"""`python -m clusters` refuses what it does not know, and says what there is."""

from __future__ import annotations

import pytest

from clusters.__main__ import main
from clusters.cluster import Wanted, take_down
from clusters.model import UsageError


def test_an_unknown_profile_lists_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["up", "flanel"]) == 2
    assert "unknown profile 'flanel'; known are: calico-bgp" in capsys.readouterr().err


def test_an_unknown_release_of_the_cni_lists_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["up", "flannel-vxlan", "--cni-version", "v9"]) == 2
    assert "known are: v0.28.10," in capsys.readouterr().err


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    shown = capsys.readouterr().out
    assert all(command in shown for command in ("up", "down", "list", "images", "sweep"))


def test_a_name_that_is_not_ours_is_refused() -> None:
    with pytest.raises(UsageError, match="not ours to delete"):
        take_down("kind")
    with pytest.raises(UsageError, match="begins with 'netproof-'"):
        Wanted.of("flannel-vxlan", name="mine")
