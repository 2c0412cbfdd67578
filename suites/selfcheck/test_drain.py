"""What comes to a default gateway is told apart: a check's own question, Docker's own, and what nobody asked."""

from __future__ import annotations

from ipaddress import ip_address

import dns.message
import dns.rcode
import dpkt
import pytest

import clusters.drain
from fixtures.agent import drain, wire, zones
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
    by_name = saw(cell("client", "service/web", port=80), Outcome.TIMED_OUT, asked_at=ip_address("10.96.0.9"))
    asked = [silent, answered, by_name, saw(cell("client", "other", marker=MARKER), Outcome.TIMED_OUT)]

    own = [came(silent.cell.address), came("10.96.0.9"), came(marker=MARKER)]
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


@pytest.mark.parametrize(
    ("port", "name", "kind", "code", "records"),
    [
        (zones.UPSTREAM_PORT, "elsewhere.example", "A", dns.rcode.NOERROR, ["203.0.113.80"]),
        (zones.UPSTREAM_PORT, "Elsewhere.Example", "AAAA", dns.rcode.NOERROR, ["2001:db8::80"]),
        (zones.UPSTREAM_PORT, "elsewhere.example", "SRV", dns.rcode.NOERROR, []),
        (zones.UPSTREAM_PORT, "host.stub.example", "A", dns.rcode.NXDOMAIN, []),
        (zones.STUB_PORT, "host.stub.example", "A", dns.rcode.NOERROR, ["203.0.113.90"]),
        (zones.STUB_PORT, "elsewhere.example", "A", dns.rcode.NXDOMAIN, []),
    ],
)
def test_each_zone_has_names_of_its_own(
    port: int, name: str, kind: str, code: dns.rcode.Rcode, records: list[str]
) -> None:
    said = zones.answer(zones.ZONES[port], dns.message.make_query(name, kind).to_wire())
    assert said is not None
    message = dns.message.from_wire(said)
    assert (message.rcode(), [item.to_text() for rrset in message.answer for item in rrset]) == (code, records)


def test_what_is_no_question_gets_no_answer() -> None:
    assert zones.answer(zones.ZONES[zones.STUB_PORT], b"no question") is None


def test_the_cluster_asks_where_the_drain_answers() -> None:
    assert {clusters.drain.UPSTREAM_PORT, clusters.drain.STUB_PORT} == set(zones.ZONES)
    assert all(name.endswith(f".{clusters.drain.STUB_DOMAIN}.") for name in zones.ZONES[clusters.drain.STUB_PORT])
