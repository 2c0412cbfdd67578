"""Streams split lines however their bytes come, and say why they broke."""

from __future__ import annotations

import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixtures.agent import wire
from fixtures.agent.names import candidates, resolver_in
from fixtures.agent.waits import Unable
from fixtures.endpoints.container_exec import demultiplexed
from fixtures.endpoints.conversation import Conversation
from fixtures.endpoints.endpoint import StreamBroken
from fixtures.endpoints.streams import Channel, LineStream

Pieces = list[tuple[Channel, bytes]]


class Scripted:
    """A Carrier that hands out what it was given, and then breaks."""

    def __init__(self, *pieces: Pieces, end: str = "the agent ended") -> None:
        self.pieces = list(pieces)
        self.sent = b""
        self.end = end

    def send(self, data: bytes) -> None:
        """Keep it."""
        self.sent += data

    def receive(self, timeout: float) -> Pieces:
        """The next pieces."""
        assert timeout > 0
        if not self.pieces:
            raise StreamBroken(self.end)
        return self.pieces.pop(0)

    def close(self) -> None:
        """Nothing."""


def heard(*pieces: Pieces) -> list[str]:
    """The lines until the stream breaks, which a scripted one always does."""
    lines: list[str] = []
    with suppress(StreamBroken):
        lines.extend(LineStream(Scripted(*pieces), "here").lines(5))
    return lines


@given(st.lists(st.text("abc", max_size=5), max_size=5), st.data())
def test_lines_come_whole_however_their_bytes_are_cut(lines: list[str], data: st.DataObject) -> None:
    text = "".join(f"{line}\n" for line in lines).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    pieces = [[(Channel.OUT, text[a:b])] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert heard(*pieces) == lines


def test_lines_that_nobody_took_yet_are_not_lost() -> None:
    stream = LineStream(Scripted([(Channel.OUT, b"one\ntwo\n")]), "here")
    assert next(stream.lines(5)) == "one"
    assert next(stream.lines(5)) == "two"


def test_what_it_said_on_standard_error_is_in_the_error() -> None:
    stream = LineStream(Scripted([(Channel.ERROR, b"no module named agent\n")]), "exec in pod a/b")
    with pytest.raises(StreamBroken, match="exec in pod a/b: the agent ended; it said: no module named agent"):
        next(stream.lines(5))


def test_silence_breaks_it() -> None:
    class Mute(Scripted):
        def receive(self, timeout: float) -> Pieces:
            assert timeout > 0
            return []

    with pytest.raises(StreamBroken, match=r"silent for 0\.0 s"):
        next(LineStream(Mute(), "here").lines(0.01))


def test_an_agent_of_another_version_is_refused() -> None:
    old = wire.line("hello", 1, version=0, identity="x").encode() + b"\n"
    with pytest.raises(StreamBroken, match="the agent's image is stale"):
        Conversation("client", LineStream(Scripted([(Channel.OUT, old)]), "here"))


@given(
    st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(min_size=1, max_size=9)), max_size=5), st.integers(0, 60)
)
def test_the_engines_stream_is_told_apart(pieces: list[tuple[int, bytes]], cut: int) -> None:
    data = b"".join(struct.pack(">BxxxL", number, len(content)) + content for number, content in pieces)
    first, rest = demultiplexed(data[:cut])
    second, left = demultiplexed(rest + data[cut:])
    channels = {1: Channel.OUT, 2: Channel.ERROR}
    assert [*first, *second] == [(channels[number], content) for number, content in pieces]
    assert left == b""


@pytest.mark.parametrize(
    ("name", "ndots", "expected"),
    [
        ("web.", 5, ["web."]),
        ("web", 5, ["web.ns.svc.cluster.local.", "web.svc.cluster.local.", "web."]),
        ("web.ns.svc.cluster.local", 5, ["web.ns.svc.cluster.local.ns.svc.cluster.local."]),
        ("a.b", 1, ["a.b."]),
    ],
)
def test_names_are_tried_in_a_stub_resolvers_order(name: str, ndots: int, expected: list[str]) -> None:
    tried = candidates(name, ("ns.svc.cluster.local", "svc.cluster.local"), ndots)
    assert tried[: len(expected)] == expected


def test_resolv_conf_is_read_as_its_manual_says() -> None:
    found = resolver_in(
        "# us\nnameserver 10.96.0.10\nnameserver 192.0.2.1\nsearch a.b c.\noptions ndots:5 timeout:1\n"
    )
    assert (found.server, found.search, found.ndots) == ("10.96.0.10", ("a.b", "c."), 5)
    assert resolver_in("nameserver ::1\ndomain x\nsearch y").search == ("y",)
    assert resolver_in("nameserver ::1").ndots == 1
    with pytest.raises(Unable, match="names no server"):
        resolver_in("search a")
