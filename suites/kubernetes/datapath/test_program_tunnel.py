"""A tunnel that is a program: it takes bare IP packets from a TUN device, and sends each as a datagram to a node.

    client 10.244.1.x                                            remote 10.244.2.y
      │ eth0                                                       │ eth0
    bridge 10.244.1.1                                            bridge 10.244.2.1
      │ route: 10.244.0.0/16 dev tunnel                            │
    tunnel (TUN) ── daemon ── udp ══ 172.18.0.3 > 172.18.0.4 udp ══ udp ── daemon ── tunnel (TUN)
                              [ 10.244.1.x > 10.244.2.y … ]   no Ethernet header inside

It fails where the kernel carries the packets after all: an earlier backend's device with routes that are more
specific leaves every pod reachable, and only the wire tells. With the daemon frozen nothing gets across.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from clusters.cluster import Cluster
from clusters.features import Feature
from fixtures.faults.fault import fault
from fixtures.faults.node_levers import frozen
from fixtures.faults.site import Site
from fixtures.plugins.proof import Proof
from fixtures.probes.capture import Capture, rendered
from fixtures.probes.kernel import look_at
from fixtures.probes.plan import address_of, between
from fixtures.probes.promises import without_nat
from fixtures.probes.runner import Prober
from fixtures.probes.ways import get, ping, tcp, udp
from fixtures.verdicts.judge import judge
from fixtures.world.world import PORT, World

pytestmark = [pytest.mark.claim("FLN-3"), pytest.mark.requires("program-tunnel")]

WAYS = (tcp(PORT), udp(PORT), ping(), get(PORT, size=200_000, timeout=3.0))


@fault(
    reddens={
        "kubernetes/datapath/program_tunnel/bare_packets_inside": "client → remote",
    },
    spares=("kubernetes/pods/pods_on_one_node/both_directions", "kubernetes/datapath/program_tunnel/device"),
    requires=(Feature.PROGRAM_TUNNEL,),
)
def frozen_carrier(site: Site) -> Iterator[None]:
    """The daemon that carries the far node's packets stands still."""
    with frozen(site, site.far, site.datapath.daemon):
        yield


@fault(
    reddens={"kubernetes/datapath/program_tunnel/device": "is a TUN device that is up"},
    spares=("kubernetes/pods/pods_on_one_node/both_directions",),
    requires=(Feature.PROGRAM_TUNNEL,),
)
def tunnel_down(site: Site) -> Iterator[None]:
    """The near node's tunnel device is down; the routes that went with it are laid again afterwards."""
    device = site.tunnel.device
    routes = [line.split() for line in site.run(site.near, "ip", "route", "show", "dev", device).splitlines()]
    site.run(site.near, "ip", "link", "set", device, "down")
    try:
        yield
    finally:
        site.run(site.near, "ip", "link", "set", device, "up")
        for route in routes:
            site.run(site.near, "ip", "route", "replace", *route, "dev", device)


def test_device(world: World, cluster: Cluster, prober: Prober, proof: Proof) -> None:
    """On each node the tunnel's device is a TUN device, which a program opened."""
    kernels, name = look_at(prober.conversations, world.nodes, world.family), cluster.datapath.tunnel.device

    seen = {node: (state.link(name).kind, state.link(name).up) for node, state in kernels.items()}

    proof.fact(f"{name} is a TUN device that is up", set(seen.values()) == {("tun", True)}, seen)


def test_bare_packets_inside(
    world: World, cluster: Cluster, prober: Prober, capture: Capture, proof: Proof
) -> None:
    """Between all nodes: datagrams from node to node by the CNI's port, and in each a bare IP packet of pods."""
    kernels, tunnel = look_at(prober.conversations, world.nodes, world.family), cluster.datapath.tunnel
    cells = between([world["client"], world["remote"], world["third"]], WAYS)
    cards = {kernels[node.name].holding(address_of(node)).name for node in world.nodes}

    with capture.on(world.nodes, cells, links=cards) as taps:
        seen = prober.sweep(cells)

    nodes = {address_of(node) for node in world.nodes}
    wrong = [
        frame
        for frame in taps.frames
        if frame.packet is None
        or frame.inner is None
        or frame.inner_ethernet is not None
        or frame.packet.destination_port != tunnel.port
        or not {frame.packet.source, frame.packet.destination} <= nodes
    ]
    proof.concludes(judge(without_nat(cells, world), seen))
    count = len(taps.frames)
    what = (
        f"{count} packets between nodes are in datagrams to port {tunnel.port}, without an Ethernet header inside"
    )
    proof.fact(what, bool(count) and not wrong, rendered(wrong[:5]) or "all")
