"""What comes to a default gateway is told apart: a check's own question, Docker's own, and what nobody asked."""

from __future__ import annotations

from ipaddress import ip_address

import dns.message
import dpkt
import pytest

from fixtures.agent import drain, wire
from fixtures.verdicts.observation import Outcome
from fixtures.world.drained import Drained, unasked
from fixtures.world.hosts import network_of
from suites.selfcheck.samples import cell, saw

NODE, NOBODY = "172.18.0.3", "203.0.113.9"
MARKER = "0123456789abcdef"


def packet(protocol: int, data: dpkt.Packet | bytes, to: str = NOBODY) -> bytes:
    """An IPv4 packet from a node."""
    ip = dpkt.ip.IP(src=ip_address(NODE).packed, dst=ip_address(to).packed, p=protocol, data=data)
    ip.len = len(bytes(ip))
    return bytes(ip)


def datagram(port: int, data: bytes) -> dpkt.udp.UDP:
    return dpkt.udp.UDP(sport=40000, dport=port, data=data, ulen=8 + len(data))


QUESTION = dns.message.make_query("worker.", "AAAA").to_wire()


@pytest.mark.parametrize(
    ("raw", "line"),
    [
        (packet(6, dpkt.tcp.TCP(sport=40000, dport=80)), f"{NODE} {NOBODY} 6 40000 80 - -"),
        (packet(17, datagram(80, wire.greeting(MARKER, 0))), f"{NODE} {NOBODY} 17 40000 80 {MARKER} -"),
        (packet(17, datagram(53, QUESTION)), f"{NODE} {NOBODY} 17 40000 53 - worker./AAAA"),
        (packet(17, datagram(53, b"no question")), f"{NODE} {NOBODY} 17 40000 53 - -"),
        (packet(1, b"\x08\x00\x00\x00\x00\x01\x00\x01"), f"{NODE} {NOBODY} 1 0 0 - -"),
        (packet(17, datagram(80, b"x"), to="224.0.0.1"), None),
        (packet(17, datagram(80, b"x"), to="127.0.0.1"), None),
        (b"\x45", None),
        (b"", None),
    ],
    ids=["tcp", "greeting", "question", "no-question", "icmp", "multicast", "loopback", "cut", "empty"],
)
def test_a_packet_is_written_down_in_one_line(raw: bytes, line: str | None) -> None:
    assert drain.described(raw) == line


def came(destination: str = NOBODY, port: int = 80, *, protocol: str = "tcp", marker: str = "") -> Drained:
    return Drained(ip_address(NODE), ip_address(destination), protocol, 40000, port, marker, "", 1)


def test_a_checks_own_questions_are_known_by_marker_and_by_address() -> None:
    silent = saw(cell("client", "service/web", port=80), Outcome.TIMED_OUT)
    answered = saw(cell("client", "server", port=80))
    asked = [silent, answered, saw(cell("client", "other", marker=MARKER), Outcome.TIMED_OUT)]

    own = [came(silent.cell.address), came(marker=MARKER)]
    foreign = [came(answered.cell.address), came(silent.cell.address, 81), came(), came(protocol="udp")]

    assert unasked([*own, *foreign], asked) == foreign


def test_a_finding_is_a_sentence() -> None:
    assert (
        came().sentence({ip_address(NODE): "worker"}) == "worker sent 203.0.113.9:80 (tcp) to its default gateway"
    )


TWO_CARDS = {
    "another": {"IPAddress": "10.9.0.3", "GlobalIPv6Address": ""},
    "netproof-flannel-vxlan": {"IPAddress": NODE, "GlobalIPv6Address": ""},
}


def test_outside_goes_where_the_nodes_own_addresses_are() -> None:
    assert network_of(TWO_CARDS, [ip_address(NODE)]) == "netproof-flannel-vxlan"
    with pytest.raises(LookupError, match=r"none of the Docker networks another, netproof-flannel-vxlan"):
        network_of(TWO_CARDS, [ip_address("192.0.2.1")])
