"""An endpoint that ends gets no new connections while others are ready; it serves on while it is all there is.

    both  ─→ stays    ready
          ✕  leaves   told to end, and still answering        what was connected before goes on
    last  ─→ leaves   nobody else: better an old endpoint than none

A pod that is told to end goes on answering for a while, so that a client which heard of it a moment ago still gets
an answer. Every node must stop sending new clients there at once, or a rolling update loses requests; and must go
on where the alternative is nothing, or a Service with one endpoint has a gap in every update. That holds for
traffic from inside and from outside, with either traffic policy; the health check says 503 from the moment on at
which only ending endpoints are left, so that load balancers look for another node.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from fixtures.endpoints.conversation import Conversations
from fixtures.plugins.proof import Proof
from fixtures.probes.convergence import must_become
from fixtures.probes.idle import opened
from fixtures.probes.plan import every
from fixtures.probes.runner import Prober
from fixtures.probes.ways import get, tcp, udp
from fixtures.verdicts.expectation import all_of, reached
from fixtures.verdicts.observation import Cell
from fixtures.world.backends import Backends
from fixtures.world.pods import Pod
from fixtures.world.service_set import Services
from fixtures.world.services import Service, ServiceSpec, ServiceType, TrafficPolicy
from fixtures.world.ways_in import by_node_port, cluster_ip, health_check, node_port
from fixtures.world.world import World

pytestmark = pytest.mark.claim("SVC-6")

BOTH = ServiceSpec("both", type=ServiceType.NODE_PORT)
LAST = ServiceSpec("last", type=ServiceType.NODE_PORT)
LAST_LOCAL = ServiceSpec("last-local", type=ServiceType.LOAD_BALANCER, external_traffic=TrafficPolicy.LOCAL)
LINGERS = 60
"""Seconds for which a pod goes on after it was told to end: longer than any of these checks takes."""


@dataclass(frozen=True)
class Ending:
    """`both` has a pod that stays and one that leaves, `last` and `local` the one that leaves alone."""

    both: Backends
    last: Service
    local: Service


@pytest.fixture
def ending(services: Services, world: World) -> Iterator[Ending]:
    """Both pods stand, and nobody was told to end yet."""
    with services.all_standing(LAST, LAST_LOCAL), services.with_backends(BOTH) as both:
        leaves = Pod(
            "leaves", node=world["remote"].node, lingers=LINGERS, labels={**LAST.labels, **LAST_LOCAL.labels}
        )
        both.add(Pod("stays", node=world["client"].node), leaves)
        last, local = (services[spec.name].served_by([both["leaves"]]) for spec in (LAST, LAST_LOCAL))
        services.settled(last, local)
        yield Ending(both, last, local)


def asked_everywhere(world: World, service: Service, family: int) -> tuple[Cell, ...]:
    """Some requests by TCP and UDP from a pod on every node, from every node, and from outside by node port."""
    inside = every(
        [*world.one_pod_of_each_node, *world.nodes], [cluster_ip(service, family)], [tcp(80), udp(80)] * 5
    )
    doors = by_node_port(service) * 5
    return (*inside, *every([world["outside"]], [node_port(service, node, family) for node in world.nodes], doors))


def test_new_connections_go_elsewhere(
    world: World, ending: Ending, conversations: Conversations, family: int, prober: Prober, proof: Proof
) -> None:
    """One of two is told to end: new requests from everywhere go to the other; an open connection goes on."""
    both, last = (asked_everywhere(world, it, family) for it in (ending.both.service, ending.last))
    before = must_become(prober, all_of([*both, *last], reached()))
    proof.concludes(before.judgement)
    held = opened(conversations.with_(world["client"]), cluster_ip(ending.last, family), 80)

    ending.both.told_to_end("leaves")
    left = ending.both.service.without("leaves")
    after = must_become(prober, all_of(asked_everywhere(world, left, family), reached()), within=10)

    proof.concludes(after.judgement)
    said = held.answers()
    proof.fact("the connection that was open goes on", said == "leaves", said)
    proof.measured("new requests go to the other pod alone after", after.took, "s")


def test_serves_on_while_it_is_all_there_is(
    world: World, ending: Ending, family: int, prober: Prober, proof: Proof
) -> None:
    """The only endpoint is told to end: it answers inside and outside, with either policy; health says 503."""
    home = world.host_of("remote")
    kept = ending.local
    ways = by_node_port(kept)
    cells = [
        *asked_everywhere(world, ending.last, family),
        *every([world["outside"]], [node_port(kept, home, family)], ways),
    ]
    before = must_become(prober, all_of(cells, reached()))
    proof.concludes(before.judgement)

    ending.both.told_to_end("leaves")
    health = every([world["outside"]], [health_check(home)], [get(kept.health_port)])
    after = must_become(prober, {**all_of(cells, reached()), **all_of(health, reached(status=503))}, within=10)

    proof.concludes(after.judgement)
    proof.measured("health check says 503 after", after.took, "s")
