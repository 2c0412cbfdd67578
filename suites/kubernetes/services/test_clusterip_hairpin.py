"""A pod that is a Service's only endpoint reaches itself by that Service.

    worker
    ┌ client ───────────────┐
    │ 10.244.1.x            │  asks 10.96.n.n, whose only endpoint is 10.244.1.x
    └──────┬──────▲─────────┘
           └ cni0 ┘             in and out of one bridge port, source masqueraded

The packet has to leave the bridge by the port on which it came: a bridge does that only in hairpin mode. And
its source must be masqueraded, or the pod gets a packet from its own address and drops it. Either missing looks
like a silent time-out of a pod that everybody else reaches.
"""

from __future__ import annotations

import pytest

from fixtures.plugins.proof import Proof
from fixtures.probes.plan import every
from fixtures.probes.runner import Prober
from fixtures.probes.ways import tcp, udp
from fixtures.verdicts.expectation import all_of, reached
from fixtures.verdicts.judge import judge
from fixtures.world.service_set import Services
from fixtures.world.ways_in import cluster_ip
from fixtures.world.world import World


@pytest.mark.claim("SVC-2")
def test_reaches_itself(world: World, services: Services, family: int, prober: Prober, proof: Proof) -> None:
    """TCP and UDP, five times each, from the pod itself; its neighbour asks beside it."""
    sources = [world["client"], world["neighbour"]]
    cells = every(sources, [cluster_ip(services["own"], family)], [tcp(80), udp(80)] * 5)

    seen = prober.sweep(cells)

    proof.concludes(judge(all_of(cells, reached()), seen))
