"""A broken network costs no more than a sound one: nothing is looked into twice, and the time is bounded."""

from __future__ import annotations

from fixtures.evidence.budget import Budget


def test_a_subject_is_looked_into_once_and_then_referred_to() -> None:
    budget = Budget()
    pair = ("client", "remote", "tcp")
    assert budget.first(pair, "pods/first") is None
    assert budget.first(pair, "pods/first") is None
    assert budget.first(pair, "services/second") == "pods/first"
    assert budget.first(("client", "remote", "udp"), "services/second") is None


def test_past_the_budget_nothing_more_is_collected_and_that_is_said() -> None:
    moments = iter([0.0, 6.0, 6.0, 11.0])
    budget = Budget(10.0, lambda: next(moments))
    budget.first("pair", "pods/first")
    with budget.spending():
        pass
    assert budget.over == ""
    with budget.spending():
        pass
    assert budget.over == "not looked into: the run's 10 s for evidence are spent, on the first 1 red checks"
    budget.forget()
    assert budget.over == ""
    assert budget.first("pair", "pods/other") is None
