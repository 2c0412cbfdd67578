"""kube-proxy's chains exist for a Service and carry its packets: their counters rise with each connection.

    KUBE-SERVICES ─ 10.96.n.n:80 ─→ KUBE-SVC-… ─→ KUBE-SEP-… ─ DNAT ─→ 10.244.2.z:8080
                                        └ source is no pod: KUBE-MARK-MASQ sets 0x4000
    KUBE-NODEPORTS ─ :3nnnn ─→ KUBE-EXT-… ─ KUBE-MARK-MASQ ─→ KUBE-SVC-…
    KUBE-POSTROUTING ─ 0x4000 ─→ MASQUERADE

Rules alone prove nothing: a rule that some other one forestalls is there and never hit. Each new connection
passes each rule of its way once, so ten connections raise each counter by ten; a counter that rises less was
bypassed.
"""

from __future__ import annotations

import pytest

from clusters.proxy import IPTABLES
from fixtures.plugins.proof import Proof
from fixtures.probes.node_state import Nodes
from fixtures.probes.plan import every
from fixtures.probes.runner import Prober
from fixtures.probes.ways import tcp
from fixtures.verdicts.expectation import all_of, reached
from fixtures.verdicts.judge import judge
from fixtures.world.service_set import Services
from fixtures.world.ways_in import cluster_ip, node_port
from fixtures.world.world import World

pytestmark = [pytest.mark.claim("LVS-1"), pytest.mark.requires("kube-proxy-iptables")]

CONNECTIONS = 10


def test_from_a_pod(world: World, services: Services, nodes: Nodes, prober: Prober, proof: Proof) -> None:
    """ClusterIP asked by a pod: the Service's chain, the endpoint's chain, and no mark for masquerade."""
    service, host = services["far"], world.host_of("client")
    cells = every([world["client"]], [cluster_ip(service)], [tcp(80)] * CONNECTIONS)

    counted = nodes.counted(host, service.label("tcp"), lambda: prober.sweep(cells))

    proof.concludes(judge(all_of(cells, reached()), counted.seen))
    hit = counted.steps
    proof.fact(
        "ten packets took each step, none was marked", hit == dict.fromkeys(IPTABLES.from_a_pod, CONNECTIONS), hit
    )


def test_from_a_node(world: World, services: Services, nodes: Nodes, prober: Prober, proof: Proof) -> None:
    """ClusterIP asked by a node: marked with 0x4000 on the way, and masqueraded for it when it leaves."""
    service, host = services["far"], world.host_of("client")
    cells = every([host], [cluster_ip(service)], [tcp(80)] * CONNECTIONS)

    counted = nodes.counted(host, service.label("tcp"), lambda: prober.sweep(cells))

    proof.concludes(judge(all_of(cells, reached()), counted.seen))
    hit = counted.steps
    proof.fact(
        "ten packets took each step and the mark", hit == dict.fromkeys(IPTABLES.from_elsewhere, CONNECTIONS), hit
    )
    ends = counted.masquerade
    proof.fact("0x4000 was set and led to MASQUERADE", min(ends.values()) >= CONNECTIONS, ends)


def test_by_node_port(world: World, services: Services, nodes: Nodes, prober: Prober, proof: Proof) -> None:
    """NodePort asked from outside: through the chain for external traffic, marked and masqueraded."""
    service, host = services["open"], world.host_of("client")
    cells = every([world["outside"]], [node_port(service, host)], [tcp(service.node_port("tcp"))] * CONNECTIONS)

    counted = nodes.counted(host, service.label("tcp"), lambda: prober.sweep(cells))

    proof.concludes(judge(all_of(cells, reached()), counted.seen))
    hit = counted.steps
    proof.fact(
        "ten packets took each step and the mark", hit == dict.fromkeys(IPTABLES.by_node_port, CONNECTIONS), hit
    )
    ends = counted.masquerade
    proof.fact("0x4000 was set and led to MASQUERADE", min(ends.values()) >= CONNECTIONS, ends)
