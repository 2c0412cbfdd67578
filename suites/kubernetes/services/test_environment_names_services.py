"""A pod finds the Services that were there before it in its environment, and reaches them by what it finds.

    Service "web" 10.96.n.n:80   │ client was started before it    no word of it
                                 │ late   was started after it     WEB_SERVICE_HOST=10.96.n.n WEB_SERVICE_PORT=80

The variables are written once, when the container starts. They are wrong if they name another address than the
Service has, and useless if what they name is not reached.
"""

from __future__ import annotations

import pytest

from fixtures.endpoints.inside import environment
from fixtures.plugins.proof import Proof
from fixtures.probes.plan import every, virtual
from fixtures.probes.runner import Prober
from fixtures.probes.ways import tcp
from fixtures.verdicts.expectation import all_of, reached
from fixtures.verdicts.judge import judge
from fixtures.world.service_set import Services
from fixtures.world.world import World


@pytest.mark.claim("SVC-4")
def test_found_and_reached(world: World, services: Services, prober: Prober, proof: Proof) -> None:
    """WEB_SERVICE_HOST and WEB_SERVICE_PORT are the ClusterIP and port, in the pod that came later alone."""
    web, early = services["web"], environment(prober.conversations, world["client"])
    late = world["late"]
    told = environment(prober.conversations, late)

    named = virtual("what late is told", told["WEB_SERVICE_HOST"], web.backends)
    cells = every([late], [named], [tcp(int(told["WEB_SERVICE_PORT"]))] * 5)
    seen = prober.sweep(cells)

    proof.concludes(judge(all_of(cells, reached()), seen))
    proof.fact("it is the ClusterIP", told["WEB_SERVICE_HOST"] == str(web.cluster_ip), told["WEB_SERVICE_HOST"])
    proof.fact("the earlier pod knows nothing of it", "WEB_SERVICE_HOST" not in early, sorted(early))
