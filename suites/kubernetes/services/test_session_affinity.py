"""With sessionAffinity ClientIP all requests of one client go to one endpoint, for as long as that one is there.

    client    10.244.1.x ─┐                ┌→ neighbour   worker
                          ├→ 10.96.n.n ────┤
    remote    10.244.2.z ─┘                └→ remote      worker2

Each node remembers by client address who served it last. This fails where that memory is not consulted
(requests spread over the endpoints), and where it outlives the endpoint (requests go on to one that is gone).
"""

from __future__ import annotations

import pytest

from fixtures.plugins.proof import Proof
from fixtures.probes.convergence import must_become
from fixtures.probes.plan import every
from fixtures.probes.runner import Prober
from fixtures.probes.ways import tcp
from fixtures.verdicts.expectation import all_of, reached
from fixtures.verdicts.judge import judge
from fixtures.verdicts.spread import answered_for
from fixtures.world.service_set import Services
from fixtures.world.ways_in import cluster_ip
from fixtures.world.world import World


@pytest.mark.claim("SVC-2")
def test_one_endpoint_per_client(
    world: World, services: Services, family: int, prober: Prober, proof: Proof
) -> None:
    """20 requests at once after a first one, from a client on each node: one endpoint for each client."""
    sticky = cluster_ip(services["sticky"], family)
    first = every([world["client"], world["remote"]], [sticky], [tcp(80)])
    others = every([world["client"], world["remote"]], [sticky], [tcp(80)] * 20)

    seen = [*prober.sweep(first), *prober.sweep(others)]

    proof.concludes(judge(all_of([*first, *others], reached()), seen))
    by_client = answered_for(seen)
    proof.fact("one endpoint for each client", all(len(who) == 1 for who in by_client.values()), by_client)


@pytest.mark.claim("SVC-2")
def test_pinned_anew(world: World, services: Services, family: int, prober: Prober, proof: Proof) -> None:
    """The client's endpoint leaves the Service: within seconds the other one serves the client, and stays."""
    sticky, client = services["sticky"], world["client"]
    (before,) = prober.sweep(every([client], [cluster_ip(sticky, family)], [tcp(80)]))
    proof.concludes(judge({before.cell: reached()}, [before]))
    left = sticky.without(before.answered_by)

    with services.withdrawn(sticky, before.answered_by):
        after = must_become(prober, all_of(every([client], [cluster_ip(left, family)], [tcp(80)] * 5), reached()))

    proof.concludes(after.judgement)
    proof.measured("pinned anew after", after.took, "s")
