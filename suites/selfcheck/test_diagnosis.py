"""A diagnosis names the last link where a packet was seen, and the next where it was not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixtures.evidence.diagnosis import Diagnosis, Half, Sighting, Station, Way, diagnose

STATIONS = (
    Station("worker", "veth1"),
    Station("worker", "cni0"),
    Station("worker", "flannel.1"),
    Station("worker", "eth0"),
    Station("worker2", "eth0"),
    Station("worker2", "flannel.1"),
    Station("worker2", "cni0"),
    Station("worker2", "veth2"),
)


def said(requests: int, replies: int, cut: str = "") -> Diagnosis:
    seen = [Sighting(station, Half.REQUEST) for station in STATIONS[:requests]]
    seen += [Sighting(station, Half.REPLY) for station in STATIONS[::-1][:replies]]
    return diagnose("udp client → remote", Way(STATIONS, cut), seen)


def test_request_lost_between_two_links() -> None:
    found = said(2, 0)
    assert (found.last, found.missing) == (STATIONS[1], STATIONS[2])
    assert found.sentence == (
        "udp client → remote: the request was last seen on cni0 on worker, never on flannel.1 on worker."
    )


def test_request_that_never_left() -> None:
    assert "not even on veth1 on worker: it did not leave its sender" in said(0, 0).sentence


def test_reply_lost_on_its_way_back() -> None:
    found = said(8, 3)
    assert found.half is Half.REPLY
    assert found.sentence.endswith("the reply was last seen on flannel.1 on worker2, never on eth0 on worker2.")


def test_nothing_came_back() -> None:
    assert "arrived at veth2 on worker2, and nothing came back there" in said(8, 0).sentence


def test_all_seen_is_said_as_such() -> None:
    found = said(8, 8)
    assert found.missing is None
    assert "nothing was lost between them" in found.sentence


def test_a_way_that_a_kernel_cuts() -> None:
    cut = Way(STATIONS[:2], "worker knows no route to 10.244.2.7: blackhole")
    found = diagnose("udp client → remote", cut, [Sighting(station, Half.REQUEST) for station in STATIONS[:2]])
    assert found.sentence.endswith("last seen on cni0 on worker; worker knows no route to 10.244.2.7: blackhole.")


def test_a_way_without_stations_is_an_error() -> None:
    with pytest.raises(ValueError, match="leads nowhere"):
        diagnose("udp client → remote", Way(()), [])


@given(st.integers(0, len(STATIONS)), st.integers(0, len(STATIONS)))
def test_missing_is_always_the_station_after_the_last(requests: int, replies: int) -> None:
    found = said(requests, replies if requests == len(STATIONS) else 0)
    order = STATIONS if found.half is Half.REQUEST else STATIONS[::-1]
    expected = 0 if found.last is None else order.index(found.last) + 1
    if found.half is Half.REPLY and replies == 0:
        assert found.last == STATIONS[-1]
    else:
        assert found.missing == (order[expected] if expected < len(order) else None)
