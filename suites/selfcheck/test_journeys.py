"""The way of a packet and its tunnel headers are read from frames as they are, and a frame too many is seen."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import pytest

from clusters.cni.flannel import VXLAN
from fixtures.probes.attachment import Attachment, bridged, tunnelled
from fixtures.probes.frames import Direction, Ethernet, Frame, Packet
from fixtures.probes.journey import in_words, taken
from fixtures.probes.tunnel_header import Bare, TunnelEnd, TunnelHeader, promised, seen_in

NEAR = Attachment("client", "worker", "vethA", "cni0", "eth0")
FAR = Attachment("remote", "worker2", "vethB", "cni0", "eth0")
ENDS = (
    TunnelEnd(ip_address("192.0.2.1"), "02:00:00:00:00:01"),
    TunnelEnd(ip_address("192.0.2.2"), "02:00:00:00:00:02"),
)
INNER = Packet(ip_address("10.244.1.2"), ip_address("10.244.2.2"), "udp", 80, 64, 5000, 8080)
OUTER = Packet(ENDS[0].address, ENDS[1].address, "udp", 130, 64, 40000, VXLAN.port)
PLAIN = Frame("worker", "eth0", Direction.OUT, 0.0, 94, b"", packet=INNER)
WRAPPED = replace(
    PLAIN, packet=OUTER, vni=1, inner=INNER, inner_ethernet=Ethernet(ENDS[0].mac, ENDS[1].mac, 0x0800)
)


def frames() -> list[Frame]:
    return [
        replace(WRAPPED if hop.wrapped else PLAIN, place=hop.place, link=hop.link, direction=hop.direction)
        for hop in tunnelled(NEAR, FAR, VXLAN)
    ]


def test_the_way_through_the_tunnel() -> None:
    assert taken(frames(), INNER.source) == tunnelled(NEAR, FAR, VXLAN)
    assert taken(frames(), INNER.destination) == []


def test_a_bare_frame_between_the_nodes_breaks_the_way() -> None:
    bare = [*frames(), replace(PLAIN, place="worker2", direction=Direction.IN)]
    assert taken(bare, INNER.source) != tunnelled(NEAR, FAR, VXLAN)


def test_there_and_back_are_two_ways() -> None:
    assert bridged(NEAR, FAR) != bridged(FAR, NEAR)
    assert in_words(bridged(NEAR, FAR)[:2]) == "client eth0 out → worker vethA passing"
    assert in_words([]) == "seen nowhere"


def test_tunnel_headers() -> None:
    there = TunnelHeader(*ENDS, VXLAN.port, 1)
    assert seen_in(frames()) == {there}
    assert promised(ENDS, VXLAN) == {there, TunnelHeader(ENDS[1], ENDS[0], VXLAN.port, 1)}
    with pytest.raises(Bare, match="worker eth0 out"):
        TunnelHeader.of(PLAIN)
