"""A pod reaches a Service by its ClusterIP, whether the endpoint runs on its own node or on another.

    worker                                           worker2
    ┌ client ───────┐   ┌ neighbour ────┐            ┌ remote ───────┐
    │ 10.244.1.x    │   │ 10.244.1.y    │            │ 10.244.2.z    │
    └──────┬────────┘   └──────┬────────┘            └──────┬────────┘
           └───────── cni0 ────┘                          cni0
                        │ 10.96.n.n → 10.244.1.y            │
                        └── flannel.1 ═══════════════ flannel.1

The packet to 10.96.n.n is turned to an endpoint on the client's own node, and the answer is turned back there.
This fails between two pods of one node where bridged packets bypass iptables: the answer then comes from an
address that the client never asked. It fails between nodes where the path eats large packets. And where
somebody masquerades that should not, the server sees another address than the client's own.
"""

from __future__ import annotations

import pytest

from fixtures.plugins.proof import Proof
from fixtures.probes.plan import every
from fixtures.probes.runner import Prober
from fixtures.probes.ways import get, tcp, udp
from fixtures.verdicts.expectation import all_of, reached
from fixtures.verdicts.judge import judge
from fixtures.world.service_set import Services
from fixtures.world.ways_in import cluster_ip
from fixtures.world.world import World

LARGE = 200_000
"""Bytes of an answer that fills many packets of full size."""


@pytest.mark.claim("SVC-2")
def test_same_node(world: World, services: Services, family: int, prober: Prober, proof: Proof) -> None:
    """Client and only endpoint on one node: TCP and UDP, five times each; the server sees the client itself."""
    client = world["client"]
    cells = every([client], [cluster_ip(services["near"], family)], [tcp(80), udp(80)] * 5)

    seen = prober.sweep(cells)

    proof.concludes(judge(all_of(cells, reached(seen_as=client.addresses)), seen))


@pytest.mark.claim("SVC-2")
def test_other_node(world: World, services: Services, family: int, prober: Prober, proof: Proof) -> None:
    """Only endpoint on another node: TCP and UDP, five times each; the server sees the client itself."""
    client = world["client"]
    cells = every([client], [cluster_ip(services["far"], family)], [tcp(80), udp(80)] * 5)

    seen = prober.sweep(cells)

    proof.concludes(judge(all_of(cells, reached(seen_as=client.addresses)), seen))


@pytest.mark.claim("SVC-2")
def test_large_answers(world: World, services: Services, family: int, prober: Prober, proof: Proof) -> None:
    """200 kB by HTTP come whole from either endpoint, in both directions between the nodes."""
    targets = [cluster_ip(services["near"], family), cluster_ip(services["far"], family)]
    cells = every([world["client"], world["remote"]], targets, [get(80, size=LARGE, timeout=3.0)])

    seen = prober.sweep(cells)

    proof.concludes(judge(all_of(cells, reached(received=LARGE)), seen))
