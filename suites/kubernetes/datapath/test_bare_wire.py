"""Without a tunnel a pod's packet goes over the nodes' network as it is, and straight to the node of its pod.

    client 10.244.1.x ── worker ══ [ MAC of worker > MAC of worker2 [ 10.244.1.x > 10.244.2.y … ] ] ══ worker2

Each node has a route for each other node's subnet, with that node's own address as its next hop: so all nodes have
to be on one link. It fails where something wraps packets after all, and where they take a detour by a third node,
which hands them on: pods reach each other then as well, and only the wire tells.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network

import pytest

from clusters.features import Feature
from fixtures.faults.fault import fault
from fixtures.faults.link_levers import added
from fixtures.faults.rule_levers import packet_rule
from fixtures.faults.site import Site
from fixtures.plugins.proof import Proof
from fixtures.probes.attachment import bare
from fixtures.probes.capture import Capture, rendered
from fixtures.probes.journey import in_words
from fixtures.probes.kernel import look_at
from fixtures.probes.plan import address_of, between
from fixtures.probes.promises import without_nat
from fixtures.probes.runner import Prober
from fixtures.probes.ways import get, ping, tcp, udp
from fixtures.verdicts.judge import judge
from fixtures.world.one_packet import one_packet
from fixtures.world.world import PORT, World

pytestmark = [
    pytest.mark.claim("FLN-4", "CAL-1"),
    pytest.mark.requires("known-profile"),
    pytest.mark.requires_absent("encapsulation"),
]

WAYS = (tcp(PORT), udp(PORT), ping(), get(PORT, size=200_000, timeout=3.0))


@fault(
    reddens={"kubernetes/datapath/bare_wire/straight_to_the_node": "go to the card of their pod's node"},
    spares=("kubernetes/datapath/bare_wire/way_of_a_packet", "kubernetes/pods/pods_on_one_node/both_directions"),
    absent=(Feature.ENCAPSULATION,),
)
def by_a_third_node(site: Site) -> Iterator[None]:
    """The near node sends half of what is for the far node's pods by way of the control plane."""
    halves = ip_network(site.subnet(site.far)).subnets()
    half = next(it for it in halves if address_of(site.world["remote"]) in it)
    way = (str(half), "via", site.address(site.bystander), "dev", site.card(site.near))
    with added(site, site.near, "ip", "route", *way):
        yield


@fault(
    reddens={"kubernetes/datapath/bare_wire/way_of_a_packet": "client → remote"},
    spares=("kubernetes/pods/pods_on_one_node/both_directions",),
    absent=(Feature.ENCAPSULATION,),
)
def nothing_sent_on(site: Site) -> Iterator[None]:
    """The near node drops what leaves it for the pod remote."""
    with packet_rule(site, site.near, "postrouting", f"ip daddr {site.pod_address('remote')} drop"):
        yield


def test_way_of_a_packet(world: World, prober: Prober, capture: Capture, proof: Proof) -> None:
    """One packet and its answer pass veth (bridge) and card of both nodes, and no other link."""
    it = one_packet(world, prober, capture, "client", "remote")

    proof.concludes(judge(without_nat([it.cell], world), it.seen))
    proof.shows(it.shown)
    proof.fact("the packet went that way", it.there == bare(it.near, it.far), in_words(it.there))
    proof.fact("so did the answer", it.back == bare(it.far, it.near), in_words(it.back))


def test_straight_to_the_node(world: World, prober: Prober, capture: Capture, proof: Proof) -> None:
    """Between nodes packets are bare, and each goes to the card of its pod's own node: TCP, UDP, ICMP, HTTP."""
    pods = [world[name] for name in ("client", "remote", "third")]
    kernels = look_at(prober.conversations, world.nodes, world.family)
    cards = {node.name: kernels[node.name].holding(address_of(node)) for node in world.nodes}
    cells = between(pods, WAYS)

    with capture.on(world.nodes, cells, links=[card.name for card in cards.values()]) as taps:
        seen = prober.sweep(cells)

    wrapped = [frame for frame in taps.frames if frame.encapsulated]
    right = {address_of(pod): cards[pod.node].mac for pod in pods}
    astray = [
        frame
        for frame in taps.frames
        if frame.packet and frame.ethernet and frame.ethernet.destination != right.get(frame.packet.destination)
    ]
    count = len(taps.frames)
    proof.fact(f"of {count} packets between nodes none is wrapped", not wrapped, rendered(wrapped[:5]) or "none")
    proof.fact(
        f"{count} packets go to the card of their pod's node", bool(count) and not astray, rendered(astray[:5])
    )
    proof.concludes(judge(without_nat(cells, world), seen))
