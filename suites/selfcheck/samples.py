"""Cells and observations to judge: three pods and a Service that nobody ever started."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from hypothesis import strategies as st

from fixtures.verdicts.expectation import Expectation, blocked, not_reached, reached, refused, too_big
from fixtures.verdicts.observation import Cell, Observation, Outcome, Placement, Probe, Protocol

ADDRESSES = {"client": "192.0.2.1", "server": "192.0.2.2", "other": "192.0.2.3", "service/web": "198.51.100.1"}
PODS = ("client", "server", "other")


def cell(
    source: str = "client",
    destination: str = "server",
    *,
    protocol: Protocol = Protocol.TCP,
    port: int = 8080,
    marker: str = "",
    peers: frozenset[str] | None = None,
) -> Cell:
    """A question between two of the samples."""
    virtual = destination.startswith("service/")
    if peers is None:
        peers = frozenset({"server", "other"} if virtual else {destination})
    return Cell(
        source,
        destination,
        ADDRESSES[destination],
        Probe(protocol, port),
        peers,
        marker,
        None if virtual else Placement.ITSELF if source == destination else Placement.OTHER_NODE,
    )


def saw(asked: Cell, outcome: Outcome = Outcome.REACHED, **fields: Any) -> Observation:
    """What a well network would show of that cell, or another outcome."""
    seen = Observation(asked, outcome, seconds=0.002)
    if outcome is Outcome.REACHED:
        seen = replace(
            seen,
            answered_by=min(asked.peers, default=""),
            connect_seconds=0.001,
            seen_as=(IPv4Address(ADDRESSES[asked.source]), 40000),
        )
    return replace(seen, **fields)


addresses = st.one_of(
    st.builds(IPv4Address, st.integers(0, 2**32 - 1)), st.builds(IPv6Address, st.integers(0, 2**128 - 1))
)
durations = st.none() | st.floats(0, 100, allow_nan=False)
ports = st.integers(0, 65535)
texts = st.text(max_size=20)

cells = st.builds(
    cell,
    st.sampled_from(PODS),
    st.sampled_from([*PODS, "service/web"]),
    protocol=st.sampled_from(Protocol),
    port=st.sampled_from([80, 8080]),
    marker=st.text("0123456789abcdef", max_size=4),
)
observations = st.builds(
    Observation,
    cells,
    st.sampled_from(Outcome),
    answered_by=st.sampled_from(["", *PODS]),
    seen_as=st.none() | st.tuples(addresses, ports),
    served_at=st.none() | st.tuples(addresses, ports),
    source_address=st.none() | st.tuples(addresses, ports),
    asked_at=st.none() | addresses,
    connect_seconds=durations,
    seconds=durations,
    received=st.integers(0, 2**40),
    answers=st.lists(texts, max_size=3).map(tuple),
    detail=texts,
    sweep=st.integers(0, 9),
    at=st.floats(0, 2e9, allow_nan=False),
)
sweeps = st.lists(observations, max_size=12)
promises: st.SearchStrategy[Expectation] = st.sampled_from(
    [
        reached(),
        reached(connect_within=None),
        reached(within=1.0, received=10, answers=["a"], seen_as=[IPv4Address("192.0.2.1")]),
        blocked(),
        not_reached(),
        refused(within=0.5),
        too_big(),
    ]
)
expectations = st.dictionaries(cells, promises, min_size=1, max_size=8)
