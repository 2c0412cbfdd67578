"""Nothing that a node or a pod sends goes out by the default gateway, but what a check asked of nobody.

    worker  10.96.n.n:80  ─ no Service there any more ─→ default route ─→ drain   a check's own question
    worker  198.51.100.1:123 ──────────────────────────→ default route ─→ drain   whose?

The nodes' default gateway is a drain: it hands nothing on and keeps a record. What a check asked and nobody
answered is known by its marker and its address. Anything else was sent by something that believes in an address
nobody has: a Service that no rule translates, a name server elsewhere, an image that is pulled, pod traffic that
missed its tunnel. On a real network such packets are somebody else's.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from clusters.cluster import Cluster
from fixtures.endpoints.conversation import Conversations
from fixtures.evidence.collect import Evidence
from fixtures.faults.fault import fault
from fixtures.faults.site import Site
from fixtures.plugins.proof import Proof
from fixtures.report.recorder import Run
from fixtures.world.drained import Drained, by_address, drained, unasked
from fixtures.world.world import World

pytestmark = [pytest.mark.claim("RUN-1"), pytest.mark.at_end]

SOMEWHERE = "198.51.100.1"


@fault(
    reddens={"kubernetes/run/nothing_leaves/by_the_default_gateway": f"sent {SOMEWHERE}:123 (udp)"},
    spares=("kubernetes/pods/pods_on_one_node/both_directions",),
)
def stray_sender(site: Site) -> Iterator[None]:
    """A program on the near node asks a time server that is not there."""
    site.run(site.near, "bash", "-c", f"echo what time is it > /dev/udp/{SOMEWHERE}/123")
    yield


def test_by_the_default_gateway(
    world: World, cluster: Cluster, conversations: Conversations, run: Run, evidence: Evidence, proof: Proof
) -> None:
    """Of all that came to the default gateway during the run, each packet is a check's own question.

    Where the CNI lets packets for pods that are gone follow the default route, they are counted and no more.
    """
    packets = drained(conversations, world.drain, since=run.since)

    names = by_address([*world.nodes, *world.values()])
    others = unasked(packets, [*run.history.observations, *evidence.asked])
    gone = [packet for packet in others if for_gone_pods(cluster, packet)]
    foreign = [
        packet.sentence(names)
        for packet in others
        if packet not in gone and packet.question not in of_nodes(world)
    ]
    proof.measured("packets to the default gateway", sum(packet.count for packet in packets), "")
    proof.measured("of these for pods that are gone", sum(packet.count for packet in gone), "")
    proof.fact("every packet to the default gateway is a check's own", not foreign, foreign)


def for_gone_pods(cluster: Cluster, packet: Drained) -> bool:
    """Whether the packet is for an address of the pool, and the CNI lets such follow the default route."""
    of_the_pool = any(packet.destination in subnet for subnet in cluster.profile.pod_subnet)
    return of_the_pool and cluster.datapath.follows_the_default_route


def of_nodes(world: World) -> set[str]:
    """Questions for addresses of the nodes themselves.

    They are how Docker works: its own name server, in each node, knows a container's name and asks a server
    elsewhere for the address family that the container lacks.
    """
    return {f"{node.name}./{record}" for node in world.nodes for record in ("A", "AAAA")}
