"""One number serves as several hostPorts of a node, as long as their addresses or protocols differ.

    worker 172.18.0.w:18084 tcp ─→ by-address        hostIP 172.18.0.w
    worker 127.0.0.1:18084  tcp ─→ by-loopback       hostIP 127.0.0.1
    worker 172.18.0.w:18084 udp ─→ by-protocol       no hostIP, UDP
    worker 127.0.0.1:18084  udp ─→ by-protocol

It fails where the node's translation looks at the number alone: the first pod then takes what is meant for the
others, or the second is refused; and where a port that was asked for on one address answers on all of them.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fixtures.endpoints.endpoint import Endpoint
from fixtures.faults.fault import fault
from fixtures.faults.rule_levers import led_to_pod
from fixtures.faults.site import Site
from fixtures.plugins.proof import Proof
from fixtures.probes.convergence import must_become
from fixtures.probes.plan import Destination, address_of, every
from fixtures.probes.runner import Prober
from fixtures.probes.ways import tcp, udp
from fixtures.verdicts.expectation import all_of, reached
from fixtures.world.pods import Container, Pod, Port
from fixtures.world.ways_in import host_port
from fixtures.world.world import World

NUMBER = 18084


@fault(
    reddens={"kubernetes/external/host_ports_beside/one_number_three_pods": "by-protocol"},
    spares=("kubernetes/external/host_port/on_its_node_alone",),
)
def protocols_mixed_up(site: Site) -> Iterator[None]:
    """The near node leads to one pod whatever comes to a hostPort's number, by TCP and by UDP."""
    rule = ("-p", "udp", "-m", "addrtype", "--dst-type", "LOCAL", "--dport", str(NUMBER))
    with led_to_pod(site, site.near, "neighbour", *rule):
        yield


def hatch(name: str, node: Endpoint, protocol: str, host_ip: str = "") -> Pod:
    """A pod on that node with that hostPort; it answers by both protocols inside."""
    other = "UDP" if protocol == "TCP" else "TCP"
    ports = (Port(8080, protocol, host_port=NUMBER, host_ip=host_ip), Port(8080, other))
    return Pod(name, node=node.name, containers=(Container(ports=ports),))


def at_loopback(pod: Endpoint, node: Endpoint) -> Destination:
    """The pod's hostPort at the node's loopback address, for the node itself to ask."""
    return Destination(f"{pod.name} on {node.name}'s loopback", "127.0.0.1", frozenset({pod.identity}))


@pytest.mark.claim("EXT-6")
@pytest.mark.requires("host-port")
def test_one_number_three_pods(world: World, prober: Prober, proof: Proof) -> None:
    """From outside, another node and a pod by the node's address, from the node itself by its loopback."""
    worker = world.host_of("client")
    wanted = [
        hatch("by-address", worker, "TCP", str(address_of(worker))),
        hatch("by-protocol", worker, "UDP"),
    ]
    if world.family == 4:  # nothing leads from ::1 to a pod: IPv6 has no route_localnet
        wanted.append(hatch("by-loopback", worker, "TCP", "127.0.0.1"))
    sources = [world["outside"], world.host_of("remote"), world["remote"]]
    with world.with_pods(*wanted):
        by_tcp = every(sources, [host_port(world["by-address"], worker)], [tcp(NUMBER)])
        by_udp = every(sources, [host_port(world["by-protocol"], worker)], [udp(NUMBER)])
        cells = [*by_tcp, *by_udp]
        if "by-loopback" in world:
            cells += every([worker], [at_loopback(world["by-loopback"], worker)], [tcp(NUMBER)])
        became = must_become(prober, all_of(cells, reached()))

    proof.concludes(became.judgement)
