"""kube-proxy's nftables maps hold every way to a Service, and what they hold is what carries its packets.

    table ip kube-proxy
      map service-ips        10.96.n.n . tcp . 80 : goto service-…     ─→ endpoint-… ─ dnat to 10.244.2.z:8080
      map service-nodeports  tcp . 3nnnn          : goto external-…    ─→ service-…

One look into a map decides, however many Services there are. It fails where an element is missing or an old one
stayed: the packet then goes on as if there were no Service.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from clusters.features import Feature
from clusters.proxy import NFTABLES
from fixtures.faults.fault import fault
from fixtures.faults.rule_levers import map_element_lost
from fixtures.faults.site import Site
from fixtures.plugins.proof import Proof
from fixtures.probes.node_state import Nodes
from fixtures.probes.plan import address_of, every
from fixtures.probes.runner import Prober
from fixtures.probes.ways import tcp, udp
from fixtures.verdicts.expectation import all_of, reached
from fixtures.verdicts.judge import judge
from fixtures.world.service_set import Services
from fixtures.world.ways_in import cluster_ip, node_port
from fixtures.world.world import PORT, World

pytestmark = [pytest.mark.claim("LVS-3"), pytest.mark.requires("kube-proxy-nftables")]


@fault(
    reddens={
        "kubernetes/services/kube_proxy_maps/by_address": "the map of addresses has each way to the Service",
    },
    spares=(
        "kubernetes/services/kube_proxy_maps/by_node_port",
        "kubernetes/pods/pods_on_one_node/both_directions",
    ),
    requires=(Feature.KUBE_PROXY_NFTABLES,),
)
def element_lost(site: Site) -> Iterator[None]:
    """The near node's map has lost the TCP port of the Service far."""
    key = f"{site.cluster_ip('far')} . tcp . 80"
    with map_element_lost(site, site.near, NFTABLES.by_address, key):
        yield


@fault(
    reddens={
        "kubernetes/services/kube_proxy_maps/by_node_port": "the map of node ports has each way to the Service"
    },
    spares=("kubernetes/services/kube_proxy_maps/by_address",),
    requires=(Feature.KUBE_PROXY_NFTABLES,),
)
def node_port_lost(site: Site) -> Iterator[None]:
    """The near node's map has lost the TCP node port of the Service open."""
    key = f"tcp . {site.node_port('open')}"
    with map_element_lost(site, site.near, NFTABLES.by_node_port, key):
        yield


def test_by_address(world: World, services: Services, nodes: Nodes, prober: Prober, proof: Proof) -> None:
    """On each node ClusterIP, protocol and port lead to the Service's endpoint and to no other; so do packets."""
    service, remote = services["far"], world["remote"]
    cells = every([world["client"], *world.nodes], [cluster_ip(service)], [tcp(80), udp(80)])

    seen = prober.sweep(cells)

    held = {
        (node.name, protocol): nodes.maps(node).endpoints(str(service.cluster_ip), protocol, 80)
        for node in world.nodes
        for protocol in ("tcp", "udp")
    }
    right = frozenset({f"{address_of(remote)}:{PORT}"})
    proof.fact("the map of addresses has each way to the Service", set(held.values()) == {right}, held)
    proof.concludes(judge(all_of(cells, reached()), seen))


def test_by_node_port(world: World, services: Services, nodes: Nodes, prober: Prober, proof: Proof) -> None:
    """On each node protocol and node port lead to the Service's endpoint; so do packets from outside."""
    service, remote = services["open"], world["remote"]
    ports = {"tcp": service.node_port("tcp"), "udp": service.node_port("udp")}
    doors = [node_port(service, node) for node in world.nodes]
    cells = every([world["outside"]], doors, [tcp(ports["tcp"]), udp(ports["udp"])])

    seen = prober.sweep(cells)

    held = {
        (node.name, protocol): nodes.maps(node).endpoints_of_node_port(protocol, port)
        for node in world.nodes
        for protocol, port in ports.items()
    }
    right = frozenset({f"{address_of(remote)}:{PORT}"})
    proof.fact("the map of node ports has each way to the Service", set(held.values()) == {right}, held)
    proof.concludes(judge(all_of(cells, reached()), seen))
