"""What a check has seen reads as words in reports, without the signs of the language that measured it."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address, ip_interface

import pytest

from fixtures.evidence.drawing import OUTCOMES
from fixtures.verdicts.expectation import reached
from fixtures.verdicts.judge import judge
from fixtures.verdicts.matrix import tables
from fixtures.verdicts.observation import Observation, Outcome, Protocol
from fixtures.verdicts.wording import event, plain
from suites.selfcheck.samples import cell


@dataclass(frozen=True)
class Door:
    """A thing without words of its own."""

    number: int
    open: tuple[str, ...]


WORDS: list[tuple[object, str]] = [
    ("as it is", "as it is"),
    ("", "nothing"),
    (None, "nothing"),
    ((), "nothing"),
    ({}, "nothing"),
    (0, "0"),
    (["lo", "eth0"], "lo, eth0"),
    ({"eth1", "eth0"}, "eth0, eth1"),
    ({"red": 1, "blue": 2}, "red: 1, blue: 2"),
    ((ip_address("10.0.0.1"), 80), "10.0.0.1:80"),
    ((ip_address("2001:db8::1"), 80), "[2001:db8::1]:80"),
    ((ip_interface("10.0.0.1/24"),), "10.0.0.1/24"),
    ([["eth0", "lo"], ["eth0"]], "eth0, lo; eth0"),
    ({"red": ["eth0", "lo"], "blue": []}, "red: eth0, lo; blue: nothing"),
    ([(Protocol.TCP, 8080), (Protocol.UDP, 53)], "tcp, 8080; udp, 53"),
    (Door(1, ("in", "out")), "number 1; open in, out"),
]


@pytest.mark.parametrize(("value", "words"), WORDS)
def test_values_as_words(value: object, words: str) -> None:
    assert plain(value) == words


@pytest.mark.parametrize("outcome", Outcome)
def test_every_outcome_has_its_words_and_its_symbol(outcome: Outcome) -> None:
    seen = Observation(cell(), outcome, seconds=0.1)
    assert event(seen, outcome)
    assert OUTCOMES[outcome]
    (symbol,) = tables(judge({seen.cell: reached()}, [seen]))[1].row("client")
    assert symbol != "-"
