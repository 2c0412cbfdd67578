"""A rolling update of a Deployment loses no request.

    client, remote ─ asking without pause ─→ 10.96.n.n ─→ 3 of v1          before
                                                       ─→ some of each    meanwhile
                                                       ─→ 3 of v2          after

The pods are well behaved: they become ready once they answer, and go on answering for five seconds after they
are told to end. So a request that fails was sent to a pod which was not ready yet, or which was told to end so
long ago that every node should have known it.
"""

from __future__ import annotations

import pytest

from fixtures.plugins.proof import Proof
from fixtures.probes.convergence import must_become
from fixtures.probes.plan import every
from fixtures.probes.runner import Prober
from fixtures.probes.steady import asked_until
from fixtures.probes.ways import tcp, udp
from fixtures.verdicts.expectation import all_of, reached
from fixtures.verdicts.judge import judge
from fixtures.verdicts.spread import shares
from fixtures.world.deployments import Deployment
from fixtures.world.ways_in import cluster_ip
from fixtures.world.world import World

WAYS = (tcp(80, timeout=3), udp(80, timeout=3))
"""An update keeps nodes busy, and what counts here is requests that are lost, not slow ones: hence the seconds."""


@pytest.mark.claim("SVC-1")
def test_no_request_fails(world: World, rolling: Deployment, family: int, prober: Prober, proof: Proof) -> None:
    """TCP and UDP from both workers all the while: each request is answered, by old pods and then by new ones."""
    sources = [world["client"], world["remote"]]
    cells = every(sources, [cluster_ip(rolling.service, family, by=["v1", "v2"])], WAYS)
    before = must_become(prober, all_of(cells, reached()))
    proof.concludes(before.judgement)

    rolling.apply("v2")
    seen = asked_until(prober, cells, lambda: rolling.is_at("v2"), what="the update to end", within=60)
    last = prober.sweep(every(sources, [cluster_ip(rolling.service, family, by=["v2"])], WAYS))

    after = judge({one.cell: reached() for one in last}, last)
    proof.concludes(judge(all_of(cells, reached()), seen), after)
    proof.fact("old and new pods answered", shares(seen).keys() == {"v1", "v2"}, shares(seen))
    proof.measured("requests during the update", len(seen), "")
