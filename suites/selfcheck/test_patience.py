"""A broken network must not cost more than a sound one: waits that are in vain become short ones."""

from __future__ import annotations

from fixtures.probes.patience import SHORT, Patience


def test_waits_are_whole_until_enough_were_in_vain() -> None:
    patience = Patience(seconds=20)
    assert patience.within(15) == 15
    patience.in_vain(15)
    assert patience.within(15) == 15
    patience.in_vain(15)
    assert patience.within(15) == SHORT
    assert patience.within(1) == 1


def test_another_fault_begins_anew() -> None:
    patience = Patience(seconds=20)
    patience.in_vain(25)
    patience.forget()
    assert patience.within(15) == 15
