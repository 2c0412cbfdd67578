"""With publishNotReadyAddresses a pod belongs to its Service, and has a name, before it is ready.

    unready.N.svc…  = 10.96.n.n ─→ slow      runs, is not ready, and is asked all the same
    peers.N.svc…    = 10.244.2.z             the headless Service lists it

Clustered servers find each other in that way while they start. Where a node or CoreDNS goes by readiness alone,
such a cluster never forms. The same pod stays out of an ordinary Service (`every_ready_endpoint`).
"""

from __future__ import annotations

import pytest

from fixtures.plugins.proof import Proof
from fixtures.probes.convergence import must_become
from fixtures.probes.plan import address_of, every
from fixtures.probes.runner import Prober
from fixtures.probes.ways import ADDRESS_RECORD, lookup, tcp, udp
from fixtures.verdicts.expectation import all_of, reached
from fixtures.world.service_set import Services
from fixtures.world.services import ServiceSpec
from fixtures.world.ways_in import RESOLVER, cluster_ip
from fixtures.world.world import World

EARLY = {"publishNotReadyAddresses": True}
UNREADY = ServiceSpec("unready", ("slow",), extra=EARLY)
PEERS = ServiceSpec("peers", ("slow",), headless=True, extra=EARLY)


@pytest.mark.claim("SVC-6")
def test_is_asked_and_has_a_name(
    world: World, services: Services, family: int, prober: Prober, proof: Proof
) -> None:
    """By the ClusterIP from pods and nodes, and in the headless Service's name."""
    slow = str(address_of(world["slow"], family))

    with services.all_standing(UNREADY, PEERS):
        sources = [world["client"], world["remote"], *world.nodes]
        asked = every(sources, [cluster_ip(services["unready"], family)], [tcp(80), udp(80)])
        named = every(
            [world["client"], world["remote"]],
            [RESOLVER],
            [lookup(services["peers"].full_name, ADDRESS_RECORD[family])],
        )
        became = must_become(prober, {**all_of(asked, reached()), **all_of(named, reached(answers=[slow]))})

    proof.concludes(became.judgement)
    proof.measured("asked, and in its name, after", became.took, "s")
