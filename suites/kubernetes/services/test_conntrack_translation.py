"""The node remembers each translated connection, and turns the answer back by what it remembers.

    pod → ClusterIP, endpoint on another node              node of the client remembers
      asked     10.244.1.x:p  → 10.96.n.n:80
      answered  10.244.2.z:8080 → 10.244.1.x:p              destination changed, source kept

    outside → NodePort of a node without endpoint          the node that was asked remembers
      asked     172.18.0.o:p  → 172.18.0.w:3nnnn
      answered  10.244.2.z:8080 → 10.244.1.0:q              both changed: the answer has to come back here

A connection is found by its source port, which the check chooses. Where the destination is changed by anything
else than the node's own translation, or the source is changed where it should be kept, the remembered addresses
tell.
"""

from __future__ import annotations

import pytest

from fixtures.plugins.proof import Proof
from fixtures.probes.connections import Connection, Way, listed
from fixtures.probes.node_state import Nodes
from fixtures.probes.plan import address_of, every
from fixtures.probes.runner import Prober
from fixtures.probes.source_ports import unused_port
from fixtures.probes.ways import tcp, udp
from fixtures.verdicts.expectation import all_of, reached
from fixtures.verdicts.judge import judge
from fixtures.verdicts.observation import Protocol
from fixtures.world.service_set import Services
from fixtures.world.ways_in import cluster_ip, node_port
from fixtures.world.world import World

pytestmark = pytest.mark.claim("LVS-4")

CLUSTER_IP, NODE_PORT, LOCAL = unused_port(), unused_port(), unused_port()
"""The source ports by which the connections of each check are found again."""


def test_cluster_ip(world: World, services: Services, nodes: Nodes, prober: Prober, proof: Proof) -> None:
    """Pod to ClusterIP, endpoint elsewhere: destination changed to the endpoint, source kept, for TCP and UDP."""
    client, far, remote = world["client"], services["far"], world["remote"]
    cells = every([client], [cluster_ip(far)], [tcp(80, source_port=CLUSTER_IP), udp(80, source_port=CLUSTER_IP)])

    seen = prober.sweep(cells)

    proof.concludes(judge(all_of(cells, reached(seen_as=client.addresses)), seen))
    asked = Way(address_of(client), CLUSTER_IP, far.cluster_ip, 80)
    wanted = Connection(asked, Way(address_of(remote), 8080, address_of(client), CLUSTER_IP))
    host = world.host_of("client")
    known = [nodes.connections(host, protocol, CLUSTER_IP) for protocol in (Protocol.TCP, Protocol.UDP)]
    proof.fact("destination changed, source kept, by TCP and UDP", known == [[wanted], [wanted]], listed(known))


def test_node_port(world: World, services: Services, nodes: Nodes, prober: Prober, proof: Proof) -> None:
    """Outside to the NodePort of a node without endpoint: destination changed, source to the node's own."""
    outside, service, host = world["outside"], services["open"], world.host_of("client")
    port = service.node_port("tcp")
    cells = every([outside], [node_port(service, host)], [tcp(port, source_port=NODE_PORT)])

    seen = prober.sweep(cells)

    own = nodes.addresses(host)
    proof.concludes(judge(all_of(cells, reached(seen_as=own)), seen))
    known = nodes.connections(host, Protocol.TCP, NODE_PORT)
    asked = Way(address_of(outside), NODE_PORT, address_of(host), port)
    proof.fact("the node remembers one connection", [it.asked for it in known] == [asked], listed([known]))
    answered = known[0].answered
    proof.fact("destination changed to the endpoint", answered.source == address_of(world["remote"]), answered)
    proof.fact("source changed to the node's own", answered.destination in own, answered)


def test_node_port_local(world: World, services: Services, nodes: Nodes, prober: Prober, proof: Proof) -> None:
    """Outside to the NodePort of the endpoint's node with policy Local: destination changed, source kept."""
    outside, service, remote = world["outside"], services["kept"], world["remote"]
    port, host = service.node_port("tcp"), world.host_of("remote")
    cells = every([outside], [node_port(service, host)], [tcp(port, source_port=LOCAL)])

    seen = prober.sweep(cells)

    proof.concludes(judge(all_of(cells, reached(seen_as=outside.addresses)), seen))
    asked = Way(address_of(outside), LOCAL, address_of(host), port)
    wanted = Connection(asked, Way(address_of(remote), 8080, address_of(outside), LOCAL))
    known = nodes.connections(host, Protocol.TCP, LOCAL)
    proof.fact("destination changed, source kept", known == [wanted], listed([known]))
