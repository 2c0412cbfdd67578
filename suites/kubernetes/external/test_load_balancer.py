"""A Service of type LoadBalancer gets an address of the nodes' network, and one node at a time answers for it.

    outside   who has 172.18.255.246?   ─→  worker: I have        one MAC address, and no other node says so
      └─────── tcp, udp :80 ───────────→  worker ─→ neighbour, remote
    client, worker2, … :80 ────────────→  the same address works inside as well

No router is told anything here: the outside client finds the address on its own link, as every machine beside the
nodes does. Two nodes that answer at once split a connection in two; none, and the address is dead although every
rule for it stands. With the traffic policy Local only a node with an endpoint may answer, and the server sees the
client's own address.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from clusters.features import Feature
from clusters.metallb import ADDRESSES
from fixtures.faults.fault import fault
from fixtures.faults.link_levers import added, answers_forgotten, sysctl
from fixtures.faults.node_levers import frozen_everywhere
from fixtures.faults.site import Site
from fixtures.plugins.proof import Proof
from fixtures.probes.convergence import must_become
from fixtures.probes.plan import address_of, every
from fixtures.probes.runner import Prober
from fixtures.probes.ways import tcp, udp
from fixtures.verdicts.expectation import all_of, reached
from fixtures.world.announcing import claimed_by
from fixtures.world.service_set import Services
from fixtures.world.services import ServiceSpec, ServiceType, TrafficPolicy
from fixtures.world.ways_in import balanced
from fixtures.world.world import World

pytestmark = pytest.mark.requires("load-balancer")

WAYS = (tcp(80), udp(80))
SHARED = ServiceSpec("balanced", ("neighbour", "remote"), type=ServiceType.LOAD_BALANCER)
KEPT = ServiceSpec(
    "balanced-local", ("remote",), type=ServiceType.LOAD_BALANCER, external_traffic=TrafficPolicy.LOCAL
)


@fault(
    reddens={
        "kubernetes/external/load_balancer/one_node_answers": "one node answers for the address",
        "kubernetes/external/load_balancer/local_keeps_the_client": "the endpoint's node answers for the address",
    },
    spares=("kubernetes/external/node_port/every_node_from_everywhere",),
    requires=(Feature.LOAD_BALANCER,),
)
def every_address_claimed(site: Site) -> Iterator[None]:
    """The control plane's node answers by ARP for every address of its network, whoever has it."""
    card, gateway = site.card(site.bystander), address_of(site.world.drain)
    with ExitStack() as all_of_them:
        all_of_them.enter_context(answers_forgotten(site))
        all_of_them.enter_context(sysctl(site, site.bystander, f"net.ipv4.conf.{card}.proxy_arp", "1"))
        for number in range(1, ADDRESSES + 1):
            route = (f"{gateway - number}/32", "dev", "lo")
            all_of_them.enter_context(added(site, site.bystander, "ip", "route", *route))
        yield


@fault(
    reddens={
        "kubernetes/external/load_balancer/reached_from_everywhere": "outside → balanced at",
        "kubernetes/external/load_balancer/one_node_answers": "outside → balanced at",
        "kubernetes/external/load_balancer/local_keeps_the_client": "outside → balanced-local at",
    },
    spares=("kubernetes/external/node_port/every_node_from_everywhere",),
    requires=(Feature.LOAD_BALANCER,),
)
def frozen_speakers(site: Site) -> Iterator[None]:
    """Whoever announces addresses stands still on every node."""
    with answers_forgotten(site), frozen_everywhere(site, "speaker"):
        yield


@pytest.mark.claim("EXT-4")
def test_reached_from_everywhere(world: World, services: Services, prober: Prober, proof: Proof) -> None:
    """TCP and UDP from outside, without any route, from pods of every node and from every node."""
    sources = [world["outside"], *world.one_pod_of_each_node, *world.nodes]

    with services.standing(SHARED) as service:
        (given,) = services.addresses_given(service.name)
        became = must_become(prober, all_of(every(sources, [balanced(service, given)], WAYS), reached()))

    proof.concludes(became.judgement)
    proof.measured("reached from everywhere after", became.took, "s")


@pytest.mark.claim("EXT-5")
def test_one_node_answers(world: World, services: Services, prober: Prober, proof: Proof) -> None:
    """Asked by ARP who has the address, one node alone says that it has."""
    with services.standing(SHARED) as service:
        (given,) = services.addresses_given(service.name)
        became = must_become(
            prober, all_of(every([world["outside"]], [balanced(service, given)], WAYS), reached())
        )
        nodes = claimed_by(prober.conversations, world, given)

    proof.concludes(became.judgement)
    proof.fact("one node answers for the address", len(nodes) == 1, nodes)


@pytest.mark.claim("EXT-5")
def test_local_keeps_the_client(world: World, services: Services, prober: Prober, proof: Proof) -> None:
    """With the policy Local the endpoint's node answers for the address, and the server sees the client's own."""
    outside = world["outside"]

    with services.standing(KEPT) as service:
        (given,) = services.addresses_given(service.name)
        cells = every([outside], [balanced(service, given)], WAYS)
        became = must_become(prober, all_of(cells, reached(seen_as=outside.addresses)))
        nodes = claimed_by(prober.conversations, world, given)

    proof.concludes(became.judgement)
    proof.fact("the endpoint's node answers for the address", nodes == [world["remote"].node], nodes)
