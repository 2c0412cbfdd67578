"""Requests to a Service reach every ready endpoint, and no other pod.

                        ┌→ neighbour   worker    ready
    client → 10.96.n.n ─┼→ remote      worker2   ready
                        └  slow        worker2   answers, but is not ready

Every server says who it is. An endpoint that no request reaches, a rule that kept a pod which is not ready, or
one that leads to a foreign pod shows in the list of those who answered. With 60 requests an endpoint out of two
is missed by chance once in 2⁵⁹ runs.
"""

from __future__ import annotations

import pytest

from fixtures.plugins.proof import Proof
from fixtures.probes.plan import at, every
from fixtures.probes.runner import Prober
from fixtures.probes.ways import tcp, udp
from fixtures.verdicts.expectation import all_of, reached
from fixtures.verdicts.judge import judge
from fixtures.verdicts.observation import Probe
from fixtures.verdicts.spread import of_cells, shares
from fixtures.world.service_set import Services
from fixtures.world.ways_in import cluster_ip
from fixtures.world.world import World


@pytest.mark.claim("SVC-1", "SVC-2")
@pytest.mark.parametrize("way", [tcp(80), udp(80)], ids=["tcp", "udp"])
def test_all_of_them_and_nobody_else(
    world: World, services: Services, family: int, prober: Prober, proof: Proof, way: Probe
) -> None:
    """60 requests: both ready endpoints answer, the pod that is not ready does not, though it would."""
    web = services["web"]
    cells = every([world["client"]], [cluster_ip(web, family)], [way] * 60)
    alive = every([world["client"]], [at(world["slow"], family)], [tcp(8080), udp(8080)])

    seen = prober.sweep([*cells, *alive])

    proof.concludes(judge(all_of([*cells, *alive], reached()), seen))
    answered = shares(of_cells(seen, cells))
    proof.fact("every ready endpoint answered", answered.keys() == web.identities, answered)
