"""What holds of every judgement, whatever was promised and seen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st

from fixtures.verdicts.expectation import Expectation
from fixtures.verdicts.judge import judge
from fixtures.verdicts.observation import Cell, Observation, Outcome, Sweep
from fixtures.verdicts.store import History, rejudged
from fixtures.verdicts.verdict import Verdict, merged
from suites.selfcheck.samples import expectations, observations, sweeps

verdict_lists = st.lists(st.sampled_from(Verdict), min_size=1)
Promises = dict[Cell, Expectation]
Seen = list[Observation]


@given(expectations, sweeps, observations)
def test_a_broken_probe_never_turns_red_into_green(expected: Promises, seen: Seen, extra: Observation) -> None:
    broken = replace(extra, outcome=Outcome.PROBE_BROKEN)
    before = judge(expected, seen)
    after = judge(expected, [*seen, broken])
    assert after.verdict.red or not before.verdict.red


@given(expectations, sweeps)
def test_losing_an_observation_never_turns_red_into_green(expected: Promises, seen: Seen) -> None:
    """But for the loss of one that stands beside another of the same cell."""
    once = list({observation.cell: observation for observation in seen}.values())
    whole = judge(expected, once)
    for lost in range(len(once)):
        assert judge(expected, once[:lost] + once[lost + 1 :]).verdict.red or not whole.verdict.red


@given(expectations, sweeps, st.randoms())
def test_the_order_of_observations_does_not_matter(expected: Promises, seen: Seen, random: st.DrawFn) -> None:
    shuffled = seen.copy()
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert judge(expected, shuffled).cells == judge(expected, seen).cells


@given(expectations, sweeps)
def test_judging_twice_says_the_same(expected: Promises, seen: Seen) -> None:
    assert judge(expected, seen) == judge(expected, seen)


@given(expectations, sweeps, sweeps)
def test_a_witness_only_ever_clears_a_silence(expected: Promises, seen: Seen, before: Seen) -> None:
    alone = judge(expected, seen)
    witnessed = judge(expected, seen, [Sweep(tuple(before))])
    for one, other in zip(alone, witnessed, strict=True):
        assert one.verdict is other.verdict or (one.verdict, other.verdict) == (Verdict.UNKNOWN, Verdict.PASS)


@given(expectations, sweeps)
def test_no_silence_passes_where_nothing_was_reached(expected: Promises, seen: Seen) -> None:
    dead = [replace(observation, outcome=Outcome.TIMED_OUT) for observation in seen]
    assert all(cell.verdict is not Verdict.PASS for cell in judge(expected, dead))


@given(verdict_lists, verdict_lists)
def test_merging_parts_or_the_whole_is_the_same(one: list[Verdict], other: list[Verdict]) -> None:
    assert merged([merged(one), merged(other)]) is merged(one + other) is merged(other + one)


def test_merging_nothing_proves_nothing() -> None:
    assert merged([]) is Verdict.UNKNOWN


@given(st.lists(st.tuples(expectations, sweeps, st.lists(sweeps, max_size=1)), max_size=2))
def test_a_stored_run_is_judged_again_alike(runs: list[tuple[Promises, Seen, list[Seen]]]) -> None:
    judgements = [
        judge(expected, seen, [Sweep(tuple(w)) for w in witnesses]) for expected, seen, witnesses in runs
    ]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "observations.jsonl"
        history = History(path)
        for judgement in judgements:
            history.add(judgement.sweep)
            history.conclude("a check", judgement)
        history.close()
        stored = list(rejudged(path))
    assert [one.again for one in stored] == judgements
    assert all(one.same and one.verdict is one.again.verdict for one in stored)
