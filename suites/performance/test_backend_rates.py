"""flannel's backends in the order of their cost: plain routes as fast as VXLAN or faster, a program the slowest.

    client ── 60 MB ──▶ remote      host-gw   eth0        the nodes' own wire
                                    vxlan     flannel.1   wrapped by the kernel
                                    udp       flannel0    wrapped by flanneld, packet by packet

One cluster goes through all three, so that machine, kernel and pods are the same, and only ratios count. A backend
that is slower than it should be carries its packets in another way than it says: by a route of the one before that
is still there, or by a tunnel within a tunnel. So the kernel is asked which way it takes before anything is
measured, and what an earlier backend has left is taken away: flannel leaves it to whoever switches.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from clusters import manifests
from clusters.cluster import Cluster
from clusters.model import Profile, load_cni
from fixtures.endpoints.conversation import Conversations
from fixtures.faults.site import Site
from fixtures.plugins.proof import Proof
from fixtures.probes.bulk import PORT, receive, send
from fixtures.probes.convergence import Convergence, must_become
from fixtures.probes.plan import address_of, between
from fixtures.probes.promises import without_nat
from fixtures.probes.runner import Prober
from fixtures.probes.ways import tcp, udp
from fixtures.world.agents import Agent, daemon_pods, pods_anew
from fixtures.world.world import PORT as AGENTS_PORT
from fixtures.world.world import World

BACKENDS = ("host-gw", "vxlan", "udp")
"""From the fastest to the slowest."""
MEGABYTES, TURNS = 60, 5
AS_FAST = 0.8
"""On a busy machine the best of some transfers varies by a fifth, whichever way they go."""


@pytest.fixture
def switched(cluster: Cluster, world: World) -> Iterator[None]:
    """Whatever backend the check ends with, the cluster's own is there again afterwards."""
    try:
        yield
    finally:
        switch(cluster, world, cluster.profile)


@pytest.mark.claim("FLN-6")
@pytest.mark.requires("flannel-leases", "bridge", "vxlan")
@pytest.mark.usefixtures("switched")
def test_order(
    world: World, cluster: Cluster, site: Site, conversations: Conversations, prober: Prober, proof: Proof
) -> None:
    """The best of five transfers by each backend, in megabytes a second; the order is that of their cost."""
    rates: dict[str, float] = {}
    receive(conversations.with_(world["remote"]))
    for backend in BACKENDS:
        switch(cluster, world, with_backend(cluster, backend))
        proof.concludes(served(world, prober).judgement)
        device, found = tunnel(cluster, backend) or site.card(site.near), device_to(world, "client", "remote")
        proof.fact(f"with {backend} packets leave by {device}", found == device, found)
        rates[backend] = fastest(world, conversations)
        proof.measured(backend, rates[backend], "MB/s")

    ratio = rates["host-gw"] / rates["vxlan"]
    proof.fact(f"host-gw is at least {AS_FAST} times as fast as vxlan", ratio >= AS_FAST, f"{ratio:.2f} times")
    ratio = rates["vxlan"] / rates["udp"]
    proof.fact("vxlan is faster than udp", ratio > 1, f"{ratio:.2f} times")


def with_backend(cluster: Cluster, backend: str) -> Profile:
    """The cluster's profile with another backend."""
    return cluster.profile.model_copy(update={"options": {"backend": backend}})


def tunnel(cluster: Cluster, backend: str) -> str:
    """The device of a backend's tunnel; "" where it has none."""
    return load_cni(cluster.cni).datapath(with_backend(cluster, backend)).tunnel.device


def switch(cluster: Cluster, world: World, profile: Profile) -> None:
    """Set flannel up as that profile says, without what another backend has left on the nodes."""
    cluster.api.apply(*manifests.of(load_cni(cluster.cni), profile, cluster.cni_version))
    for node in world.nodes:
        for device in filter(None, (tunnel(cluster, backend) for backend in BACKENDS)):
            world.in_node(node.name, "ip", "link", "del", device)
    pods_anew(cluster.api, daemon_pods(cluster.api, Agent.CNI))


def served(world: World, prober: Prober) -> Convergence:
    """Pods of all nodes reach each other."""
    cells = between(world.one_pod_of_each_node, [tcp(AGENTS_PORT), udp(AGENTS_PORT)])
    return must_become(prober, without_nat(cells, world), within=30)


def device_to(world: World, source: str, destination: str) -> str:
    """The device by which the node of `source` sends packets for the pod `destination`."""
    said = world.in_node(world[source].node, "ip", "-j", "route", "get", str(address_of(world[destination])))
    return str(json.loads(said)[0]["dev"])


def fastest(world: World, conversations: Conversations) -> float:
    """The best of some transfers: whatever else the machine does can only slow one down."""
    client, address = conversations.with_(world["client"]), address_of(world["remote"])
    return max(send(client, address, PORT, megabytes=MEGABYTES) for _ in range(TURNS))
