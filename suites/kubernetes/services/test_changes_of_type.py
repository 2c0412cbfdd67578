"""Whatever type a Service gets, it is reached as that type says, and the ways that it gave up are shut.

    ClusterIP ⇄ NodePort ⇄ LoadBalancer ⇄ ExternalName      each to each, twelve Services at once

    nodeport-to-clusterip   outside ─→ worker:30012     answered, then refused
    nodeport-to-externalname  client ─→ 10.96.0.105     answered, then nobody's

A node that adds what is new and keeps what was there leaves doors open that everybody believes shut: the node port
of a Service that is internal by now, an address that still leads to pods. All twelve are changed at once, and one
sweep after the other asks the new ways and the old ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import permutations

import pytest

from clusters.cluster import Cluster
from fixtures.faults.fault import fault
from fixtures.faults.rule_levers import led_to_pod
from fixtures.faults.site import Site
from fixtures.plugins.proof import Proof
from fixtures.probes.convergence import must_become
from fixtures.probes.plan import every
from fixtures.probes.runner import Prober
from fixtures.probes.ways import tcp
from fixtures.verdicts.expectation import Expectation, all_of, not_reached, reached, refused
from fixtures.verdicts.observation import Cell
from fixtures.world.service_set import Services
from fixtures.world.services import Service, ServicePort, ServiceSpec, ServiceType
from fixtures.world.ways_in import by_name, cluster_ip, node_port
from fixtures.world.world import World

FIRST_DOOR = 30010
"""Node ports chosen by hand are below 30086, where the API server gives none by itself: a port that one Service
gave up must not be another's by the time at which it is asked."""
FIRST_ADDRESS = 100
"""Likewise of the ClusterIPs: the first 255 of the range go to nobody who does not ask for one."""
PAIRS = tuple(permutations(ServiceType, 2))


@fault(
    reddens={"kubernetes/services/changes_of_type/each_to_each": "on ‹near›: remote answered"},
    spares=("kubernetes/services/changes_of_ports/*", "kubernetes/external/node_port/every_node_from_everywhere"),
)
def doors_left_open(site: Site) -> Iterator[None]:
    """The near node keeps leading node ports to a pod when they are no Service's any more."""
    rule = ("-p", "tcp", "--dport", f"{FIRST_DOOR}:{FIRST_DOOR + len(PAIRS) - 1}")
    with led_to_pod(site, site.near, "remote", *rule):
        yield


def specs(cluster: Cluster, side: int, alias: str) -> list[ServiceSpec]:
    """The twelve as they are before (`side` 0) or afterwards (1); an ExternalName stands for `alias`."""
    network = cluster.profile.service_subnet[0]
    return [
        of_type(pair[side], "-to-".join(pair).lower(), place, str(network[FIRST_ADDRESS + place]), alias)
        for place, pair in enumerate(PAIRS)
    ]


def of_type(kind: ServiceType, name: str, place: int, address: str, alias: str) -> ServiceSpec:
    """A Service of that type, with the `place`-th of the doors where the type has one."""
    if kind is ServiceType.EXTERNAL_NAME:
        return ServiceSpec(name, type=kind, external_name=alias)
    door = 0 if kind is ServiceType.CLUSTER_IP else FIRST_DOOR + place
    port = ServicePort("tcp", 80, 8080, node_port=door)
    return ServiceSpec(name, ("remote",), ports=(port,), type=kind, extra={"clusterIP": address})


def promised(world: World, services: Services, wanted: list[ServiceSpec]) -> dict[Cell, Expectation]:
    """What Services of their types have to give: a name to pods, an address inside, doors to the outside."""
    pods = [world["client"], world["remote"]]
    cells: list[Cell] = []
    for service in (services[spec.name] for spec in wanted):
        named = replace(service, backends=service.backends or services["web"].backends)
        cells += every(pods, [by_name(named)], [tcp(80)])
        if service.address is not None:
            cells += every([*pods, *world.nodes], [cluster_ip(service)], [tcp(80)])
        if service.node_ports:
            doors = [node_port(service, node) for node in world.nodes]
            cells += every([world["outside"]], doors, [tcp(service.node_port("tcp"))])
    return all_of(cells, reached())


def given_up(world: World, before: Service, after: Service) -> dict[Cell, Expectation]:
    """What must be shut afterwards: a door that was given up is refused, an address leads nowhere."""
    shut: dict[Cell, Expectation] = {}
    if before.node_ports and not after.node_ports:
        doors = [node_port(before, node) for node in world.nodes]
        shut |= all_of(every([world["outside"]], doors, [tcp(before.node_port("tcp"))]), refused())
    if before.address is not None and after.address is None:
        shut |= all_of(every([world["client"]], [cluster_ip(before)], [tcp(80)]), not_reached())
    return shut


@pytest.mark.claim("SVC-7")
def test_each_to_each(world: World, cluster: Cluster, services: Services, prober: Prober, proof: Proof) -> None:
    """Name, address and doors are those of the new type on every node; what was given up is shut."""
    alias = services["web"].full_name.rstrip(".")
    old, new = (specs(cluster, side, alias) for side in (0, 1))

    with services.all_standing(*old):
        first = must_become(prober, promised(world, services, old))
        proof.concludes(first.judgement)
        before = [services[spec.name] for spec in old]
        services.change(*new)
        wanted = promised(world, services, new)
        for service in before:
            wanted |= given_up(world, service, services[service.name])
        after = must_become(prober, wanted, witnesses=[first.judgement.sweep])

    proof.concludes(after.judgement)
    proof.measured("twelve changes are followed everywhere after", after.took, "s")
