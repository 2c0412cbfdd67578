"""Who may have a cluster: a living run keeps it, a kept one is taken over by its like, the rest is left behind."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from clusters import records
from clusters.bring_up import BringUp, Phase, State
from clusters.labels import RunId
from clusters.model import UsageError
from clusters.records import Record, takes_over

GONE = str(replace(RunId.current(), ticks=1))
"""A run that is over: the process of our number had started long before us."""
SEEN = BringUp((Phase("cluster", 1.5),), State(0.1, (), ()), State(2.0, (), ()))


def record(run: str = GONE, *, keep: bool = False, flannel: str = "v1", seen: BringUp | None = SEEN) -> Record:
    return Record(name="netproof-x", profile="x", recipe={"flannel": flannel}, run=run, keep=keep, bring_up=seen)


def living() -> Record:
    """A record of a run that is not us and lives: our parent process."""
    return record(str(RunId.of(os.getppid())))


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NETPROOF_STATE", str(tmp_path))


def test_a_free_name_is_made_new() -> None:
    assert not takes_over(None, False, record())


def test_a_stranger_under_our_name_is_refused() -> None:
    with pytest.raises(UsageError, match=r"no record of. Remove it with: python -m clusters down netproof-x"):
        takes_over(None, True, record())


def test_a_living_runs_cluster_is_refused() -> None:
    with pytest.raises(UsageError, match=r"in use by process \d+, which still runs"):
        takes_over(living(), True, record())


def test_a_crashed_runs_cluster_is_made_new() -> None:
    assert not takes_over(record(), True, record())


def test_a_kept_cluster_is_taken_over_by_its_like() -> None:
    assert takes_over(record(keep=True), True, record())


def test_a_kept_cluster_of_something_else_is_refused() -> None:
    with pytest.raises(UsageError, match=r"flannel: v2 there, v1 wanted"):
        takes_over(record(keep=True, flannel="v2"), True, record())


@pytest.mark.parametrize(("stands", "seen"), [(False, SEEN), (True, None)])
def test_a_kept_cluster_that_is_gone_or_never_came_up_is_made_new(stands: bool, seen: BringUp | None) -> None:
    assert not takes_over(record(keep=True, seen=seen), stands, record())


def lent(flannel: str = "v1", *, seen: BringUp | None = SEEN) -> Record:
    """A cluster that our parent process, which lives, holds for its next leg."""
    return living().model_copy(update={"lent": True, "recipe": {"flannel": flannel}, "bring_up": seen})


def test_a_lent_cluster_is_taken_over_by_its_like_and_holds_nobody_up() -> None:
    assert takes_over(lent(), True, record())
    assert not takes_over(lent("v2"), True, record())
    assert not takes_over(lent(seen=None), True, record())
    assert not takes_over(lent(), False, record())


def test_a_lent_cluster_is_left_behind_once_its_holder_is_gone() -> None:
    assert not lent().stale
    assert lent().model_copy(update={"run": GONE}).stale


def test_what_is_left_behind() -> None:
    assert record().stale
    assert not record(keep=True).stale
    assert not living().stale
    assert not record(str(RunId.current())).stale


def test_a_record_is_read_as_it_was_written() -> None:
    records.write(record(keep=True))
    assert records.read("netproof-x") == record(keep=True)
    assert records.every() == [record(keep=True)]
    records.remove("netproof-x")
    assert records.read("netproof-x") is None
    assert records.every() == []


def test_only_the_owner_reads_a_clusters_folder() -> None:
    assert records.kubeconfig("netproof-x").parent.stat().st_mode & 0o777 == 0o700
