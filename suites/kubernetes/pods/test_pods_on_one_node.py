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

import pytest

from fixtures.plugins.proof import Proof
from fixtures.probes.attachment import attached, bridged, routed
from fixtures.probes.capture import Capture, rendered
from fixtures.probes.journey import in_words, taken
from fixtures.probes.kernel import look_at
from fixtures.probes.plan import address_of, at, between, every
from fixtures.probes.promises import without_nat
from fixtures.probes.runner import Prober
from fixtures.probes.ways import get, ping, tcp, udp
from fixtures.verdicts.expectation import all_of, reached
from fixtures.verdicts.judge import judge
from fixtures.world.world import PORT, World

WAYS = (tcp(PORT), udp(PORT), udp(PORT, size=1400), ping(), ping(1400), get(PORT, size=200_000, timeout=3.0))


@pytest.mark.claim("POD-3")
def test_both_directions(world: World, prober: Prober, proof: Proof) -> None:
    """TCP, UDP and ICMP, small and large, in both directions, and each sees the other's own address."""
    cells = between([world["client"], world["neighbour"]], WAYS)

    seen = prober.sweep(cells)

    proof.concludes(judge(without_nat(cells, world), seen))


@pytest.mark.claim("POD-3")
@pytest.mark.requires("bridge")
def test_over_the_bridge(world: World, prober: Prober, capture: Capture, proof: Proof) -> None:
    """One packet and its answer are seen from veth to veth of one bridge, and at no other link of the node."""
    client, neighbour, node = world["client"], world["neighbour"], world.host_of("client")
    near, far = (attached(prober.conversations, pod, node) for pod in (client, neighbour))
    (cell,) = every([client], [at(neighbour)], [udp(PORT)])

    with capture.on([client, node, neighbour], [cell]) as taps:
        seen = prober.sweep([cell])

    there, back = (taken(taps.hops(cell), address_of(pod)) for pod in (client, neighbour))
    proof.concludes(judge(all_of([cell], reached()), seen))
    proof.shows(rendered(taps.hops(cell)))
    proof.fact(
        "both pods are ports of one bridge", near.bridge == far.bridge != "", f"{near.bridge}, {far.bridge}"
    )
    proof.fact("the packet passed from port to port", there == bridged(near, far), in_words(there))
    proof.fact("so did the answer", back == bridged(far, near), in_words(back))


@pytest.mark.claim("POD-3")
@pytest.mark.requires("routed-pods")
def test_by_the_node(world: World, prober: Prober, capture: Capture, proof: Proof) -> None:
    """One packet and its answer go from veth to veth by the node's routes, one to each pod, over no other link."""
    client, neighbour, node = world["client"], world["neighbour"], world.host_of("client")
    near, far = (attached(prober.conversations, pod, node) for pod in (client, neighbour))
    (cell,) = every([client], [at(neighbour)], [udp(PORT)])

    with capture.on([client, node, neighbour], [cell]) as taps:
        seen = prober.sweep([cell])

    there, back = (taken(taps.hops(cell), address_of(pod)) for pod in (client, neighbour))
    routes = look_at(prober.conversations, [node])[node.name].routes
    own = {str(it.destination): it.device for it in routes if it.destination.prefixlen == 32}
    right = {f"{address_of(pod)}/32": it.veth for pod, it in ((client, near), (neighbour, far))}
    proof.concludes(judge(all_of([cell], reached()), seen))
    proof.shows(rendered(taps.hops(cell)))
    proof.fact("each pod has a host route to its own veth", right.items() <= own.items(), right)
    proof.fact("neither veth is a port of a bridge", not near.bridge and not far.bridge, f"{near}, {far}")
    proof.fact("the packet passed from veth to veth", there == routed(near, far), in_words(there))
    proof.fact("so did the answer", back == routed(far, near), in_words(back))
