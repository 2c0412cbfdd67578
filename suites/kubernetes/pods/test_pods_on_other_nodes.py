"""Pods of different nodes reach each other by pod IP, without NAT: each is seen under the address that is its own.

    control-plane 172.18.0.2      worker 172.18.0.3           worker2 172.18.0.4
    ┌ third 10.244.0.x ┐          ┌ client 10.244.1.x ┐       ┌ remote 10.244.2.x ┐
    │      eth0        │          │      eth0         │       │      eth0         │
    └───────┬──────────┘          └───────┬───────────┘       └───────┬───────────┘
          cni0                          cni0                        cni0
            └──────────── the nodes' own network, wrapped or routed ───┘

It fails where a route, a neighbour entry or the tunnel of one node is missing or stale (and then often in one
direction alone), where forwarding is closed, where the path swallows large packets, and where somebody
masquerades what goes from pod to pod: the receiver then sees a node. A handshake above 0.9 s has lost its first
packet and counts as broken, however fast the others were.
"""

from __future__ import annotations

import pytest

from fixtures.plugins.proof import Proof
from fixtures.probes.kernel import addresses_everywhere
from fixtures.probes.plan import at, between, every
from fixtures.probes.promises import seen_as, without_nat
from fixtures.probes.runner import Prober
from fixtures.probes.ways import get, ping, tcp, udp
from fixtures.verdicts.judge import judge
from fixtures.verdicts.observation import Probe
from fixtures.world.world import PORT, World

SMALL = (tcp(PORT), udp(PORT), ping())
LARGE = (get(PORT, size=200_000, timeout=3.0), udp(PORT, size=1400), udp(PORT, size=8000), ping(1400), ping(8000))


@pytest.mark.claim("POD-4")
@pytest.mark.parametrize("ways", [SMALL, LARGE], ids=["small", "large"])
def test_every_direction(world: World, family: int, prober: Prober, proof: Proof, ways: tuple[Probe, ...]) -> None:
    """TCP, UDP and ICMP between pods on three nodes, and each sees the other's own address."""
    apart = [world["client"], world["remote"], world["third"]]
    cells = between(apart, ways, family)

    seen = prober.sweep(cells)

    proof.concludes(judge(without_nat(cells, world), seen))


@pytest.mark.claim("POD-4")
def test_own_view(world: World, prober: Prober, proof: Proof) -> None:
    """The address on a pod's own link is the one that its API object names and that its peers see."""
    apart = [world["client"], world["remote"], world["third"]]
    cells = every(apart, [at(world["neighbour"])], [tcp(PORT), udp(PORT)])

    own = addresses_everywhere(prober.conversations, apart)
    seen = prober.sweep(cells)

    named = {pod.name: frozenset(pod.addresses) for pod in apart}
    proof.fact("the pod has the addresses that the API names", own == named, {"own": own, "named": named})
    proof.concludes(judge(seen_as(cells, own), seen))
