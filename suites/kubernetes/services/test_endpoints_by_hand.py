"""A Service without selector leads just where its slices say, whoever wrote them and whatever lies there.

    elsewhere  ─→ outside            172.18.0.o      no pod, and not in the cluster
    halves     ─→ tcp: neighbour     one slice
               ─→ udp: remote        another slice, for the other port
    spread     ─→ neighbour, remote  two slices of one port, and one of another family: not counted
    hosted     ─→ a pod on its node's own network, which is a client as well

So databases outside, clusters side by side and migrations are built. It fails where a node reads one slice and
not the next, mixes the ports of two, takes any address for a pod's, or has no way back for a pod on its node's
network.
"""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from clusters.api import Object
from fixtures.plugins.proof import Proof
from fixtures.probes.convergence import must_become
from fixtures.probes.plan import address_of, every
from fixtures.probes.runner import Prober
from fixtures.probes.spread import must_spread
from fixtures.probes.ways import tcp, udp
from fixtures.verdicts.expectation import all_of, reached
from fixtures.verdicts.observation import Protocol
from fixtures.world.pods import Container, Pod, Port
from fixtures.world.service_set import Services
from fixtures.world.services import WEB, Service, ServicePort, ServiceSpec, endpoints_by_hand
from fixtures.world.ways_in import by_name, cluster_ip
from fixtures.world.world import World

pytestmark = pytest.mark.claim("SVC-9")

TCP, UDP = WEB
NODES_PORT = 18090
"""Where the pod on its node's network answers; nobody else has that port on a node."""
ON_HOST = Container(ports=(Port(NODES_PORT, "TCP"), Port(NODES_PORT, "UDP")))
NOT_COUNTED = {4: ip_address("2001:db8::1"), 6: ip_address("203.0.113.1")}
"""By the Service's family an address of the other."""


def test_outside_the_pod_network(world: World, services: Services, prober: Prober, proof: Proof) -> None:
    """Pods and nodes reach a machine that is no node by the ClusterIP and by the name, TCP and UDP."""
    outside = world["outside"]

    def slices(service: Service) -> list[Object]:
        return [endpoints_by_hand(service, [address_of(outside)], TCP, UDP)]

    with services.by_hand("elsewhere", slices) as made:
        elsewhere = made.served_by([outside])
        inside = every([*world.one_pod_of_each_node, *world.nodes], [cluster_ip(elsewhere)], [tcp(80), udp(80)])
        named = every([world["client"]], [by_name(elsewhere)], [tcp(80), udp(80)])
        became = must_become(prober, all_of([*inside, *named], reached()))

    proof.concludes(became.judgement)


def test_split_by_port(world: World, services: Services, prober: Prober, proof: Proof) -> None:
    """One slice has the TCP port's endpoint, another the UDP port's: each answers for its own alone."""
    neighbour, remote = world["neighbour"], world["remote"]
    sources = [*world.one_pod_of_each_node, *world.nodes]

    def slices(service: Service) -> list[Object]:
        return [
            endpoints_by_hand(service, [address_of(neighbour)], TCP, name="tcp"),
            endpoints_by_hand(service, [address_of(remote)], UDP, name="udp"),
        ]

    with services.by_hand("halves", slices) as halves:
        first = every(sources, [cluster_ip(halves, by=[neighbour.identity])], [tcp(80)] * 5)
        second = every(sources, [cluster_ip(halves, by=[remote.identity])], [udp(80)] * 5)
        became = must_become(prober, all_of([*first, *second], reached()))

    proof.concludes(became.judgement)


def test_split_by_address(world: World, services: Services, prober: Prober, proof: Proof) -> None:
    """Endpoints of two slices all answer; a slice of a family that the Service has not changes nothing."""
    ends = [world["neighbour"], world["remote"]]
    sources = [*world.one_pod_of_each_node, *world.nodes]

    def slices(service: Service) -> list[Object]:
        each = [endpoints_by_hand(service, [address_of(end)], TCP, name=end.name) for end in ends]
        return [*each, endpoints_by_hand(service, [NOT_COUNTED[world.family]], TCP, name="other-family")]

    with services.by_hand("spread", slices) as made:
        spread = made.served_by(ends)
        became = must_spread(prober, sources, cluster_ip(spread), tcp(80))

    proof.concludes(became.judgement)
    proof.fact("the endpoints of both slices answered everywhere", became.complete, became.answered)


def test_pods_on_the_network_of_their_nodes(
    world: World, services: Services, family: int, prober: Prober, proof: Proof
) -> None:
    """A pod with hostNetwork answers for a Service, and asks Services by address and by name as others do."""
    host = world["remote"].node
    ports = (
        ServicePort("tcp", 80, NODES_PORT),
        ServicePort("udp", 80, NODES_PORT, Protocol.UDP),
    )
    with (
        world.with_pods(Pod("on-host", node=host, host_network=True, containers=(ON_HOST,))),
        services.standing(ServiceSpec("hosted", ("on-host",), ports=ports)) as hosted,
    ):
        asked = every(
            [*world.one_pod_of_each_node, *world.nodes], [cluster_ip(hosted, family)], [tcp(80), udp(80)]
        )
        asks = every(
            [world["on-host"]],
            [cluster_ip(services["near"], family), by_name(services["web"])],
            [tcp(80), udp(80)],
        )
        became = must_become(prober, all_of([*asked, *asks], reached()))

    proof.concludes(became.judgement)
