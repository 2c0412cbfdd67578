"""A pod reaches the outside, which sees its node; nobody outside finds a way to a pod or a ClusterIP by himself.

    client 10.244.1.x ─ cni0 ─ worker 172.18.0.3 ──┬── outside 172.18.0.9
                                                   │     believes that 10.244.0.0/16 and 10.96.0.0/16
    remote 10.244.2.y ─ cni0 ─ worker2 172.18.0.4 ─┘     are on its own link: "who has 10.244.1.x?"

Outward it fails where nobody masquerades: the outside knows no way back to a pod's address. Inward, outside
is given the best chance that it can have without being told: it is on the nodes' own network and asks there for
the addresses themselves. It would be answered where pods are bridged onto that network, where a node answers for
others (proxy ARP) or holds a Service's address on a link. That outside can reach things, and that what it does not
reach is alive, is seen in the same sweep.

Somebody who is *told* to send pod packets to a node is another matter. Nothing of the claim forbids that, and CNIs
differ: what came of it is shown, not judged.
"""

from __future__ import annotations

import pytest

from clusters.api import SERVICE
from clusters.cluster import Cluster
from fixtures.probes.plan import address_of, at, every, foreign
from fixtures.probes.promises import seen_as
from fixtures.probes.runner import Prober
from fixtures.probes.ways import get, ping, tcp, udp
from fixtures.proof import Proof
from fixtures.verdicts.expectation import all_of, blocked, reached
from fixtures.verdicts.judge import judge
from fixtures.verdicts.spread import in_words
from fixtures.workloads.inside import all_routed
from fixtures.workloads.world import PORT, World


@pytest.mark.claim("POD-7")
def test_out(world: World, prober: Prober, proof: Proof) -> None:
    """From pods on all nodes by TCP, UDP, ICMP and 200 kB of HTTP; outside sees the address of the pod's node."""
    pods = [world[name] for name in ("client", "neighbour", "remote", "third")]
    cells = every(
        pods, [at(world["outside"])], [tcp(PORT), udp(PORT), ping(), get(PORT, size=200_000, timeout=3.0)]
    )

    seen = prober.sweep(cells)

    nodes = {pod.name: world.host_of(pod.name).addresses for pod in pods}
    proof.concludes(judge(seen_as(cells, nodes), seen))


@pytest.mark.claim("POD-7")
def test_in(world: World, cluster: Cluster, prober: Prober, proof: Proof) -> None:
    """Outside asks for pods and for a ClusterIP on the nodes' own network, and nobody answers for them."""
    outside, neighbour, worker = world["outside"], world["neighbour"], world.host_of("client")
    pods, api_server = (
        [at(world["client"]), at(world["remote"])],
        foreign("service/kubernetes", api_address(world)),
    )
    shut = [*every([outside], pods, [tcp(PORT), udp(PORT), ping()]), *every([outside], [api_server], [tcp(443)])]
    inside = [*every([neighbour], pods, [tcp(PORT)]), *every([neighbour], [api_server], [tcp(443)])]
    alive = [*inside, *every([outside], [at(worker)], [tcp(PORT), udp(PORT), ping()])]

    with all_routed(prober.conversations, outside, networks(cluster), "dev", "eth0"):
        seen = prober.sweep([*alive, *shut])
    with all_routed(prober.conversations, outside, networks(cluster), "via", str(address_of(worker))):
        told = prober.sweep(shut)

    proof.concludes(judge({**all_of(alive, reached()), **all_of(shut, blocked())}, seen))
    proof.shows(f"told to send it to {worker.name}: " + "; ".join(map(in_words, told)))


def networks(cluster: Cluster) -> list[str]:
    """Where outside believes pods and Services to be."""
    return [str(it) for it in (*cluster.profile.pod_subnet, *cluster.profile.service_subnet) if it.version == 4]


def api_address(world: World) -> str:
    """The ClusterIP that every cluster has."""
    found = world.api.get(SERVICE, "kubernetes", "default") or {}
    address: str = found["spec"]["clusterIP"]
    return address
