"""A Service whose labels leave it to another proxy is not kube-proxy's, until the label goes.

    ours             10.96.a.a ─→ remote
    for-another      10.96.b.b     service.kubernetes.io/service-proxy-name: another    nobody answers
    without-a-proxy  10.96.c.c     service.kubernetes.io/headless                       nobody answers

Service meshes and load balancers take Services over in that way. Where kube-proxy does not let go, two programs
translate the same address. Packets for it follow the node's default route and end in the drain.
"""

from __future__ import annotations

import pytest

from clusters.api import SERVICE
from fixtures.plugins.proof import Proof
from fixtures.probes.convergence import must_become
from fixtures.probes.plan import every
from fixtures.probes.runner import Prober
from fixtures.probes.ways import tcp, udp
from fixtures.verdicts.expectation import all_of, blocked, reached
from fixtures.verdicts.judge import judge
from fixtures.world.service_set import Services
from fixtures.world.services import ServiceSpec
from fixtures.world.ways_in import cluster_ip
from fixtures.world.world import World

PROXY_NAME, HEADLESS = "service.kubernetes.io/service-proxy-name", "service.kubernetes.io/headless"
OURS = ServiceSpec("ours", ("remote",))
FOR_ANOTHER = ServiceSpec("for-another", ("remote",), marks={PROXY_NAME: "another"})
WITHOUT = ServiceSpec("without-a-proxy", ("remote",), marks={HEADLESS: ""})


@pytest.mark.claim("SVC-7")
def test_not_served_until_the_label_goes(
    world: World, services: Services, family: int, prober: Prober, proof: Proof
) -> None:
    """Pods and nodes reach the one without a label and neither of the others; without its label that one as well."""
    sources, ways = [world["client"], *world.open_nodes], [tcp(80), udp(80)]
    with services.all_standing(OURS, FOR_ANOTHER, WITHOUT):
        ours, other, without = (
            every(sources, [cluster_ip(services[spec.name], family)], ways)
            for spec in (OURS, FOR_ANOTHER, WITHOUT)
        )
        served = must_become(prober, all_of(ours, reached()))
        left = prober.sweep([*ours, *other, *without])
        world.api.patch(SERVICE, FOR_ANOTHER.name, {"metadata": {"labels": {PROXY_NAME: None}}}, world.namespace)
        taken = must_become(prober, all_of(other, reached()))

    promised = all_of(ours, reached()) | all_of([*other, *without], blocked())
    proof.concludes(served.judgement, judge(promised, left), taken.judgement)
    proof.measured("served once its label is gone, after", taken.took, "s")
