"""externalTrafficPolicy is switched on a living Service: nodes without an endpoint open a door, and shut it again.

    Local     outside → worker:3nnnn   dropped      outside → worker2:3nnnn   remote
    Cluster   outside → worker:3nnnn   remote       outside → worker2:3nnnn   remote
    Local     as at first

Operators switch it to see the clients' addresses, and back when a load balancer cannot follow. A node that keeps
what the old policy had laid answers where nobody may, or drops what it should serve, until it is started anew.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fixtures.faults.fault import fault
from fixtures.faults.rule_levers import iptables_rule, led_to_pod
from fixtures.faults.site import Site
from fixtures.plugins.proof import Proof
from fixtures.probes.convergence import Convergence, must_become
from fixtures.probes.plan import every
from fixtures.probes.runner import Prober
from fixtures.probes.ways import tcp
from fixtures.verdicts.expectation import all_of, blocked, reached
from fixtures.world.service_set import Services
from fixtures.world.services import Service, ServicePort, ServiceSpec, ServiceType, TrafficPolicy
from fixtures.world.ways_in import node_port
from fixtures.world.world import World

DOOR = 30040
PORTS = (ServicePort("tcp", 80, 8080, node_port=DOOR),)
LOCAL, CLUSTER = (
    ServiceSpec("switches", ("remote",), ports=PORTS, type=ServiceType.NODE_PORT, external_traffic=policy)
    for policy in (TrafficPolicy.LOCAL, TrafficPolicy.CLUSTER)
)


@fault(
    reddens={"kubernetes/external/external_traffic_switched/there_and_back": "on ‹near›: remote answered"},
    spares=("kubernetes/external/external_traffic_local/only_where_an_endpoint_runs",),
)
def still_as_cluster(site: Site) -> Iterator[None]:
    """The near node serves that node port from the other worker, whatever the policy says."""
    rule = ("-p", "tcp", "--dport", str(DOOR))
    with (
        led_to_pod(site, site.near, "remote", *rule),
        iptables_rule(
            site, site.near, "nat", "POSTROUTING", "-s", site.pod_address("outside"), "-j", "MASQUERADE"
        ),
    ):
        yield


@pytest.mark.claim("EXT-3")
def test_there_and_back(world: World, services: Services, family: int, prober: Prober, proof: Proof) -> None:
    """Outside by a node without endpoint: dropped with Local, answered with Cluster, dropped with Local again."""
    with services.standing(LOCAL):
        first = becomes(world, services["switches"], family, prober, by_any_node=False)
        services.change(CLUSTER)
        opened = becomes(world, services["switches"], family, prober, by_any_node=True)
        services.change(LOCAL)
        again = becomes(world, services["switches"], family, prober, by_any_node=False)

    proof.concludes(first.judgement, opened.judgement, again.judgement)
    proof.measured("open on every node after", opened.took, "s")
    proof.measured("shut again after", again.took, "s")


def becomes(world: World, service: Service, family: int, prober: Prober, *, by_any_node: bool) -> Convergence:
    """Outside reaches the endpoint's node, and the other worker where it may; that worker itself is served."""
    near, way = world.host_of("client"), [tcp(DOOR)]
    home = every([world["outside"]], [node_port(service, world.host_of("remote"), family)], way)
    away = every([world["outside"]], [node_port(service, near, family)], way)
    itself = every([near], [node_port(service, near, family)], way)
    wanted = {**all_of([*home, *itself], reached()), **all_of(away, reached() if by_any_node else blocked())}
    return must_become(prober, wanted)
