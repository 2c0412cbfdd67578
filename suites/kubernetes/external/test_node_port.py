"""A NodePort answers on every node's address, whether or not the node runs an endpoint, from outside and inside.

    outside ──┬─ control-plane:3nnnn ─┐
              ├─ worker:3nnnn ────────┼─→ remote (worker2), the only endpoint
              └─ worker2:3nnnn ───────┘
    client, remote and every node ask all three as well; and the Service has a ClusterIP besides.

A node without an endpoint has to pass the packet on and fetch the answer back, so it masquerades. That fails
where forwarding is closed, where the masqueraded packet is masqueraded again on its way into the tunnel (slow
connects), and on nodes whose rules were never written.
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
from fixtures.world.ways_in import by_node_port, cluster_ip, node_port
from fixtures.world.world import World


@pytest.mark.claim("EXT-2")
def test_every_node_from_everywhere(
    world: World, services: Services, family: int, prober: Prober, proof: Proof
) -> None:
    """TCP and UDP to each node from outside, from pods on both workers and from every node."""
    service = services["open"]
    sources = [world["outside"], world["client"], world["remote"], *world.nodes]
    ways = by_node_port(service)
    cells = every(sources, [node_port(service, node, family) for node in world.nodes], ways)

    seen = prober.sweep(cells)

    proof.concludes(judge(all_of(cells, reached()), seen))


@pytest.mark.claim("EXT-2")
def test_has_a_cluster_ip_too(world: World, services: Services, family: int, prober: Prober, proof: Proof) -> None:
    """The same Service by its ClusterIP, from pods and nodes."""
    sources = [world["client"], world["remote"], *world.nodes]
    cells = every(sources, [cluster_ip(services["open"], family)], [tcp(80), udp(80)])

    seen = prober.sweep(cells)

    proof.concludes(judge(all_of(cells, reached()), seen))


@pytest.mark.claim("EXT-2")
def test_large_answers(world: World, services: Services, family: int, prober: Prober, proof: Proof) -> None:
    """200 kB by HTTP come whole from outside by each node."""
    service = services["open"]
    doors = [node_port(service, node, family) for node in world.nodes]
    cells = every([world["outside"]], doors, [get(service.node_port("tcp"), size=200_000, timeout=3.0)])

    seen = prober.sweep(cells)

    proof.concludes(judge(all_of(cells, reached(received=200_000)), seen))
