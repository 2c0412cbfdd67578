"""300 connects to a Service at once all succeed, and none is slow.

    client (worker) ── 300 SYN ─→ 10.96.n.n ─→ remote (worker2)

Connects that begin in one moment compete for translated ports and for entries in the node's table of
connections. One that loses has its packet dropped and tries again after a second, so that only the slowest of
many shows it; and the node counts it as an entry that could not be inserted.
"""

from __future__ import annotations

import pytest

from clusters.cluster import Cluster
from fixtures.plugins.proof import Proof
from fixtures.probes.node_state import Nodes
from fixtures.probes.plan import every
from fixtures.probes.runner import Prober
from fixtures.probes.ways import tcp
from fixtures.verdicts.expectation import all_of, reached
from fixtures.verdicts.judge import judge
from fixtures.world.service_set import Services
from fixtures.world.ways_in import cluster_ip
from fixtures.world.world import World

AT_ONCE = 300


@pytest.mark.claim("SVC-2")
def test_none_is_slow(
    world: World, services: Services, family: int, prober: Prober, nodes: Nodes, cluster: Cluster, proof: Proof
) -> None:
    """Each of 300 handshakes under 0.9 s, and no node failed to insert a connection.

    A tunnel that is a program loses packets of its own where so many come at once: there they are fewer.
    """
    count = cluster.datapath.tunnel.burst(AT_ONCE)
    cells = every([world["client"]], [cluster_ip(services["far"], family)], [tcp(80, timeout=5.0)] * count)
    before = nodes.failed_inserts()

    seen = prober.sweep(cells)

    proof.concludes(judge(all_of(cells, reached()), seen))
    after = nodes.failed_inserts()
    proof.fact("no node failed to insert a connection", after == before, after)
