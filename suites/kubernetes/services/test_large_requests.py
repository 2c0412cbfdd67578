"""Large requests come through to a Service as well as large answers, by every way in.

    client  ─ 300 kB and 4 kB of UDP ─→ ClusterIP ─→ neighbour, same node
                                                  ─→ remote, other node
    outside ─ 300 kB and 4 kB of UDP ─→ worker:3nnnn, worker2:3nnnn, control-plane:3nnnn ─→ remote
    client  ─ 300 kB and 4 kB of UDP ─→ the same

An upload has its full packets on the way in, where an answer has small ones. So it fails where only that way eats
them: a path MTU that one side learned, a filter for fragments, a checksum that is right for small packets alone.
The server counts what came, and tells a part that was lost from a part that was changed.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fixtures.faults.fault import fault
from fixtures.faults.rule_levers import packet_rule
from fixtures.faults.site import Site
from fixtures.plugins.proof import Proof
from fixtures.probes.plan import every
from fixtures.probes.runner import Prober
from fixtures.probes.ways import tcp, udp
from fixtures.verdicts.expectation import all_of, reached
from fixtures.verdicts.judge import judge
from fixtures.world.service_set import Services
from fixtures.world.ways_in import cluster_ip, node_port
from fixtures.world.world import World

LARGE, CUT = 300_000, 4_000
"""Bytes of a request over TCP, and of a datagram that has to be cut into fragments."""


@fault(
    reddens={
        "kubernetes/services/large_requests/by_cluster_ip": "client → service/far",
        "kubernetes/services/large_requests/by_node_port": "→ open on",
    },
    spares=("kubernetes/services/clusterip_from_pods/*", "kubernetes/external/node_port/large_answers"),
)
def large_requests_lost(site: Site) -> Iterator[None]:
    """Packets above 1300 bytes to the far node's pods vanish, on that way alone."""
    rule = f"ip daddr {site.subnet(site.far)} meta length gt 1300 ct direction original drop"
    with packet_rule(site, site.far, "forward", rule):
        yield


@pytest.mark.claim("SVC-2", "POD-11")
def test_by_cluster_ip(world: World, services: Services, family: int, prober: Prober, proof: Proof) -> None:
    """300 kB by TCP and 4 kB by UDP from pods to an endpoint on the same and on the other node come whole."""
    targets = [cluster_ip(services["near"], family), cluster_ip(services["far"], family)]
    by_tcp = every([world["client"], world["remote"]], targets, [tcp(80, send=LARGE, timeout=3.0)])
    by_udp = every([world["client"], world["remote"]], targets, [udp(80, size=CUT)])

    seen = prober.sweep([*by_tcp, *by_udp])

    promised = all_of(by_tcp, reached(delivered=LARGE)) | all_of(by_udp, reached(received=CUT))
    proof.concludes(judge(promised, seen))


@pytest.mark.claim("EXT-2", "POD-11")
def test_by_node_port(world: World, services: Services, family: int, prober: Prober, proof: Proof) -> None:
    """300 kB by TCP and 4 kB by UDP, in fragments, from outside and from a pod by every node come whole.

    Over IPv6 no router cuts a packet: the first datagram is lost where pods have a smaller MTU than the outside,
    and its sender is told. The second one has to come.
    """
    service, sources = services["open"], [world["outside"], world["client"]]
    doors = [node_port(service, node, family) for node in world.nodes]
    by_tcp = every(sources, doors, [tcp(service.node_port("tcp"), send=LARGE, timeout=3.0)])
    by_udp = every(sources, doors, [udp(service.node_port("udp"), size=CUT)])
    if family == 6:
        prober.sweep(by_udp)

    seen = prober.sweep([*by_tcp, *by_udp])

    promised = all_of(by_tcp, reached(delivered=LARGE)) | all_of(by_udp, reached(received=CUT))
    proof.concludes(judge(promised, seen))
