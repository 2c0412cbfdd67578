"""Pods of every node are equals: what holds for a pod of one holds for all, the control plane included.

    client (worker) ─┐        ┌─ pods of every node          TCP, UDP, ICMP
    remote (worker2) ├─ ask ──┼─ Services near and far, their NodePort at every node
    third (control)  ┘        ├─ every node's own address
                              ├─ DNS, by the Service's name
                              └─ outside

What is set up for each node by itself can be missing on one: rules for Services, routes to the others, the way to
DNS. Workers are asked everywhere; a control plane's pods are the ones that nobody tries.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fixtures.faults.fault import fault
from fixtures.faults.rule_levers import packet_rule
from fixtures.faults.site import Site
from fixtures.plugins.proof import Proof
from fixtures.probes.plan import at, every
from fixtures.probes.runner import Prober
from fixtures.probes.ways import ADDRESS_RECORD, lookup, ping, tcp, udp
from fixtures.verdicts.expectation import all_of, reached
from fixtures.verdicts.judge import judge
from fixtures.world.service_set import Services
from fixtures.world.ways_in import RESOLVER, by_node_port, cluster_ip, node_port
from fixtures.world.world import PORT, World

pytestmark = pytest.mark.claim("POD-9")


@fault(
    reddens={
        "kubernetes/pods/nodes_are_equals/services": "third → service/",
        "kubernetes/pods/nodes_are_equals/names": "third → resolver",
    },
    spares=("kubernetes/pods/nodes_are_equals/addresses", "kubernetes/services/clusterip_from_pods/*"),
)
def control_plane_without_services(site: Site) -> Iterator[None]:
    """The control plane drops what its pods send to Services."""
    rule = f"ip saddr {site.subnet(site.bystander)} ip daddr {site.services} drop"
    with packet_rule(site, site.bystander, "prerouting", rule):
        yield


@fault(
    reddens={"kubernetes/pods/nodes_are_equals/addresses": "third →"},
    spares=("kubernetes/pods/pods_on_one_node/both_directions",),
)
def control_plane_cut_off(site: Site) -> Iterator[None]:
    """The control plane forwards nothing that its pods send to pods of other nodes."""
    rule = f"ip saddr {site.subnet(site.bystander)} ip daddr {site.pods} drop"
    with packet_rule(site, site.bystander, "forward", rule):
        yield


def test_addresses(world: World, family: int, prober: Prober, proof: Proof) -> None:
    """A pod of every node reaches pods of every node, every node and outside by address: TCP, UDP, ICMP."""
    pods = world.one_pod_of_each_node
    targets = [at(it, family) for it in (*pods, world["neighbour"], *world.nodes, world["outside"])]
    cells = every(pods, targets, [tcp(PORT), udp(PORT), ping()])

    seen = prober.sweep(cells)

    proof.concludes(judge(all_of(cells, reached()), seen))


def test_services(world: World, services: Services, family: int, prober: Prober, proof: Proof) -> None:
    """A pod of every node reaches Services by ClusterIP and by every node's NodePort, TCP and UDP."""
    pods, door = world.one_pod_of_each_node, services["open"]
    inside = every(
        pods,
        [cluster_ip(services["near"], family), cluster_ip(services["far"], family)],
        [tcp(80), udp(80)],
    )
    ports = by_node_port(door)
    doors = every(pods, [node_port(door, node, family) for node in world.nodes], ports)

    seen = prober.sweep([*inside, *doors])

    proof.concludes(judge(all_of([*inside, *doors], reached()), seen))


def test_names(world: World, services: Services, prober: Prober, proof: Proof) -> None:
    """A pod of every node is told a Service's address by its name, short and whole, by UDP and TCP."""
    web, record = services["web"], ADDRESS_RECORD[world.family]
    names = [lookup(web.name, record), lookup(web.full_name, record)]
    ways = [*names, lookup(web.full_name, record, over_tcp=True)]
    cells = every(world.one_pod_of_each_node, [RESOLVER], ways)

    seen = prober.sweep(cells)

    proof.concludes(judge(all_of(cells, reached(answers=[str(web.cluster_ip)], within=0.9)), seen))
