"""With trafficDistribution the nearest endpoints answer, and the others where there is none near.

    PreferSameNode   client ─→ neighbour   its own node       third ─→ any: its node has none
    PreferSameZone   client ─→ neighbour   zone a             third ─→ remote: zone b, as the third node
                     client ─→ remote      after neighbour has left: better far than nobody

Zones are a label of nodes. Traffic that crosses them costs money and time; an endpoint that is preferred beyond
its end costs requests. It fails where a node's proxy takes no notice of the hints, or takes them for a command.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from clusters.api import NODE
from fixtures.plugins.proof import Proof
from fixtures.probes.convergence import must_become
from fixtures.probes.plan import every
from fixtures.probes.runner import Prober
from fixtures.probes.ways import tcp, udp
from fixtures.verdicts.expectation import all_of, reached
from fixtures.verdicts.observation import Cell
from fixtures.world.service_set import Services
from fixtures.world.services import Service, ServiceSpec
from fixtures.world.ways_in import cluster_ip
from fixtures.world.world import World

pytestmark = pytest.mark.claim("SVC-10")

ZONE = "topology.kubernetes.io/zone"
PAIR = ("neighbour", "remote")
ON_NODE = ServiceSpec("same-node", PAIR, extra={"trafficDistribution": "PreferSameNode"})
IN_ZONE = ServiceSpec("same-zone", PAIR, extra={"trafficDistribution": "PreferSameZone"})
REQUESTS = [tcp(80), udp(80)] * 10
"""From each client; an endpoint of two that takes part unasked is missed by all ten once in a thousand, in three
sweeps in a row once in 10⁹."""


@pytest.fixture
def zones(world: World) -> Iterator[None]:
    """The near node is in zone a, the others are in zone b."""
    near = world["client"].node
    for node in world.nodes:
        world.api.patch(NODE, node.name, {"metadata": {"labels": {ZONE: "a" if node.name == near else "b"}}})
    try:
        yield
    finally:
        for node in world.nodes:
            world.api.patch(NODE, node.name, {"metadata": {"labels": {ZONE: None}}})


def asked(world: World, service: Service, family: int, nearest: Mapping[str, str]) -> list[Cell]:
    """By the name of a client who alone may answer it: requests of the client, and of its node."""
    return [
        cell
        for client, who in nearest.items()
        for cell in every(
            [world[client], world.host_of(client)], [cluster_ip(service, family, by=[who])], REQUESTS
        )
    ]


def test_same_node(world: World, services: Services, family: int, prober: Prober, proof: Proof) -> None:
    """The endpoint of the own node answers pods and nodes; a node without one is served from elsewhere."""
    with services.standing(ON_NODE) as service:
        near = asked(world, service, family, {"client": "neighbour", "remote": "remote"})
        away = every([world["third"], world.host_of("third")], [cluster_ip(service, family)], REQUESTS)
        became = must_become(prober, all_of([*near, *away], reached()))

    proof.concludes(became.judgement)
    proof.measured("nearest endpoints answer after", became.took, "s")


@pytest.mark.requires("known-profile")  # it labels nodes
@pytest.mark.usefixtures("zones")
def test_same_zone(world: World, services: Services, family: int, prober: Prober, proof: Proof) -> None:
    """The endpoint of the client's zone answers; when the only one of a zone has left, the other zone's does."""
    with services.standing(IN_ZONE) as service:
        cells = asked(world, service, family, {"client": "neighbour", "remote": "remote", "third": "remote"})
        near = must_become(prober, all_of(cells, reached()))
        proof.concludes(near.judgement)
        with services.withdrawn(service, "neighbour") as left:
            others = asked(world, left, family, dict.fromkeys(("client", "third"), "remote"))
            after = must_become(prober, all_of(others, reached()))

    proof.concludes(after.judgement)
    proof.measured("nearest endpoints answer after", near.took, "s")
    proof.measured("the other zone answers after", after.took, "s")
