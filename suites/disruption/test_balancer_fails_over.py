"""The node that answers for a load balancer's address is cut off, and another one takes over.

    outside  who has 172.18.255.247?  ─→  worker: I have        cut off:  ─→  worker2: I have
      └─ tcp :80 ─→ worker ─→ third                            └─ tcp :80 ─→ worker2 ─→ third

Machines on the nodes' network remember where the address was. So the new node has to say at once, unasked, that it
is there now; otherwise clients go on sending to a dead one for as long as they remember. How long nobody answered
is measured. The endpoint is on a node that answers for no address.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from clusters.features import Feature
from clusters.settling import node_becomes
from fixtures.faults.fault import fault
from fixtures.faults.link_levers import answers_forgotten
from fixtures.faults.node_levers import frozen, frozen_everywhere
from fixtures.faults.rule_levers import packet_rule
from fixtures.faults.site import Site
from fixtures.plugins.proof import Proof
from fixtures.probes.convergence import must_become
from fixtures.probes.plan import every
from fixtures.probes.runner import Prober
from fixtures.probes.ways import tcp
from fixtures.verdicts.expectation import all_of, reached
from fixtures.world.announcing import claimed_by
from fixtures.world.service_set import Services
from fixtures.world.services import ServiceSpec, ServiceType
from fixtures.world.ways_in import balanced
from fixtures.world.world import World

SURVIVING = ServiceSpec("surviving", ("third",), type=ServiceType.LOAD_BALANCER)
SPEAKER = "speaker"
WITHIN = 60.0
"""Seconds until another node must have taken over; MetalLB's members notice one that is gone within ten or so."""


@fault(
    reddens={"disruption/balancer_fails_over/another_node_takes_over": "outside → surviving at"},
    spares=("kubernetes/external/node_port/every_node_from_everywhere",),
    requires=(Feature.LOAD_BALANCER,),
)
def nobody_announces(site: Site) -> Iterator[None]:
    """Whoever announces addresses stands still on every node."""
    with answers_forgotten(site), frozen_everywhere(site, SPEAKER):
        yield


@pytest.mark.claim("EXT-5")
@pytest.mark.requires("load-balancer")
def test_another_node_takes_over(
    world: World, services: Services, site: Site, prober: Prober, proof: Proof
) -> None:
    """Outside reaches the Service, its node is cut off, and outside reaches it again by another node."""
    with services.standing(SURVIVING) as service:
        (given,) = services.addresses_given(service.name)
        cells = every([world["outside"]], [balanced(service, given)], [tcp(80)])
        before = must_become(prober, all_of(cells, reached()))
        proof.concludes(before.judgement)
        first = claimed_by(prober.conversations, world, given)
        with cut_off(site, first[0]):
            after = must_become(prober, all_of(cells, reached(connect_within=None)), within=WITHIN)
            then = claimed_by(prober.conversations, world, given)

    proof.concludes(after.judgement)
    proof.fact(
        "another node answers for the address", len(then) == 1 and then != first, {"then": then, "at first": first}
    )
    proof.measured("reached again after", after.took, "s")


@contextmanager
def cut_off(site: Site, node: str) -> Iterator[None]:
    """Nothing comes in to that node from its network any more, and nobody there answers for addresses."""
    with packet_rule(site, node, "prerouting", f'iifname "{site.card(node)}" drop'), frozen(site, node, SPEAKER):
        yield
    node_becomes(site.cluster.api, node, is_ready=True)
