"""Containers of a macvlan network have addresses of their own on the card's segment, without bridge or NAT.

    red, a Docker host that translates                     switch
      one 192.0.2.11 ┬ macvlan                             │
      two 192.0.2.12 ┴ card0 192.0.2.10 ══════════ to-red ─┼─ to-peer ══ eth0 192.0.2.21 peer
      bridged 172.17.0.x ─ docker0 ─ masquerade ─ card0    │              blue, Docker host
                                                           └─ to-blue ══ card0 ─ macvlan ─ far 192.0.2.13

    one → peer: ‹one→peer tcp›              peer → one: ‹peer→one tcp›
    one → far:  ‹one→far tcp›               far → one:  ‹far→one tcp›

The container `bridged` is there for comparison: on the same host at the same time its packets are routed and
translated, and conntrack shows it. A check fails where two on the segment have one MAC address, where somebody
else answers for the containers, and where something on the way routes or translates.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address

import pytest

from fixtures.endpoints.containers import ContainerEndpoint
from fixtures.faults.fault import fault
from fixtures.faults.lab_levers import packet_rule
from fixtures.lab.docker_host import WITHOUT_NAT
from fixtures.lab.lab import Lab
from fixtures.lab.macvlan import MacvlanNetwork
from fixtures.lab.topologies.segment import PARENT, SUBNET, Segment, segment
from fixtures.plugins.proof import Proof
from fixtures.probes.capture import rendered
from fixtures.probes.connections import listed
from fixtures.probes.frames import Direction, Frame
from fixtures.probes.journey import Hop, in_words, taken
from fixtures.probes.kernel import look, look_at
from fixtures.probes.node_state import Nodes
from fixtures.probes.plan import address_of, at, between, every
from fixtures.probes.promises import seen_as, without_nat
from fixtures.probes.runner import Prober
from fixtures.probes.ways import ping, tcp, udp
from fixtures.verdicts.judge import judge
from fixtures.verdicts.observation import Protocol

pytestmark = [pytest.mark.claim("MVL-1"), pytest.mark.needs("macvlan", "conntrack")]

WAYS = (tcp(8080), udp(8080), ping())
SOURCE_PORT = 42_001
"""By which connections are found again in conntrack."""

THERE = [
    Hop("peer", "eth0", Direction.OUT),
    Hop("switch", "to-peer", Direction.PASSING),
    Hop("switch", "to-red", Direction.OUT),
    Hop("red", PARENT, Direction.PASSING),
    Hop("one", "eth0", Direction.IN),
]
BACK = [
    Hop("one", "eth0", Direction.OUT),
    Hop("red", PARENT, Direction.OUT),
    Hop("switch", "to-red", Direction.PASSING),
    Hop("switch", "to-peer", Direction.OUT),
    Hop("peer", "eth0", Direction.IN),
]
"""A packet from the peer to `one`, and its answer: no link but these sees them."""


@dataclass(frozen=True)
class Flat(Segment):
    """The segment, a container on the host's own bridge, and a macvlan network of another host."""

    bridged: ContainerEndpoint
    elsewhere: MacvlanNetwork
    far: ContainerEndpoint

    @property
    def all(self) -> list[ContainerEndpoint]:
        """Containers and machine of the segment."""
        return [*self.children, self.far, self.peer.endpoint]


@pytest.fixture(scope="module")
def flat(lab: Lab) -> Flat:
    """A host with docker0 and all its rules, so that there is something to go past, and another host."""
    made, blue = segment(lab, options=()), lab.host("blue", options=WITHOUT_NAT)
    lab.cable(blue.port(PARENT), made.switch.access("to-blue"))
    elsewhere = MacvlanNetwork(lab, blue, "flat", PARENT, SUBNET, {"far": IPv4Address("192.0.2.13")})
    (far,) = elsewhere.make()
    bridged = made.red.container("bridged")
    return Flat(made.macvlan, made.one, made.two, made.peer, made.switch, bridged, elsewhere, far)


@fault(
    site="flat",
    reddens={
        "macvlan_vlan/own_addresses/reached_directly": "one → far",
        "macvlan_vlan/own_addresses/own_macs": "no two on the segment have the same",
    },
    spares=("macvlan_vlan/own_addresses/past_the_hosts_nat",),
)
def duplicate_mac(flat: Flat) -> Iterator[None]:
    """The other host's container has the MAC address of `one`."""
    mac = look(flat.macvlan.lab.conversations.with_(flat.one)).link("eth0").mac
    with flat.elsewhere.otherwise(mac=mac):
        yield


@fault(
    site="flat",
    reddens={
        "macvlan_vlan/own_addresses/reached_directly": "one → peer",
        "macvlan_vlan/own_addresses/past_the_hosts_nat": "one → peer",
    },
    spares=("macvlan_vlan/own_addresses/own_macs", "macvlan_vlan/own_addresses/way_of_a_packet"),
)
def source_turned_at_the_peer(flat: Flat) -> Iterator[None]:
    """What comes from `one` is translated to its host's address before the peer sees it."""
    rule = f"ip saddr {address_of(flat.one)} snat to {address_of(flat.red.endpoint)}"
    with packet_rule(flat.peer, "ip", "input", rule, kind="nat", priority=100):
        yield


@fault(
    site="flat",
    reddens={"macvlan_vlan/own_addresses/past_the_hosts_nat": "bridged → peer"},
    spares=("macvlan_vlan/own_addresses/reached_directly",),
)
def host_without_masquerade(flat: Flat) -> Iterator[None]:
    """The host lets its bridged container out under its own address."""
    with flat.red.rule("nat", "POSTROUTING", "-s", str(address_of(flat.bridged)), "-j", "ACCEPT"):
        yield


@fault(
    site="flat",
    reddens={"macvlan_vlan/own_addresses/way_of_a_packet": "each kept its MAC addresses and its TTL"},
    spares=("macvlan_vlan/own_addresses/reached_directly", "macvlan_vlan/own_addresses/own_macs"),
)
def switch_that_counts_as_a_hop(flat: Flat) -> Iterator[None]:
    """The switch lowers the TTL of what goes to `one`, as a router does."""
    with packet_rule(flat.switch, "bridge", "forward", f"ip daddr {address_of(flat.one)} ip ttl set 63"):
        yield


def test_reached_directly(lab: Lab, flat: Flat, lab_prober: Prober, proof: Proof) -> None:
    """Peer and containers of both hosts reach each other at their own addresses, and are seen under them."""
    cells = between(flat.all, WAYS)

    seen = lab_prober.sweep(cells)

    proof.concludes(judge(without_nat(cells, lab.endpoints), seen))


def test_own_macs(lab: Lab, flat: Flat, lab_prober: Prober, proof: Proof) -> None:
    """All have MAC addresses of their own, and the peer has learned the containers' and no other for them.

        one 192.0.2.11 ‹one mac›         ┬ macvlan
        two 192.0.2.12 ‹two mac›         ┴ card0 192.0.2.10 ‹red mac›         ═ switch ═ eth0 192.0.2.21 peer
        far 192.0.2.13 ‹far mac›         ─ macvlan ─ card0 ════════════════════ switch

        the peer's neighbour table: 192.0.2.11 is at ‹learned of one›
                                    192.0.2.12 is at ‹learned of two›
                                    192.0.2.13 is at ‹learned of far›

    Two that share one take turns at being heard, which a single probe may or may not show.
    """
    containers, peer = [*flat.children, flat.far], flat.peer.endpoint
    cells = every([peer], map(at, containers), WAYS)

    seen = lab_prober.sweep(cells)

    kernels = look_at(lab.conversations, [*flat.all, flat.red.endpoint])
    macs = {name: state.link(PARENT if name == "red" else "eth0").mac for name, state in kernels.items()}
    known = {it.address: it.mac for it in kernels["peer"].neighbours}
    learned = {it.name: known.get(address_of(it), "nobody") for it in containers}
    proof.draws({f"{name} mac": macs[name] for name in ("one", "two", "far", "red")})
    proof.draws({f"learned of {name}": mac for name, mac in learned.items()})
    proof.fact("no two on the segment have the same", len(set(macs.values())) == len(macs), macs)
    proof.fact("the peer has learned the containers' own", learned.items() <= macs.items(), learned)
    proof.concludes(judge(without_nat(cells, lab.endpoints), seen))


def test_way_of_a_packet(lab: Lab, flat: Flat, lab_prober: Prober, proof: Proof) -> None:
    """One packet and its answer pass cards and switch alone, and keep their MAC addresses and TTL."""
    peer, one = flat.peer.endpoint, flat.one
    cells = every([peer], [at(one)], [udp(8080)])

    with lab.capture.on([peer, flat.switch.endpoint, flat.red.endpoint, one], cells) as taps:
        seen = lab_prober.sweep(cells)

    hops = taps.hops(cells[0])
    there, back = taken(hops, address_of(peer)), taken(hops, address_of(one))
    headers = sorted({header(frame) for frame in hops})
    proof.shows(rendered(hops))
    proof.concludes(judge(without_nat(cells, lab.endpoints), seen))
    proof.fact("the packet went that way", there == THERE, in_words(there))
    proof.fact("so did the answer", back == BACK, in_words(back))
    proof.fact("each kept its MAC addresses and its TTL", len(headers) == 2, "; ".join(headers))


def header(frame: Frame) -> str:
    """What a router or a translator would have changed."""
    ends, packet = frame.ethernet, frame.packet
    return f"{ends.source} > {ends.destination}, TTL {packet.ttl}" if ends and packet else f"no IP: {frame}"


def test_past_the_hosts_nat(lab: Lab, flat: Flat, lab_prober: Prober, proof: Proof) -> None:
    """The host translates its bridged container and knows nothing of the others' connections.

        one → peer:     ‹one→peer tcp›
          the peer sees ‹one as›, the host remembers ‹one remembered›
        bridged → peer: ‹bridged→peer tcp›
          the peer sees ‹bridged as›, the host remembers ‹bridged remembered›

    Without `bridged`, remembering nothing would prove nothing.
    """
    one, bridged, red = flat.one, flat.bridged, flat.red.endpoint
    cells = every([one, bridged], [at(flat.peer.endpoint)], [tcp(8080, source_port=SOURCE_PORT)])

    seen = lab_prober.sweep(cells)

    known = Nodes(lab.conversations, [red]).connections(red, Protocol.TCP, SOURCE_PORT)
    of = {end.name: [it for it in known if it.asked.source == address_of(end)] for end in (one, bridged)}
    proof.draws({f"{name} remembered": listed([found]) for name, found in of.items()})
    proof.draws({f"{it.cell.source} as": it.seen_as[0] for it in seen if it.seen_as})
    proof.concludes(judge(seen_as(cells, {"one": one.addresses, "bridged": red.addresses}), seen))
    proof.fact("of one it remembers nothing", not of["one"], listed([of["one"]]))
    proof.fact(
        "bridged it translates", [it.keeps_source for it in of["bridged"]] == [False], listed([of["bridged"]])
    )
