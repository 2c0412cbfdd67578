"""A history is read back only by who understands it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fixtures.verdicts.expectation import reached
from fixtures.verdicts.judge import judge
from fixtures.verdicts.observation import Outcome
from fixtures.verdicts.store import History, HistoryUnreadable, rejudged
from fixtures.verdicts.verdict import Verdict
from suites.selfcheck.samples import cell, saw


@pytest.fixture
def history(tmp_path: Path) -> Path:
    path = tmp_path / "deep" / "observations.jsonl"
    writer = History(path)
    seen = saw(cell())
    writer.add([seen], "a check")
    writer.conclude("a check", judge({seen.cell: reached()}, [seen]))
    writer.close()
    return path


def test_observations_are_there_before_they_are_judged(tmp_path: Path) -> None:
    path = tmp_path / "observations.jsonl"
    writer = History(path)
    writer.add([saw(cell())])
    kinds = [json.loads(line)["record"] for line in path.read_text().splitlines()]
    writer.close()
    assert kinds == ["history", "observation"]


def test_an_observation_is_stored_once(history: Path) -> None:
    kinds = [json.loads(line)["record"] for line in history.read_text().splitlines()]
    assert kinds == ["history", "observation", "judgement"]


def test_a_changed_history_is_judged_otherwise(history: Path) -> None:
    history.write_text(history.read_text().replace(Outcome.REACHED, Outcome.REFUSED, 1))
    (stored,) = rejudged(history)
    assert (stored.verdict, stored.again.verdict, stored.same) == (Verdict.PASS, Verdict.FAIL, False)


def test_a_line_cut_off_by_a_crash_is_left_out(history: Path) -> None:
    history.write_text(history.read_text() + '{"record": "obser')
    assert len(list(rejudged(history))) == 1


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('"schema":1', '"schema":2', "of schema 2; this version reads schema 1"),
        ('{"record":"history"', '{"record":"novel"', "reads schema 1"),
        ('"number":0', '"number":7', "observation 0 is not in the file"),
        ('"number":0', '"numero":0', "line 2"),
        ('{"record":"history","schema":1}', "once upon a time", "does not begin as a history"),
    ],
)
def test_what_is_not_understood_is_refused(history: Path, old: str, new: str, says: str) -> None:
    history.write_text(history.read_text().replace(old, new))
    with pytest.raises(HistoryUnreadable, match=says):
        list(rejudged(history))


def test_a_missing_history_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(HistoryUnreadable, match="No such file"):
        list(rejudged(tmp_path / "observations.jsonl"))
