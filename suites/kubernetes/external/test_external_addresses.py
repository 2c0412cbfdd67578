"""Addresses that were given to a Service lead to it, on every node; an address that was not leads nowhere.

    outside, told that worker leads to 203.0.113.0/24
      ├─→ 203.0.113.10   spec.externalIPs             ─→ neighbour, remote
      ├─→ 203.0.113.11   status.loadBalancer.ingress  ─→ neighbour, remote
      └─→ 203.0.113.12   nobody's                     ─→ the default gateway, unanswered

A load balancer or a router in front of the cluster hands packets to a node unchanged, and the node has to know
whose they are. It fails where one node does not, where pods cannot use the address that everybody else uses, where
source ranges let others in, and where a node serves an address that nobody gave.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network

import pytest

from fixtures.endpoints.inside import routed
from fixtures.faults.fault import fault
from fixtures.faults.rule_levers import led_to_pod, packet_rule
from fixtures.faults.site import Site
from fixtures.plugins.proof import Proof
from fixtures.probes.convergence import must_become
from fixtures.probes.plan import address_of, every, foreign
from fixtures.probes.runner import Prober
from fixtures.probes.ways import tcp, udp
from fixtures.verdicts.expectation import all_of, blocked, reached
from fixtures.verdicts.observation import Outcome
from fixtures.world.drained import drained
from fixtures.world.service_set import Services
from fixtures.world.services import GIVEN_BY_HAND, ServiceSpec, ServiceType
from fixtures.world.ways_in import GIVEN, balanced, cluster_ip
from fixtures.world.world import World

EXTERNAL, BALANCED, NOBODYS = 10, 11, 12
"""The places of these addresses in the range. Packets for them that no node takes come to the drain."""
WAYS = (tcp(80), udp(80))

PAIR = ("neighbour", "remote")
WITHOUT_DOORS = {**GIVEN_BY_HAND, "allocateLoadBalancerNodePorts": False}
LIGHT = ServiceSpec("light", PAIR, type=ServiceType.LOAD_BALANCER, extra=WITHOUT_DOORS)


@fault(
    reddens={
        "kubernetes/external/external_addresses/external_ips": "→ given at 203.0.113.10",
        "kubernetes/external/external_addresses/balanced_without_node_ports": "→ light at 203.0.113.11",
        "kubernetes/external/external_addresses/source_ranges": "outside → light at 203.0.113.11",
    },
    spares=(
        "kubernetes/external/node_port/every_node_from_everywhere",
        "kubernetes/services/clusterip_from_pods/*",
    ),
)
def external_addresses_dropped(site: Site) -> Iterator[None]:
    """The near node takes nothing for addresses that are not the cluster's own."""
    with packet_rule(site, site.near, "prerouting", f"ip daddr {GIVEN[site.family]} drop"):
        yield


@fault(
    reddens={
        "kubernetes/external/external_addresses/source_ranges": "client → light at 203.0.113.11: remote answered",
    },
    spares=("kubernetes/external/external_addresses/external_ips",),
)
def source_ranges_ignored(site: Site) -> Iterator[None]:
    """The near node leads everybody to a pod who asks at a load balancer's address."""
    rule = ("-d", str(GIVEN[site.family][BALANCED]), "-p", "tcp", "--dport", "80")
    with led_to_pod(site, site.near, "remote", *rule):
        yield


@pytest.fixture
def told(world: World, prober: Prober) -> Iterator[None]:
    """The outside client believes that the near node leads to the whole range."""
    way = ("via", str(address_of(world.host_of("client"))))
    with routed(prober.conversations, world["outside"], str(GIVEN[world.family]), *way):
        yield


@pytest.mark.claim("EXT-7")
@pytest.mark.usefixtures("told")
def test_external_ips(world: World, services: Services, prober: Prober, proof: Proof) -> None:
    """TCP and UDP from outside, pods and nodes reach it; packets for the next address go to the drain."""
    sources = [world["outside"], world["client"], world["third"], *world.nodes]
    external, nobodys = (GIVEN[world.family][place] for place in (EXTERNAL, NOBODYS))

    with services.standing(ServiceSpec("given", PAIR, extra={"externalIPs": [str(external)]})) as given:
        cells = every(sources, [balanced(given, external)], WAYS)
        became = must_become(prober, all_of(cells, reached()))
        seen = prober.sweep(every([world["outside"]], [foreign("nobody", nobodys)], WAYS))

    proof.concludes(became.judgement)
    swallowed = {it.protocol for it in drained(prober.conversations, world.drain) if it.destination == nobodys}
    outcomes = {one.outcome for one in seen}
    proof.fact("nobody answers at the next address", outcomes == {Outcome.TIMED_OUT}, outcomes)
    proof.fact("the packets for it left by the default route", swallowed == {"tcp", "udp"}, swallowed)


@pytest.mark.claim("EXT-7", "EXT-5")
@pytest.mark.usefixtures("told")
def test_balanced_without_node_ports(world: World, services: Services, prober: Prober, proof: Proof) -> None:
    """A load balancer's address works for outside, pods and nodes, though the Service has no node port."""
    sources = [world["outside"], world["client"], world["third"], *world.nodes]

    address = GIVEN[world.family][BALANCED]
    with services.standing(LIGHT) as light:
        services.balanced_at(light.name, address)
        became = must_become(prober, all_of(every(sources, [balanced(light, address)], WAYS), reached()))

    proof.concludes(became.judgement)
    proof.fact("the Service has no node port", not light.node_ports, dict(light.node_ports))


@pytest.mark.claim("EXT-5")
@pytest.mark.usefixtures("told")
def test_source_ranges(world: World, services: Services, prober: Prober, proof: Proof) -> None:
    """Only the outside client is in loadBalancerSourceRanges: it gets in, pods do not; inside nothing changes."""
    outside, pods = world["outside"], [world["client"], world["remote"]]
    let_in = {**GIVEN_BY_HAND, "loadBalancerSourceRanges": [str(ip_network(address_of(outside)))]}
    ranges = ServiceSpec(LIGHT.name, PAIR, type=LIGHT.type, extra=let_in)

    address = GIVEN[world.family][BALANCED]
    with services.standing(ranges) as light:
        services.balanced_at(light.name, address)
        welcome = every([outside], [balanced(light, address)], WAYS)
        inside = every(pods, [cluster_ip(light)], WAYS)
        others = every(pods, [balanced(light, address)], WAYS)
        wanted = {**all_of([*welcome, *inside], reached()), **all_of(others, blocked())}
        became = must_become(prober, wanted)

    proof.concludes(became.judgement)
