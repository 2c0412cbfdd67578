"""A node reaches a Service by its ClusterIP, and no connect is slow, though the endpoint runs on another node.

    control-plane, worker                            worker2
    process of the node                              ┌ remote ───────┐
      │ asks 10.96.n.n                               │ 10.244.2.z    │
      └ output: → 10.244.2.z, masqueraded            └──────┬────────┘
          └ flannel.1 ══════ UDP 8472 ══════ flannel.1 ── cni0

The packet is translated twice and then encapsulated. Where the outer packet is masqueraded once more, or its
checksum is left to hardware that does not compute it, the connect takes 1, 3, 7 or 63 s or never succeeds,
while pods and ping see nothing. So each single connect has to stay under 0.9 s, UDP is asked beside TCP, and no
node may count a wrong UDP checksum meanwhile.
"""

from __future__ import annotations

import pytest

from fixtures.plugins.proof import Proof
from fixtures.probes.node_state import Nodes
from fixtures.probes.plan import every
from fixtures.probes.runner import Prober
from fixtures.probes.ways import tcp, udp
from fixtures.verdicts.expectation import all_of, reached
from fixtures.verdicts.judge import judge
from fixtures.world.service_set import Services
from fixtures.world.ways_in import cluster_ip
from fixtures.world.world import World


@pytest.mark.claim("SVC-2")
def test_endpoint_on_another_node(
    world: World, services: Services, family: int, prober: Prober, nodes: Nodes, proof: Proof
) -> None:
    """Every node, ten times by TCP and by UDP: each under 0.9 s, and no wrong checksum is counted anywhere."""
    cells = every(world.nodes, [cluster_ip(services["far"], family)], [tcp(80), udp(80)] * 10)
    before = nodes.udp_checksum_errors()

    seen = prober.sweep(cells)

    proof.concludes(judge(all_of(cells, reached()), seen))
    proof.fact("no node counted a wrong UDP checksum", nodes.udp_checksum_errors() == before, before)
