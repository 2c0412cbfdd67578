"""A pod's MTU is what the nodes' network leaves it: full packets pass, and the pod's kernel rejects a longer one.

    client eth0 1450 ── bridge ── tunnel 1450 ── worker eth0 1500 ═══ worker2 eth0 1500 ── tunnel ── … remote
                                                  │ outer headers 50 │ packet 1450       │

A pod's MTU that is too large is the fault that hides best: small packets pass, large ones with DF vanish, the
others are cut on the nodes' network and put together again, slowly. One that is too small costs throughput alone.
So the arithmetic is read from the links themselves, packets of just that size are sent with DF, the next larger
one has to be refused by the pod's own kernel, and no fragment may be seen between the nodes.
"""

from __future__ import annotations

import pytest

from clusters.cluster import Cluster
from fixtures.plugins.proof import Proof
from fixtures.probes.capture import Capture, rendered
from fixtures.probes.kernel import look_at
from fixtures.probes.plan import address_of, between
from fixtures.probes.promises import without_nat
from fixtures.probes.runner import Prober
from fixtures.probes.ways import HEADERS, filling, get, udp
from fixtures.verdicts.expectation import all_of, too_big
from fixtures.verdicts.judge import judge
from fixtures.world.world import PORT, World


@pytest.mark.claim("POD-8")
@pytest.mark.requires("known-profile")
def test_arithmetic(world: World, cluster: Cluster, prober: Prober, proof: Proof) -> None:
    """The MTU of every pod's link is the smallest of the nodes' cards less what wraps a packet between nodes."""
    kernels = look_at(prober.conversations, [*world.pods, *world.nodes], world.family)
    overhead = cluster.datapath.tunnel.taken_off(max(it.version for it in cluster.profile.pod_subnet))

    cards = {node.name: kernels[node.name].holding(address_of(node)).mtu for node in world.nodes}
    pods = {pod.name: kernels[pod.name].holding(address_of(pod)).mtu for pod in world.pods}

    right = min(cards.values()) - overhead
    wrong = {name: mtu for name, mtu in pods.items() if mtu != right}
    proof.shows(f"nodes {cards}, {overhead} bytes of overhead, pods {pods}")
    proof.fact(f"every pod's MTU is {min(cards.values())} - {overhead}", bool(pods) and not wrong, wrong or pods)


@pytest.mark.claim("POD-8")
def test_full_size(world: World, family: int, prober: Prober, proof: Proof) -> None:
    """Between nodes and on one, packets as long as the pod's MTU pass with DF, and come back as long."""
    pods = [world[name] for name in ("client", "neighbour", "remote", "third")]
    mtu = look_at(prober.conversations, [world["client"]])["client"].link("eth0").mtu
    cells = between(pods, filling(PORT, mtu, family=family), family)

    seen = prober.sweep(cells)

    proof.concludes(judge(without_nat(cells, world), seen))


@pytest.mark.claim("POD-8")
def test_one_byte_more(world: World, family: int, prober: Prober, proof: Proof) -> None:
    """A packet one byte longer than that is rejected by the pod's own kernel (EMSGSIZE)."""
    pods = [world[name] for name in ("client", "neighbour", "remote", "third")]
    mtu = look_at(prober.conversations, [world["client"]])["client"].link("eth0").mtu
    cells = between(pods, filling(PORT, mtu, family=family, over=1), family)

    seen = prober.sweep(cells)

    proof.concludes(judge(all_of(cells, too_big()), seen))


@pytest.mark.claim("POD-8")
def test_nothing_is_cut(world: World, prober: Prober, capture: Capture, proof: Proof) -> None:
    """While full packets and 200 kB of HTTP pass between all nodes, none is in fragments on their network."""
    pods = [world[name] for name in ("client", "remote", "third")]
    kernels = look_at(prober.conversations, [world["client"], *world.nodes])
    cards = {kernels[node.name].holding(address_of(node)).name for node in world.nodes}
    mtu = kernels["client"].link("eth0").mtu
    full = udp(PORT, size=mtu - HEADERS[world.family])
    cells = between(pods, [*filling(PORT, mtu, family=world.family), full, get(PORT, size=200_000, timeout=3.0)])

    with capture.on(world.nodes, cells, links=cards) as taps:
        seen = prober.sweep(cells)

    cut = [frame for frame in taps.frames if frame.packet and frame.packet.fragment]
    proof.concludes(judge(without_nat(cells, world), seen))
    whole = bool(taps.frames) and not cut
    proof.fact(f"none of {len(taps.frames)} packets is in fragments", whole, rendered(cut[:5]) or "none")
