"""A build takes what is missing, after what it needs, once, and stops at the first error."""

from __future__ import annotations

import io
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from clusters.images.steps import Artifact, Lane, carry_out, missing
from clusters.progress import Progress, elapsed


def quiet(total: int) -> Progress:
    return Progress("test", total, Console(file=io.StringIO()))


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[Artifact], list[str]]:
    """Up to eight artifacts, each made of earlier ones, some present; and the list that records their making."""
    made: list[str] = []
    artifacts: list[Artifact] = []
    for number in range(draw(st.integers(1, 8))):
        needs = draw(st.lists(st.sampled_from(artifacts), unique_by=lambda need: need.name)) if artifacts else []
        present = draw(st.booleans())
        artifacts.append(
            Artifact(
                name=str(number),
                shown=str(number),
                lane=draw(st.sampled_from(Lane)),
                present=lambda present=present: present,  # type: ignore[misc]
                make=lambda number=number: made.append(str(number)),  # type: ignore[misc]
                needs=tuple(needs),
            )
        )
    return artifacts, made


@given(graphs())
def test_everything_is_made_once_and_after_what_it_needs(graph: tuple[list[Artifact], list[str]]) -> None:
    artifacts, made = graph
    steps = missing(artifacts[-1])
    carry_out(steps, quiet(len(steps)))
    assert sorted(made) == sorted(step.artifact.name for step in steps)
    assert len(made) == len(set(made))
    absent = {artifact.name for artifact in artifacts if not artifact.present()}
    for step in steps:
        for need in step.artifact.needs:
            assert need.name not in absent or made.index(need.name) < made.index(step.artifact.name)


@given(graphs())
def test_what_is_present_hides_what_it_is_made_of(graph: tuple[list[Artifact], list[str]]) -> None:
    artifacts, _ = graph
    steps = missing(artifacts[-1])
    wanted = {artifacts[-1].name} | {need.name for step in steps for need in step.artifact.needs}
    assert {step.artifact.name for step in steps} <= wanted
    assert not [step for step in steps if step.artifact.present()]


def artifact(name: str, lane: Lane, make: object, *needs: Artifact) -> Artifact:
    return Artifact(name, name, lane, lambda: False, make, needs)  # type: ignore[arg-type]


def test_lanes_run_beside_each_other() -> None:
    both = threading.Barrier(2, timeout=10)
    parts = [artifact("a", Lane.NETWORK, both.wait), artifact("b", Lane.COMPILER, both.wait)]
    steps = missing(artifact("whole", Lane.DISK, lambda: None, *parts))
    carry_out(steps, quiet(len(steps)))
    assert both.n_waiting == 0


def test_nothing_begins_after_an_error_and_the_error_is_raised() -> None:
    made: list[str] = []

    def fail() -> None:
        raise OSError("disk full")

    first = artifact("first", Lane.DISK, fail)
    steps = missing(artifact("second", Lane.COMPILER, lambda: made.append("second"), first))
    with pytest.raises(OSError, match="disk full"):
        carry_out(steps, quiet(len(steps)))
    assert made == []


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "0 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (125, "2 min 05 s")]
)
def test_elapsed_reads_well(seconds: float, text: str) -> None:
    assert elapsed(seconds) == text
