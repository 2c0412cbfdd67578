"""A ClusterIP belongs to the cluster: nobody outside finds a way to it by himself.

    outside, on the nodes' own network, believes that 10.96.0.0/16 is on its link
      │ who has 10.96.n.n?   ... nobody answers
    ──┴──────┬───────────────────┬──────────────────┬── 172.18.0.0/16
         control-plane         worker            worker2

No link of the cluster holds the address, so no node claims it on the wire. It would be reached from outside if
one did: an address of a Service put on a link of a node, or proxy ARP. That outside can reach things (a
NodePort of the same Service) and that the Service is alive (a pod asks it) is seen in the same sweep.

Somebody outside who is *told* to send such packets to a node does get in, because the nodes translate whatever
reaches them: the report shows what came of it, and as whom the server saw the client. What keeps the address
inside is that nobody announces it, and no filter.
"""

from __future__ import annotations

import pytest

from fixtures.endpoints.inside import routed
from fixtures.plugins.proof import Proof
from fixtures.probes.plan import address_of, every
from fixtures.probes.runner import Prober
from fixtures.probes.ways import tcp, udp
from fixtures.verdicts.expectation import all_of, blocked, reached
from fixtures.verdicts.judge import judge
from fixtures.verdicts.spread import in_words
from fixtures.world.service_set import Services
from fixtures.world.ways_in import by_node_port, cluster_ip, node_port
from fixtures.world.world import World


@pytest.mark.claim("SVC-3")
def test_nobody_claims_it(world: World, services: Services, prober: Prober, proof: Proof) -> None:
    """On the nodes' own network TCP and UDP find nobody at it; the same Service's NodePort answers there."""
    service, outside, worker = services["open"], world["outside"], world.host_of("client")
    inside = every([world["client"]], [cluster_ip(service)], [tcp(80), udp(80)])
    door = every([outside], [node_port(service, worker)], by_node_port(service))
    cells = every([outside], [cluster_ip(service)], [tcp(80, timeout=4.0), udp(80, timeout=4.0)])

    with routed(prober.conversations, outside, str(service.cluster_ip), "dev", "eth0"):
        seen = prober.sweep([*inside, *door, *cells])
    with routed(prober.conversations, outside, str(service.cluster_ip), "via", str(address_of(worker))):
        told = prober.sweep(every([outside], [cluster_ip(service)], [tcp(80)]))

    proof.concludes(judge({**all_of([*inside, *door], reached()), **all_of(cells, blocked())}, seen))
    proof.shows(f"told to send it to {worker.name}: {', '.join(map(in_words, told))}")
