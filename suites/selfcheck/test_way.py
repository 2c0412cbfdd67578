"""The way of a packet is walked through every kind of tunnel, by what kernels say as iproute2 prints it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any

import dpkt
import pytest

from fixtures.agent.ports import ports_of
from fixtures.endpoints.conversation import AgentRefused
from fixtures.evidence.diagnosis import Half
from fixtures.evidence.pairs import passages
from fixtures.evidence.way import Network, Spot
from fixtures.probes.frames import decoded

HERE, THERE = ip_address("172.18.0.3"), ip_address("172.18.0.4")
CLIENT, REMOTE = ip_address("10.244.1.5"), ip_address("10.244.2.7")
FROM, TO = Spot(CLIENT, "worker", "veth1"), Spot(REMOTE, "worker2", "veth2")


def kernels(device: str, kind: str, *, gateway: str = "", data: dict[str, Any] | None = None) -> Network:
    """Two nodes with pods on veths, and between them a device of that kind."""
    links: dict[str, dict[str, Any]] = {
        "veth1": {"linkinfo": {"info_kind": "veth"}},
        "veth2": {"linkinfo": {"info_kind": "veth"}},
        "eth0": {"linkinfo": {"info_kind": "veth"}},
        device: {"linkinfo": {"info_kind": kind, "info_data": data or {}}},
    }
    hop = {"dst": str(REMOTE), "dev": device, **({"gateway": gateway} if gateway else {})}
    routes = {
        ("worker", str(REMOTE)): hop,
        ("worker2", str(REMOTE)): {"dst": str(REMOTE), "dev": "veth2"},
        ("worker", str(THERE)): {"dst": str(THERE), "dev": "eth0"},
        ("worker2", str(HERE)): {"dst": str(HERE), "dev": "eth0"},
    }

    def ask(node: str, words: Sequence[str]) -> str:
        match list(words):
            case ["ip", "-j", "-d", "link", "show", "dev", name]:
                return json.dumps([{"ifname": name, **links[name]}])
            case ["ip", "-j", "route", "get", to, *_] if (node, to) in routes:
                return json.dumps([routes[node, to]])
            case ["ip", "-j", "neigh", *_]:
                return json.dumps([{"dst": gateway, "lladdr": "aa:bb:cc:dd:ee:ff", "state": ["PERMANENT"]}])
            case ["bridge", "-j", "fdb", *_]:
                return json.dumps([{"mac": "aa:bb:cc:dd:ee:ff", "ifname": device, "dst": str(THERE)}])
        raise AgentRefused(f"{node}: {' '.join(words)}: RTNETLINK answers: Network is unreachable")

    return Network(ask, {HERE: "worker", THERE: "worker2"})


@pytest.mark.parametrize(
    ("device", "network"),
    [
        ("flannel.1", kernels("flannel.1", "vxlan", gateway="10.244.2.0")),
        ("tunl0", kernels("tunl0", "ipip", gateway=str(THERE), data={"remote": "any"})),
        ("ipip-b", kernels("ipip-b", "ipip", data={"remote": str(THERE)})),
        ("flannel0", kernels("flannel0", "tun")),
        ("wg0", kernels("wg0", "wireguard")),
    ],
)
def test_every_kind_of_tunnel_is_walked_to_the_pod(device: str, network: Network) -> None:
    way = network.way(FROM, TO)
    passed = [(station.node, station.link) for station in way.stations]
    assert (way.cut, passed) == (
        "",
        [
            ("worker", "veth1"),
            ("worker", device),
            ("worker", "eth0"),
            ("worker2", "eth0"),
            ("worker2", device),
            ("worker2", "veth2"),
        ],
    )


def test_a_followed_packet_is_told_link_by_link() -> None:
    way = kernels("tun0", "tun").way(FROM, TO)
    seen = [
        (decoded("worker", "veth1", 4, 0.0, len(FRAME), FRAME), Half.REQUEST),
        (decoded("worker", "eth0", 4, 0.0, len(FRAME), FRAME), Half.REPLY),
    ]
    told = [(it.station.link, it.request, it.reply, it.addresses) for it in passages(way, seen)]
    assert told[:3] == [
        ("veth1", True, False, "10.244.1.5 → 10.244.2.7"),
        ("tun0", False, False, ""),
        ("eth0", False, True, ""),
    ]
    assert len(told) == len(way.stations)


def test_without_a_tunnel_the_next_hop_is_the_node() -> None:
    way = kernels("eth0", "veth", gateway=str(THERE)).way(FROM, TO)
    assert [station.link for station in way.stations] == ["veth1", "eth0", "eth0", "veth2"]


def test_a_gateway_that_is_no_node_cuts_the_way() -> None:
    way = kernels("eth0", "veth", gateway="172.18.255.254").way(FROM, TO)
    assert "172.18.255.254, which is no node" in way.cut


def test_a_node_without_a_route_cuts_the_way() -> None:
    network = kernels("tunl0", "ipip", gateway=str(THERE))
    way = network.way(FROM, Spot(ip_address("10.244.9.9"), "worker2", "veth2"))
    assert "worker knows no route to 10.244.9.9" in way.cut


def inner(flags: int = dpkt.tcp.TH_SYN, payload: bytes = b"") -> bytes:
    """A first packet of TCP between two pods."""
    tcp = dpkt.tcp.TCP(sport=43210, dport=8080, flags=flags, data=payload)
    return bytes(dpkt.ip.IP(src=CLIENT.packed, dst=REMOTE.packed, p=6, data=tcp))


def outer(protocol: int, data: bytes | dpkt.Packet) -> bytes:
    """The packet between two nodes, in an Ethernet frame."""
    packet = dpkt.ip.IP(src=HERE.packed, dst=THERE.packed, p=protocol, data=data)
    packet.len = len(bytes(packet))
    return bytes(dpkt.ethernet.Ethernet(src=b"\x02" * 6, dst=b"\x04" * 6, data=packet))


def in_udp(port: int, data: bytes) -> bytes:
    """In a datagram to that port."""
    return outer(17, dpkt.udp.UDP(sport=port, dport=port, data=data, ulen=8 + len(data)))


FRAME = bytes(dpkt.ethernet.Ethernet(src=b"\x06" * 6, dst=b"\x08" * 6, data=dpkt.ip.IP(inner())))
WRAPPED = {
    "vxlan at 4789": in_udp(4789, b"\x08\x00\x00\x00\x00\x00\x01\x00" + FRAME),
    "vxlan at a port of one's own": in_udp(8472, b"\x08\x00\x00\x00\x00\x10\x01\x00" + FRAME),
    "ipip": outer(4, inner()),
    "bare packet in udp": in_udp(8285, inner()),
    "bare packet, cut off by the capture": in_udp(8285, inner(payload=bytes(1000)))[:200],
}


@pytest.mark.parametrize("raw", WRAPPED.values(), ids=WRAPPED.keys())
def test_a_packet_is_found_in_every_kind_of_tunnel(raw: bytes) -> None:
    frame = decoded("worker", "eth0", 4, 0.0, len(raw), raw)
    assert frame.carried is not None
    assert (frame.carried.source, frame.carried.destination, frame.carried.flags) == (CLIENT, REMOTE, "S")
    assert {43210, 8080} <= ports_of(raw)


@pytest.mark.parametrize(
    "payload", [b"\x45plain text", b"\x08\x00\x00\x00short", bytes(100), b"netproof1 0 0 0\n"]
)
def test_what_is_no_tunnel_is_not_taken_for_one(payload: bytes) -> None:
    raw = in_udp(8080, payload)
    assert decoded("worker", "eth0", 4, 0.0, len(raw), raw).inner is None
    assert ports_of(raw) == {8080}
