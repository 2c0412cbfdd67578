"""A name comes with its Service and goes with it, within seconds.

    create "brief"   →  brief.N.svc… = 10.96.n.n      how long?
    delete "brief"   →  brief.N.svc… does not exist   how long?

It fails where answers are kept beyond the Service's life (a client is then sent to an address that is nobody's,
or soon another Service's), and where a name that was asked too early stays unknown.
"""

from __future__ import annotations

import pytest

from fixtures.plugins.proof import Proof
from fixtures.probes.convergence import must_become
from fixtures.probes.plan import every
from fixtures.probes.runner import Prober
from fixtures.probes.ways import ADDRESS_RECORD, lookup
from fixtures.verdicts.expectation import all_of, no_such_name, reached
from fixtures.world.service_set import Services
from fixtures.world.services import ServicePort, ServiceSpec
from fixtures.world.ways_in import RESOLVER
from fixtures.world.world import World

BRIEF = ServiceSpec("brief", ports=(ServicePort("tcp", 80, 8080),))


@pytest.mark.claim("DNS-2")
def test_comes_and_goes(world: World, services: Services, family: int, prober: Prober, proof: Proof) -> None:
    """Unknown before, its ClusterIP once created, unknown again once deleted; seen by a pod on each worker."""
    name = f"{BRIEF.name}.{services['web'].full_name.partition('.')[2]}"
    cells = every([world["client"], world["remote"]], [RESOLVER], [lookup(name, ADDRESS_RECORD[family])])

    before = must_become(prober, all_of(cells, no_such_name()))
    proof.concludes(before.judgement)
    with services.standing(BRIEF) as brief:
        there = must_become(prober, all_of(cells, reached(answers=[str(brief.cluster_ip_of(family))])))
        proof.concludes(there.judgement)
    gone = must_become(prober, all_of(cells, no_such_name()))
    proof.concludes(gone.judgement)

    proof.measured("name known after", there.took, "s")
    proof.measured("name gone after", gone.took, "s")
