"""How long a way was closed, and what pods left on a node: both from what was seen alone."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from fixtures.probes.outage import Steady
from fixtures.verdicts.observation import Observation, Outcome
from fixtures.world.left_behind import more, things
from suites.selfcheck.samples import cell, saw

ASKED = cell("client", "server")


def seen(*outcomes: tuple[float, Outcome]) -> Steady:
    def one(at: float, outcome: Outcome) -> Observation:
        return replace(saw(ASKED, outcome), at=at)

    return Steady([one(at, outcome) for at, outcome in outcomes])


def test_an_outage_lasts_from_answer_to_answer() -> None:
    lost = seen((0, Outcome.REACHED), (1, Outcome.TIMED_OUT), (2, Outcome.UNREACHABLE), (3.5, Outcome.REACHED))
    assert list(lost.outages().values()) == [3.5]


def test_pauses_between_answers_are_none() -> None:
    assert list(seen((0, Outcome.REACHED), (5, Outcome.REACHED)).outages().values()) == [0]


def test_a_way_that_stays_closed_counts_to_the_end() -> None:
    assert list(seen((0, Outcome.REACHED), (1, Outcome.TIMED_OUT), (4, Outcome.TIMED_OUT)).outages().values()) == [
        4
    ]


def test_the_rhythm_is_the_longest_pause() -> None:
    assert seen((0, Outcome.REACHED), (1, Outcome.REACHED), (4, Outcome.REACHED)).rhythm() == 3


def test_what_is_there_now_and_was_not_is_told_by_node() -> None:
    before = {"worker": Counter(["link a", "rule x"])}
    after = {"worker": Counter(["link a", "rule x", "rule x", "file /var/lib/cni/7"])}
    assert more(before, after) == ["worker: file /var/lib/cni/7", "worker: rule x"]
    assert more(before, {"worker": Counter(["link a"])}) == []


def test_every_kind_of_thing_is_asked_of_every_node() -> None:
    found = things(["one", "two"], lambda node, *words: f"{node} of {words[-1].split()[0]}\n")
    assert set(found) == {"one", "two"}
    assert "link one of ip" in found["one"]
    assert {thing.split()[0] for thing in found["two"]} == {"link", "route", "rule", "set", "namespace", "file"}
