"""A sweep takes what dead runs left, and never what is alive, foreign or not ours."""

from __future__ import annotations

from dataclasses import replace

import pytest

from clusters.labels import LABEL, RunId
from clusters.sweep import is_left_behind

HERE = RunId.current()
DEAD = replace(HERE, ticks=HERE.ticks - 1)


def test_a_run_survives_being_written_and_read() -> None:
    assert RunId.parse(str(HERE)) == HERE


def test_this_run_lives() -> None:
    assert HERE.alive()


def test_a_process_id_used_again_is_another_run() -> None:
    assert not DEAD.alive()


def test_of_another_machines_run_we_cannot_tell() -> None:
    assert replace(DEAD, machine="elsewhere").alive()


@pytest.mark.parametrize("text", ["", "12", "12-34", "a-b-c", "1-2-3-4"])
def test_what_is_no_run_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not enough values|too many values|invalid literal"):
        RunId.parse(text)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({LABEL: str(DEAD)}, True),
        ({LABEL: str(HERE)}, False),
        ({LABEL: str(replace(DEAD, machine="elsewhere"))}, False),
        ({LABEL: "something else"}, False),
        ({"com.example": "1"}, False),
        ({}, False),
    ],
)
def test_what_is_left_behind(labels: dict[str, str], expected: bool) -> None:
    assert is_left_behind(labels) is expected
