"""Ports of a Service that are added, removed, renumbered, led elsewhere: the new way works, the old one does not.

    adds       :80          → :80 and :81         renumbers  :80      → :82, and :80 is nobody's
    removes    :80 and :81  → :80                 retargets  :80→8080 → :80→8081
    moves      door 30030   → door 30031          selects    neighbour → remote

Each is one Service of its own, and all six change at once. It fails where a node keeps an old port beside the new
one, mixes up which number leads where, or goes on asking pods that the selector no longer means.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from fixtures.faults.fault import fault
from fixtures.faults.rule_levers import led_to_pod
from fixtures.faults.site import Site
from fixtures.plugins.proof import Proof
from fixtures.probes.convergence import must_become
from fixtures.probes.plan import every
from fixtures.probes.runner import Prober
from fixtures.probes.ways import tcp
from fixtures.verdicts.expectation import all_of, not_reached, reached, refused
from fixtures.verdicts.observation import Cell
from fixtures.verdicts.spread import of_cells, served_port
from fixtures.world.pods import NAME_LABEL
from fixtures.world.service_set import Services
from fixtures.world.services import ServicePort, ServiceSpec, ServiceType
from fixtures.world.ways_in import cluster_ip, node_port
from fixtures.world.world import World

ONE = ServicePort("one", 80, 8080, node_port=30030)
OTHER = ServicePort("other", 81, 8081)
PLAIN = replace(ONE, node_port=0)
WIDE = ServiceSpec("adds", ("wide",), ports=(PLAIN,))
"""The pod `wide` answers on 8080 and on 8081, and says where it was asked."""

BEFORE = (
    WIDE,
    replace(WIDE, name="removes", ports=(PLAIN, OTHER)),
    replace(WIDE, name="renumbers"),
    replace(WIDE, name="retargets"),
    replace(WIDE, name="moves", ports=(ONE,), type=ServiceType.NODE_PORT),
    ServiceSpec("selects", ("neighbour",), ports=(PLAIN,), extra={"selector": {NAME_LABEL: "neighbour"}}),
)
AFTER = (
    replace(WIDE, ports=(PLAIN, OTHER)),
    replace(WIDE, name="removes"),
    replace(WIDE, name="renumbers", ports=(replace(PLAIN, port=82),)),
    replace(WIDE, name="retargets", ports=(replace(PLAIN, target=8081),)),
    replace(WIDE, name="moves", ports=(replace(ONE, node_port=30031),), type=ServiceType.NODE_PORT),
    ServiceSpec("selects", ("remote",), ports=(PLAIN,), extra={"selector": {NAME_LABEL: "remote"}}),
)
GIVEN_UP = {"removes": 81, "renumbers": 80}
"""By Service the port that it has no longer."""


@fault(
    reddens={"kubernetes/services/changes_of_ports/all_six": "moves on ‹near›: wide answered"},
    spares=("kubernetes/services/service_ports/*", "kubernetes/external/node_port/every_node_from_everywhere"),
)
def old_door_left_open(site: Site) -> Iterator[None]:
    """The near node keeps the node port of a Service that has another one by now."""
    rule = ("-p", "tcp", "--dport", f"{ONE.node_port}")
    with led_to_pod(site, site.near, "wide", *rule):
        yield


def by_their_ports(world: World, services: Services, family: int, wanted: tuple[ServiceSpec, ...]) -> list[Cell]:
    """Each Service at each of its ports, from a pod on each worker and from every node."""
    sources = [world["client"], world["remote"], *world.nodes]
    return [
        cell
        for spec in wanted
        for cell in every(
            sources, [cluster_ip(services[spec.name], family)], [tcp(port.port) for port in spec.ports]
        )
    ]


@pytest.mark.claim("SVC-7")
def test_all_six(world: World, services: Services, family: int, prober: Prober, proof: Proof) -> None:
    """From pods and nodes by ClusterIP and from outside by node port: the new numbers alone, and their pods."""
    sources, outside = [world["client"], world["remote"], *world.nodes], world["outside"]

    with services.all_standing(*BEFORE):
        first = must_become(prober, all_of(by_their_ports(world, services, family, BEFORE), reached()))
        proof.concludes(first.judgement)
        old_door = every(
            [outside], [node_port(services["moves"], node, family) for node in world.nodes], [tcp(30030)]
        )
        services.change(*AFTER)
        door = every([outside], [node_port(services["moves"], node, family) for node in world.nodes], [tcp(30031)])
        gone = [
            cell
            for name, port in GIVEN_UP.items()
            for cell in every(sources, [cluster_ip(services[name], family)], [tcp(port)])
        ]
        wanted = all_of([*by_their_ports(world, services, family, AFTER), *door], reached())
        wanted |= all_of(old_door, refused()) | all_of(gone, not_reached())
        after = must_become(prober, wanted, witnesses=[first.judgement.sweep])

    proof.concludes(after.judgement)
    led = of_cells(after.judgement.sweep, (cell for cell in wanted if cell.destination == "service/retargets"))
    ports = {served_port(seen) for seen in led}
    proof.fact("the port with another target leads to 8081", ports == {8081}, ports)
    proof.measured("six changes are followed everywhere after", after.took, "s")
