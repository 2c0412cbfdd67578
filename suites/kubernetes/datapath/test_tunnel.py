"""A VXLAN tunnel carries whole Ethernet frames between the nodes, and nothing of pods goes bare.

    client 10.244.1.x                                                         remote 10.244.2.y
      │ eth0                                                                    │ eth0
      │ vethA                                                                   │ vethB
    bridge 10.244.1.1, or none                                                bridge 10.244.2.1, or none
      │ route: 10.244.2.0/24 via 10.244.2.0                                     │
    tunnel 10.244.1.0                                                         tunnel 10.244.2.0
      │ 10.244.2.0 is at MAC₂, MAC₂ is behind 172.18.0.4                        │
    eth0 172.18.0.3 ═════ 172.18.0.3 > 172.18.0.4 udp, VNI ════════════════ eth0 172.18.0.4
                          [ MAC₁ > MAC₂ [ 10.244.1.x > 10.244.2.y … ] ]

Only a capture tells: a route past the tunnel leaves every pod reachable while its packets travel in clear, and a
tunnel that takes a wrong card or address works until a filter or another network is in between. Outer packets that
are masqueraded once more, and outer checksums that are wrong, are the classic faults; the latter show only where
the kernel has to compute checksums at all, so once it is made to.
"""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from clusters.cluster import Cluster
from fixtures.endpoints.endpoint import Endpoint
from fixtures.endpoints.offload import checksums_in_software
from fixtures.plugins.proof import Proof
from fixtures.probes.attachment import tunnelled
from fixtures.probes.capture import Capture, rendered
from fixtures.probes.journey import in_words
from fixtures.probes.kernel import NetState, look_at
from fixtures.probes.node_state import Nodes
from fixtures.probes.plan import address_of, between
from fixtures.probes.promises import without_nat
from fixtures.probes.runner import Prober
from fixtures.probes.tunnel_header import TunnelEnd, promised, seen_in
from fixtures.probes.ways import get, ping, tcp, udp
from fixtures.verdicts.judge import judge
from fixtures.world.one_packet import one_packet
from fixtures.world.world import PORT, World

pytestmark = [pytest.mark.claim("FLN-2", "CAL-2", "CNL-1"), pytest.mark.requires("vxlan")]

WAYS = (tcp(PORT), udp(PORT), ping(), get(PORT, size=200_000, timeout=3.0))


def test_device(world: World, cluster: Cluster, prober: Prober, proof: Proof) -> None:
    """On each node the tunnel's device has the CNI's id and port, and sends from the node's own address."""
    kernels, tunnel = look_at(prober.conversations, world.nodes, world.family), cluster.datapath.tunnel

    devices = {name: state.link(tunnel.device) for name, state in kernels.items()}

    seen = {name: (it.kind, it.up, it.vni, it.port, it.local) for name, it in devices.items()}
    right = {node.name: ("vxlan", True, tunnel.vni, tunnel.port, address_of(node)) for node in world.nodes}
    what = f"{tunnel.device} is VXLAN {tunnel.vni} on UDP {tunnel.port} from the node's address"
    proof.fact(what, seen == right, seen)


def test_way_of_a_packet(world: World, cluster: Cluster, prober: Prober, capture: Capture, proof: Proof) -> None:
    """One packet and its answer pass veth (bridge), tunnel and card of both nodes, and no other link."""
    tunnel = cluster.datapath.tunnel

    it = one_packet(world, prober, capture, "client", "remote")

    proof.concludes(judge(without_nat([it.cell], world), it.seen))
    proof.shows(it.shown)
    proof.fact("the packet went that way", it.there == tunnelled(it.near, it.far, tunnel), in_words(it.there))
    proof.fact("so did the answer", it.back == tunnelled(it.far, it.near, tunnel), in_words(it.back))


def test_header(world: World, cluster: Cluster, prober: Prober, capture: Capture, proof: Proof) -> None:
    """Between all nodes: from address to address by the CNI's port and id, from device to device; none bare."""
    kernels, tunnel = look_at(prober.conversations, world.nodes, world.family), cluster.datapath.tunnel
    cells = between([world["client"], world["remote"], world["third"]], WAYS)

    with capture.on(world.nodes, cells, links=cards(world, kernels).values()) as taps:
        seen = prober.sweep(cells)

    bare = [frame for frame in taps.frames if not frame.encapsulated]
    ends = [TunnelEnd(address_of(node), kernels[node.name].link(tunnel.device).mac) for node in world.nodes]
    headers = seen_in(taps.frames)
    proof.concludes(judge(without_nat(cells, world), seen))
    proof.shows("\n".join(sorted(map(str, headers))))
    proof.fact(f"of {len(taps.frames)} packets between nodes none is bare", not bare, rendered(bare[:5]) or "none")
    right = headers == promised(ends, tunnel)
    proof.fact(f"they go from {tunnel.device} to {tunnel.device}", right, sorted(map(str, headers)))


def test_checksums(world: World, prober: Prober, proof: Proof) -> None:
    """With checksums computed by the kernel all pods reach each other, and no node counts a wrong one."""
    cells = between([world["client"], world["remote"], world["third"]], WAYS)
    links = cards(world, look_at(prober.conversations, world.nodes, world.family))
    before = wrong_checksums(world, prober)

    with checksums_in_software(prober.conversations, links):
        seen = prober.sweep(cells)

    after = wrong_checksums(world, prober)
    proof.concludes(judge(without_nat(cells, world), seen))
    proof.fact("no node counted a wrong UDP checksum", before == after, {"before": before, "after": after})


def cards(world: World, kernels: Mapping[str, NetState]) -> dict[Endpoint, str]:
    """The link of each node on the nodes' own network."""
    return {node: kernels[node.name].holding(address_of(node)).name for node in world.nodes}


def wrong_checksums(world: World, prober: Prober) -> dict[str, int]:
    """How many UDP packets each node has thrown away for a wrong checksum."""
    return Nodes(prober.conversations, world.nodes, world.family).udp_checksum_errors()
