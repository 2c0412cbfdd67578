"""Each node learns the others' pods by BGP: sessions in a full mesh, routes by BIRD, and a route to each pod.

    worker 172.18.0.3   BIRD ═══ Established ═══ BIRD   worker2 172.18.0.4
      10.244.126.0/26 via 172.18.0.4, by bird             10.244.90.0/26 via 172.18.0.3, by bird
      10.244.90.0/26  blackhole, by bird                  10.244.126.0/26 blackhole, by bird
      10.244.90.5     dev cali…  (client)                 10.244.126.9    dev cali…  (remote)

It fails where a session is down (a filter on TCP port 179, a wrong number of the autonomous system): the routes go
with it after a while. A block without its blackhole route sends packets for pods that are gone round in circles.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network

import pytest

from clusters.cluster import Cluster
from clusters.features import Feature
from fixtures.cni.calico import bird
from fixtures.cni.subnets import subnets
from fixtures.faults.fault import fault
from fixtures.faults.site import Site
from fixtures.plugins.proof import Proof
from fixtures.probes.kernel import Route, look_at
from fixtures.probes.plan import address_of
from fixtures.probes.runner import Prober
from fixtures.world.world import World

pytestmark = pytest.mark.requires("bgp")


@fault(
    reddens={
        "kubernetes/datapath/bgp/sessions": "every node has a session with every other",
        "kubernetes/datapath/bgp/routes": "BIRD's routes are the nodes' blocks",
    },
    spares=("kubernetes/pods/pods_on_one_node/both_directions", "kubernetes/datapath/bgp/host_routes"),
    requires=(Feature.BGP,),
)
def session_down(site: Site) -> Iterator[None]:
    """The near node's BIRD has its session with the far node switched off."""
    with bird.switched_off(site.cluster.api, site.near, site.address(site.far)):
        yield


@fault(
    reddens={"kubernetes/datapath/bgp/host_routes": "pods has a route to its veth"},
    spares=("kubernetes/datapath/bgp/sessions",),
    requires=(Feature.BGP,),
)
def host_route_by_a_bridge(site: Site) -> Iterator[None]:
    """The near node has a bridge of somebody else's, and neighbour's route leads there."""
    node, address = site.near, f"{site.pod_address('neighbour')}/32"
    route = site.run(node, "ip", "route", "show", address).split()
    site.run(node, "ip", "link", "add", "name", "stray0", "type", "bridge")
    try:
        site.run(node, "ip", "link", "set", "stray0", "up")
        site.run(node, "ip", "route", "replace", address, "dev", "stray0")
        yield
    finally:
        site.run(node, "ip", "route", "replace", *route)
        site.run(node, "ip", "link", "del", "stray0")


@pytest.mark.claim("CAL-1")
def test_sessions(world: World, family: int, proof: Proof) -> None:
    """BIRD on each node has an Established session with every other node, and with nobody else."""
    addresses = {node.name: address_of(node, family) for node in world.nodes}

    found = bird.sessions(world.api, family)

    others = {name: [it for other, it in addresses.items() if other != name] for name in addresses}
    right = {name: dict.fromkeys(peers, bird.ESTABLISHED) for name, peers in others.items()}
    proof.fact("every node has a session with every other", found == right, found)


@pytest.mark.claim("CAL-1")
@pytest.mark.requires_absent("encapsulation")
def test_routes(world: World, cluster: Cluster, family: int, prober: Prober, proof: Proof) -> None:
    """BIRD's routes: to each block of another node by that node's address, and none on for a node's own blocks."""
    kernels, of_nodes = look_at(prober.conversations, world.nodes, family), subnets(cluster)
    addresses = {node.name: address_of(node, family) for node in world.nodes}

    learned = {name: {it for it in state.routes if it.by == "bird"} for name, state in kernels.items()}

    blocks = [(owner, block) for owner, them in of_nodes.items() for block in them if block.version == family]
    right = {
        name: {
            Route(block, kind="blackhole")
            if owner == name
            else Route(block, addresses[owner], state.holding(addresses[name]).name)
            for owner, block in blocks
        }
        for name, state in kernels.items()
    }
    shown = {name: sorted(map(str, them)) for name, them in learned.items()}
    proof.fact("BIRD's routes are the nodes' blocks", learned == right and bool(blocks), shown)


@pytest.mark.claim("CAL-1")
def test_host_routes(world: World, family: int, prober: Prober, proof: Proof) -> None:
    """For each of its pods a node has a route of one address to the pod's own veth, and there is no bridge."""
    kernels = look_at(prober.conversations, [*world.nodes, *world.pods], family)

    addresses = {pod.name: address_of(pod, family) for pod in world.pods}
    ends = {it.name: kernels[it.node].other_end(kernels[it.name].holding(addresses[it.name])) for it in world.pods}
    promised = {name: Route(ip_network(it), device=ends[name].name) for name, it in addresses.items()}
    lacking = [f"{name}: {it}" for name, it in promised.items() if it not in kernels[world[name].node].routes]
    links = {node.name: kernels[node.name].links.values() for node in world.nodes}
    bridges = {name: [it.name for it in them if it.kind == "bridge"] for name, them in links.items()}
    proof.fact(f"each of {len(promised)} pods has a route to its veth", bool(promised) and not lacking, lacking)
    proof.fact("no node has a bridge", not any(bridges.values()), bridges)
