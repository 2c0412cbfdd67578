"""A UDP client that keeps its source port follows the Service's endpoints, and is never tied to a dead pod.

    client :p ───── udp ─→ 10.96.n.n ─→ pod-1            the node remembers: p goes to pod-1
                                     ✕  pod-1 is gone
                                     ─→ pod-2            the memory must go too, or p stays with the dead

For UDP a node remembers a translation for as long as packets keep coming. A client that asks again and again
from one port (a resolver, a sender of logs) is stuck with a pod that is gone for hours, unless the memory is
wiped together with the endpoint. A client with a new port each time never notices.

Some releases of kube-proxy wipe it only while other endpoints are left. There the last check shows what becomes
of a client whose Service has lost them all.
"""

from __future__ import annotations

import pytest

from fixtures.plugins.proof import Proof
from fixtures.probes.connections import Connection, listed
from fixtures.probes.convergence import must_become
from fixtures.probes.node_state import Nodes
from fixtures.probes.plan import address_of, every
from fixtures.probes.runner import Prober
from fixtures.probes.source_ports import unused_port
from fixtures.probes.ways import udp
from fixtures.verdicts.expectation import all_of, reached, refused
from fixtures.verdicts.observation import Cell, IPAddress, Probe, Protocol
from fixtures.world.backends import Backends
from fixtures.world.ways_in import cluster_ip
from fixtures.world.world import World

pytestmark = pytest.mark.claim("SVC-1")

ALWAYS = udp(80, source_port=unused_port())
"""One port for as long as the client lives."""
ONE_REFUSAL = 1
"""A node sends each pod some six refusals at once, and then one a second (net.ipv4.icmp_ratelimit): three in a row
do not come once those are spent, as they may be by what was asked before."""
WITHIN = 10.0
"""Seconds in which the client has to be led elsewhere."""


@pytest.fixture
def served(world: World, backends: Backends, family: int, prober: Prober, proof: Proof) -> IPAddress:
    """The address of the only pod, which has answered the client."""
    backends.add("pod-1")
    before = must_become(prober, all_of(asked(world, backends, family), reached()))
    proof.concludes(before.judgement)
    return address_of(backends.service.backends[0], family)


def asked(world: World, backends: Backends, family: int, way: Probe = ALWAYS) -> tuple[Cell, ...]:
    """The client asks the Service, which whoever is there now may answer."""
    return every([world["client"]], [cluster_ip(backends.service, family)], [way])


def remembered(world: World, nodes: Nodes, pod: IPAddress) -> list[Connection]:
    """What the client's node remembers of ways to that address."""
    return nodes.translations(world.host_of("client"), Protocol.UDP, to=pod)


def test_moves_on_to_the_new_pod(
    world: World, backends: Backends, served: IPAddress, nodes: Nodes, family: int, prober: Prober, proof: Proof
) -> None:
    """A new pod comes, the old one goes: the new one answers within ten seconds, the old one is forgotten."""
    backends.add("pod-2")
    backends.remove("pod-1")

    after = must_become(prober, all_of(asked(world, backends, family), reached()), within=WITHIN)

    proof.concludes(after.judgement)
    left = remembered(world, nodes, served)
    proof.fact("the node remembers no way to the old pod", not left, listed([left]))
    proof.measured("the new pod answers after", after.took, "s")


@pytest.mark.requires("udp-forgotten-at-zero")
def test_refused_when_nobody_is_left(
    world: World, backends: Backends, served: IPAddress, nodes: Nodes, family: int, prober: Prober, proof: Proof
) -> None:
    """The only pod goes: within ten seconds the client is refused at once, and the pod is forgotten."""
    backends.remove("pod-1")

    promised = all_of(asked(world, backends, family), refused(within=0.5))
    after = must_become(prober, promised, within=WITHIN, in_a_row=ONE_REFUSAL)

    proof.concludes(after.judgement)
    left = remembered(world, nodes, served)
    proof.fact("the node remembers no way to the old pod", not left, listed([left]))
    proof.measured("refused after", after.took, "s")


@pytest.mark.requires_absent("udp-forgotten-at-zero")
def test_tied_until_somebody_comes(
    world: World, backends: Backends, served: IPAddress, nodes: Nodes, family: int, prober: Prober, proof: Proof
) -> None:
    """The only pod goes and stays remembered, though new clients are refused; the next pod ends that for all."""
    backends.remove("pod-1")
    promised = all_of(asked(world, backends, family, udp(80)), refused())
    empty = must_become(prober, promised, within=WITHIN, in_a_row=ONE_REFUSAL)
    proof.concludes(empty.judgement)
    tied = remembered(world, nodes, served)

    backends.add("pod-2")
    after = must_become(prober, all_of(asked(world, backends, family), reached()), within=WITHIN)

    proof.concludes(after.judgement)
    proof.fact("the pod that is gone was still remembered", bool(tied), listed([tied]))
    left = remembered(world, nodes, served)
    proof.fact("with the next pod it is forgotten", not left, listed([left]))
