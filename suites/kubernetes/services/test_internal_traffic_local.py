"""With internalTrafficPolicy Local an endpoint of the client's own node answers, or nobody.

    remote, worker2 ──→ 10.96.n.n ─→ remote     worker2    its node has an endpoint
    client, worker  ──→ 10.96.n.n   dropped     worker     has none: nothing is served from elsewhere
    third, control  ──→ 10.96.n.n   dropped

It is what node-local agents rely on: a request that leaves its node after all is answered by the wrong agent, and
nobody notices, because an answer comes. That the endpoint is alive and the silent clients can ask is seen in the
same sweep, through a Service of the same endpoint without that policy.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fixtures.faults.fault import fault
from fixtures.faults.rule_levers import services_answered_by
from fixtures.faults.site import Site
from fixtures.plugins.proof import Proof
from fixtures.probes.convergence import must_become
from fixtures.probes.plan import every
from fixtures.probes.runner import Prober
from fixtures.probes.ways import tcp, udp
from fixtures.verdicts.expectation import all_of, blocked, reached
from fixtures.world.service_set import Services
from fixtures.world.services import ServiceSpec
from fixtures.world.ways_in import cluster_ip
from fixtures.world.world import World

INSIDE = ServiceSpec("inside", ("remote",), extra={"internalTrafficPolicy": "Local"})


@fault(
    reddens={
        "kubernetes/services/internal_traffic_local/own_endpoints_or_nobody": "service/inside: remote answered"
    },
    spares=("kubernetes/services/clusterip_from_pods/other_node", "kubernetes/services/service_ports/many_ports"),
)
def served_from_elsewhere(site: Site) -> Iterator[None]:
    """The near node serves what its pods ask of any Service from the other worker."""
    with services_answered_by(site, site.near, "remote"):
        yield


@pytest.mark.claim("SVC-5")
def test_own_endpoints_or_nobody(
    world: World, services: Services, family: int, prober: Prober, proof: Proof
) -> None:
    """TCP and UDP from a pod on each node and from each node: served where the endpoint is, dropped elsewhere."""
    at_home = [world["remote"], world.host_of("remote")]
    away = [world["client"], world["third"], world.host_of("client"), world.host_of("third")]
    ways = [tcp(80), udp(80)]
    open_to_all = every(away, [cluster_ip(services["far"], family)], ways)

    with services.standing(INSIDE) as inside:
        here = every(at_home, [cluster_ip(inside, family)], ways)
        silent = every(away, [cluster_ip(inside, family)], ways)
        became = must_become(prober, {**all_of([*here, *open_to_all], reached()), **all_of(silent, blocked())})

    proof.concludes(became.judgement)
    proof.measured("as promised everywhere after", became.took, "s")
