"""externalTrafficPolicy Cluster answers on every node, and the server sees a node instead of the client.

    outside 172.18.0.o ──┬─ control-plane:3nnnn ─┐
                         ├─ worker:3nnnn ────────┼─→ remote (worker2)   sees the node that was asked
                         └─ worker2:3nnnn ───────┘

The answer has to come back by the node that was asked, so that node puts its own address in the client's place.
If it did not, the server would answer the client directly, from an address that the client never asked, and
nothing would come about.
"""

from __future__ import annotations

import pytest

from fixtures.plugins.proof import Proof
from fixtures.probes.node_state import Nodes
from fixtures.probes.plan import every
from fixtures.probes.runner import Prober
from fixtures.verdicts.expectation import all_of, reached
from fixtures.verdicts.judge import judge
from fixtures.world.service_set import Services
from fixtures.world.ways_in import by_node_port, node_port
from fixtures.world.world import World


@pytest.mark.claim("EXT-3")
def test_answers_everywhere_as_the_node(
    world: World, services: Services, nodes: Nodes, family: int, prober: Prober, proof: Proof
) -> None:
    """From outside by every node, TCP and UDP: the server sees an address of the very node that was asked."""
    service = services["open"]
    ways = by_node_port(service)
    cells = {node: every([world["outside"]], [node_port(service, node, family)], ways) for node in world.nodes}

    seen = prober.sweep([cell for one in cells.values() for cell in one])

    expected = [all_of(asked, reached(seen_as=nodes.addresses(node))) for node, asked in cells.items()]
    proof.concludes(*(judge(promise, seen) for promise in expected))
