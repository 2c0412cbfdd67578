"""What goes over an exec stream comes back equal, and no packet of the stream looks like the probe itself."""

from __future__ import annotations

import string
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixtures.agent import wire
from fixtures.probes.command import words
from fixtures.probes.plan import Destination, cell
from fixtures.probes.translation import observation, question
from fixtures.probes.ways import get, lookup, ping, tcp, udp
from fixtures.verdicts.observation import Cell, Outcome, Probe, Protocol
from suites.selfcheck.local_agents import LocalAgent

markers = st.text("0123456789abcdef", min_size=wire.MARKER_BYTES, max_size=wire.MARKER_BYTES)
ports = st.integers(0, 65535)
pairs = st.none() | st.tuples(st.ip_addresses().map(str), ports)
probes = st.builds(
    Probe,
    st.sampled_from(Protocol),
    ports,
    st.floats(0.01, 60),
    size=st.integers(0, 1 << 20),
    dont_fragment=st.booleans(),
    source_port=ports,
    query=st.text(string.printable, max_size=40),
    record=st.sampled_from(["A", "A+AAAA", "SRV"]),
    dns_tcp=st.booleans(),
    edns_size=st.integers(0, 4096),
)
cells = st.builds(
    Cell,
    st.text(),
    st.text(),
    st.text(max_size=40),
    probes,
    peers=st.frozensets(st.text(), max_size=2),
    marker=markers,
)
answers = st.builds(
    wire.Answer,
    st.integers(0, 1000),
    outcome=st.sampled_from([outcome.value for outcome in Outcome]),
    answered_by=st.text(),
    seen_as=pairs,
    served_at=pairs,
    source_address=pairs,
    asked_at=st.sampled_from(["", "10.96.0.1", "fd00::1"]),
    connect_seconds=st.none() | st.floats(0, 10),
    seconds=st.none() | st.floats(0, 10),
    resent=st.integers(0, 9),
    received=st.integers(0, 1 << 20),
    answers=st.lists(st.text(), max_size=3).map(tuple),
    detail=st.text(),
    at=st.floats(0, 2e9),
)


@given(cells, st.integers(0, 1000))
def test_a_question_comes_back_equal(asked: Cell, number: int) -> None:
    sent = question(number, asked)
    line = wire.line("cells", 1, cells=[wire.question_content(sent)])
    assert "\n" not in line
    assert line.isascii()
    assert wire.question_from(wire.parse(line)["cells"][0]) == sent


@given(markers.filter(lambda marker: marker != marker[::-1]))
def test_the_stream_does_not_carry_the_marker(marker: str) -> None:
    sent = question(0, Cell("client", "remote", "192.0.2.1", tcp(80), marker=marker))
    assert marker not in wire.line("cells", 1, cells=[wire.question_content(sent)])


@given(answers)
def test_an_answer_comes_back_equal(answer: wire.Answer) -> None:
    line = wire.line("answer", 1, answer=wire.answer_content(answer))
    assert wire.answer_from(wire.parse(line)["answer"]) == answer


@given(cells, answers)
def test_only_a_peer_may_answer(asked: Cell, answer: wire.Answer) -> None:
    seen = observation(asked, answer, sweep=3)
    wrong = answer.outcome == "REACHED" and bool(asked.peers) and answer.answered_by not in asked.peers
    assert seen.outcome is (Outcome.WRONG_PEER if wrong else Outcome(answer.outcome))
    assert (seen.cell, seen.sweep, seen.connect_seconds) == (asked, 3, answer.connect_seconds)
    assert str(seen.asked_at or "") == answer.asked_at


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"kind": 1, "id": 1}', '{"kind": "x"}', '{"kind": "x", "id": true}']
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"Expecting|not a line"):
        wire.parse(text)


@given(markers, st.integers(0, 5000), st.integers(0, 9000))
def test_a_greeting_has_its_length_and_comes_back(marker: str, size: int, pad_to: int) -> None:
    said = wire.greeting(marker, size, pad_to=pad_to)
    assert wire.parse_greeting(said) == (marker, size, 0)
    assert len(said) == max(pad_to, len(wire.greeting(marker, size)))


@given(markers, st.integers(0, 5000))
def test_every_stretch_of_a_payload_shows_the_marker(marker: str, size: int) -> None:
    data = wire.payload(marker, size)
    assert len(data) == size
    stretch = 2 * wire.MARKER_BYTES - 1
    assert all(marker.encode() in data[at : at + stretch] for at in range(0, size - stretch + 1, 97))


@given(st.binary(max_size=80))
def test_a_stranger_is_no_greeting_and_no_head(data: bytes) -> None:
    assert wire.parse_greeting(data) is None
    assert wire.parse_head(data) is None


@given(markers, st.text(), st.ip_addresses().map(str), ports, st.integers(0, 1 << 20))
def test_a_head_comes_back_equal(marker: str, identity: str, address: str, port: int, size: int) -> None:
    head = wire.Head(marker, identity, (address, port), (address, port), size)
    line = wire.head_line(head)
    assert line.count(b"\n") == 1
    assert wire.parse_head(line.strip()) == head


@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        (tcp(80), "tcp 192.0.2.1 80"),
        (
            udp(53, size=9, source_port=7, dont_fragment=True),
            "udp 192.0.2.1 53 --size 9 --dont-fragment --source-port 7",
        ),
        (get(80, path="/x", timeout=3.0), "http 192.0.2.1 80 --timeout 3.0 --query /x"),
        (ping(9, dont_fragment=True), "icmp 192.0.2.1 0 --size 9 --dont-fragment"),
        (lookup("a.b", "SRV", over_tcp=True), "dns 192.0.2.1 53 --query a.b --record SRV --dns-tcp"),
    ],
)
def test_a_cell_as_a_command(probe: Probe, expected: str) -> None:
    asked = cell(LocalAgent(), Destination("d", str(ip_address("192.0.2.1")), frozenset({"d"})), probe)
    said = " ".join(words(asked)).removeprefix("python3 -m agent ask ")
    assert said.replace(" --timeout 1.0", "") == expected
