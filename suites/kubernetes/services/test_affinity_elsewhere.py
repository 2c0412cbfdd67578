"""Session affinity holds by node port, by a load balancer's address and for UDP; it is switched, and it ends.

    outside ─→ worker:3nnnn   ─┐            ┌→ neighbour
    outside ─→ 203.0.113.20   ─┼→ sticky ───┤              one of them for each client, by TCP and by UDP
    client  ─→ 10.96.n.n      ─┘            └→ remote

The node that a request comes to remembers the client. It fails where only the ClusterIP consults that memory,
where UDP is forgotten, where a Service that is switched keeps its old habit, and where a memory with a timeout
never ends: a client is then tied to one endpoint for good.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from clusters.waiting import poll
from fixtures.endpoints.inside import routed
from fixtures.plugins.proof import Proof
from fixtures.probes.convergence import must_become
from fixtures.probes.plan import address_of, every
from fixtures.probes.runner import Prober
from fixtures.probes.spread import must_spread, must_stick
from fixtures.probes.ways import tcp, udp
from fixtures.verdicts.expectation import all_of, reached
from fixtures.verdicts.judge import judge
from fixtures.verdicts.observation import Cell, Observation
from fixtures.verdicts.spread import answered_at, answered_for
from fixtures.world.service_set import Services
from fixtures.world.services import GIVEN_BY_HAND, ServiceSpec, ServiceType
from fixtures.world.ways_in import GIVEN, balanced, by_node_port, cluster_ip, node_port
from fixtures.world.world import World

pytestmark = pytest.mark.claim("SVC-8")

PAIR = ("neighbour", "remote")
DOOR = ServiceSpec("sticky-door", PAIR, type=ServiceType.LOAD_BALANCER, affinity=True, extra=GIVEN_BY_HAND)
PINNED = ServiceSpec("switched", PAIR, affinity=True)
LOOSE = ServiceSpec("switched", PAIR)
SECONDS = 1
BRIEFLY = ServiceSpec(
    "brief-memory", PAIR, affinity=True, extra={"sessionAffinityConfig": {"clientIP": {"timeoutSeconds": SECONDS}}}
)
PLACE = 20
"""Of the load balancer's address in the range; the outside client is told that a node leads there."""


def test_by_every_way_in(world: World, services: Services, prober: Prober, proof: Proof) -> None:
    """After a first request 20 more each, by node port and load balancer, TCP and UDP: the same endpoint."""
    outside, worker = world["outside"], world.host_of("client")
    address = GIVEN[world.family][PLACE]
    with (
        services.standing(DOOR) as door,
        routed(prober.conversations, outside, str(address), "via", str(address_of(worker))),
    ):
        services.balanced_at(door.name, address)
        doors = [node_port(door, node) for node in world.nodes]
        by_port = by_node_port(door)
        by_address = [tcp(80), udp(80)]
        first = [*every([outside], doors, by_port), *every([outside], [balanced(door, address)], by_address)]
        open_now = must_become(prober, all_of(first, reached()))
        others = [
            *every([outside], doors, by_port * 20),
            *every([outside], [balanced(door, address)], by_address * 20),
        ]
        seen = prober.sweep(others)

    proof.concludes(open_now.judgement, judge(all_of(others, reached()), seen))
    answered = answered_at(seen)
    proof.fact("one endpoint for each way in", all(len(who) == 1 for who in answered.values()), answered)


def test_switched(world: World, services: Services, family: int, prober: Prober, proof: Proof) -> None:
    """Without affinity all endpoints answer a client; switched on, one alone; switched off, all again."""
    clients, way = [world["client"], world["remote"]], tcp(80)

    with services.standing(LOOSE) as service:
        loose = must_spread(prober, clients, cluster_ip(service, family), way)
        services.change(PINNED)
        pinned = must_stick(prober, clients, cluster_ip(service, family), way)
        services.change(LOOSE)
        again = must_spread(prober, clients, cluster_ip(service, family), way)

    proof.concludes(loose.judgement, pinned.judgement, again.judgement)
    proof.fact("all endpoints answered at first", loose.complete, loose.answered)
    proof.fact("then one alone for each client", pinned.complete, pinned.answered)
    proof.fact("and all again", again.complete, again.answered)
    proof.measured("switched on after", pinned.took, "s")
    proof.measured("switched off after", again.took, "s")


def test_ends(world: World, services: Services, family: int, prober: Prober, proof: Proof) -> None:
    """With a timeout of a second, clients that rest for longer come to another endpoint after some requests."""
    sources = [world["client"], world["remote"], world["third"], *world.nodes]

    with services.standing(BRIEFLY) as service:
        cells = every(sources, [cluster_ip(service, family)], [tcp(80)])
        before = must_become(prober, all_of(cells, reached()))
        proof.concludes(before.judgement)
        seen = asked_with_rests(prober, cells)

    proof.concludes(judge(all_of(cells, reached()), seen))
    moved = {client: who for client, who in answered_for(seen).items() if len(who) > 1}
    proof.fact("a client that rested came to another endpoint", bool(moved), answered_for(seen))


def asked_with_rests(prober: Prober, cells: Sequence[Cell]) -> list[Observation]:
    """Ask, rest for longer than the memory lasts, ask again, until a client has had two endpoints; ten times."""
    seen: list[Observation] = []

    def ask() -> bool:
        seen.extend(prober.sweep(cells))
        return any(len(who) > 1 for who in answered_for(seen).values()) or len(seen) >= 10 * len(cells)

    poll(ask, until=bool, what="a client to come to another endpoint", within=60, every=1.3 * SECONDS)
    return seen
