"""Pods of one node reach each other by pod IP, over the node's bridge or its routes, and never off the node.

    worker 172.18.0.3
    ┌──────────────────────────────────────────────────────────────┐
    │   client 10.244.1.x                 neighbour 10.244.1.y     │
    │      eth0                                 eth0               │
    │       │ vethA                              │ vethB           │
    │       └──────────── bridge 10.244.1.1 ───────┘                 │
    │                                                              │
    └── eth0 ───────────── (nothing of it here) ───────────────────┘

Where a CNI has no bridge, the node routes from vethA to vethB. It fails where the bridge does not forward: a port
that is down or isolated, bridged packets that iptables drops, an address that two pods have; and where a pod's
route is missing or leads elsewhere. A small packet can pass where a large one does not, and one direction where
the other is dead, so each is asked for.
"""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from fixtures.plugins.proof import Proof
from fixtures.probes.attachment import bridged, routed
from fixtures.probes.capture import Capture
from fixtures.probes.journey import in_words
from fixtures.probes.kernel import look_at
from fixtures.probes.plan import address_of, between
from fixtures.probes.promises import without_nat
from fixtures.probes.runner import Prober
from fixtures.probes.ways import get, ping, tcp, udp
from fixtures.verdicts.expectation import all_of, reached
from fixtures.verdicts.judge import judge
from fixtures.world.one_packet import one_packet
from fixtures.world.world import PORT, World

WAYS = (tcp(PORT), udp(PORT), udp(PORT, size=1400), ping(), ping(1400), get(PORT, size=200_000, timeout=3.0))


@pytest.mark.claim("POD-3")
def test_both_directions(world: World, family: int, prober: Prober, proof: Proof) -> None:
    """TCP, UDP and ICMP, small and large, in both directions, and each sees the other's own address."""
    cells = between([world["client"], world["neighbour"]], WAYS, family)

    seen = prober.sweep(cells)

    proof.concludes(judge(without_nat(cells, world), seen))


@pytest.mark.claim("POD-3")
@pytest.mark.requires("bridge")
def test_over_the_bridge(world: World, prober: Prober, capture: Capture, proof: Proof) -> None:
    """One packet and its answer are seen from veth to veth of one bridge, and at no other link of the node."""
    it = one_packet(world, prober, capture, "client", "neighbour")

    bridges = f"{it.near.bridge}, {it.far.bridge}"
    proof.concludes(judge(all_of([it.cell], reached()), it.seen))
    proof.shows(it.shown)
    proof.fact("both pods are ports of one bridge", it.near.bridge == it.far.bridge != "", bridges)
    proof.fact("the packet passed from port to port", it.there == bridged(it.near, it.far), in_words(it.there))
    proof.fact("so did the answer", it.back == bridged(it.far, it.near), in_words(it.back))


@pytest.mark.claim("POD-3")
@pytest.mark.requires("routed-pods")
def test_by_the_node(world: World, prober: Prober, capture: Capture, proof: Proof) -> None:
    """One packet and its answer go from veth to veth by the node's routes, one to each pod, over no other link."""
    it = one_packet(world, prober, capture, "client", "neighbour")

    (node,) = look_at(prober.conversations, [world.host_of("client")], world.family).values()
    own = {route.destination: route.device for route in node.routes}
    right = {ip_network(address_of(world[end.pod])): end.veth for end in (it.near, it.far)}
    bridges = f"{it.near.bridge}, {it.far.bridge}"
    proof.concludes(judge(all_of([it.cell], reached()), it.seen))
    proof.shows(it.shown)
    proof.fact("each pod has a host route to its own veth", right.items() <= own.items(), right)
    proof.fact("neither veth is a port of a bridge", not it.near.bridge and not it.far.bridge, bridges)
    proof.fact("the packet passed from veth to veth", it.there == routed(it.near, it.far), in_words(it.there))
    proof.fact("so did the answer", it.back == routed(it.far, it.near), in_words(it.back))
