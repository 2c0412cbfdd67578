"""A node joins a running cluster, restarts, and leaves for good: everything follows, and nothing stale is left.

    worker   worker2   late            joins      its pods are reached from every node, and reach everybody
                       late            restarts   the same, with whatever addresses its pods have then
    worker   worker2                   removed    no route, no tunnel entry, no neighbour of it on the others

Clusters that scale do this all day. A node that joins late meets peers that have run for weeks, and each of them
has to hear of it. One that restarts comes back with empty tables. One that is gone must be forgotten, or its
subnet and its address lead into the void until somebody else gets them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from clusters import late_node
from clusters.cluster import Cluster
from fixtures.faults import node_state
from fixtures.faults.fault import fault
from fixtures.faults.rule_levers import packet_rule
from fixtures.faults.site import Site
from fixtures.faults.state import Facts
from fixtures.plugins.proof import Proof
from fixtures.probes.convergence import Convergence, must_become
from fixtures.probes.plan import at, between, every
from fixtures.probes.promises import without_nat
from fixtures.probes.runner import Prober
from fixtures.probes.ways import ping, tcp, udp
from fixtures.verdicts.expectation import all_of, reached
from fixtures.world.pods import Pod
from fixtures.world.service_set import Services
from fixtures.world.ways_in import cluster_ip
from fixtures.world.world import PORT, World

pytestmark = pytest.mark.claim("UPG-4")

WAYS = (tcp(PORT), udp(PORT), ping())
WITHIN = 60.0
"""Seconds in which every node has to have heard of another."""


@fault(
    reddens={"disruption/nodes_come_and_go/joins_restarts_leaves": "client → first"},
    spares=("kubernetes/pods/pods_on_other_nodes/every_direction",),
)
def near_node_knows_only_its_peers(site: Site) -> Iterator[None]:
    """The near node sends nothing to pods but those of the nodes that it knew at first."""
    known = ", ".join(site.subnet(node) for node in site.nodes)
    rule = f"ip daddr {site.pods} ip daddr != {{ {known} }} drop"
    with packet_rule(site, site.near, "prerouting", rule):
        yield


@dataclass(frozen=True)
class Late:
    """The node that joined, and what the others were like before."""

    name: str
    before: dict[str, Facts]


@pytest.fixture
def late(world: World, cluster: Cluster, site: Site) -> Iterator[Late]:
    """A node that has joined just now; gone afterwards."""
    name, before = f"{cluster.name}-late", node_state.states(site)
    try:
        late_node.join(world.api, world["remote"].node, name)
        yield Late(name, before)
    finally:
        late_node.remove(world.api, name)


def test_joins_restarts_leaves(
    world: World, services: Services, site: Site, late: Late, prober: Prober, proof: Proof
) -> None:
    """Pods of it reach and are reached after it joined and after it restarted; then no node remembers it."""
    with world.with_pods(Pod("first", node=late.name)):
        joined = served(world, services, prober, "first")
    late_node.restart(world.api, late.name)
    with world.with_pods(Pod("second", node=late.name)):
        restarted = served(world, services, prober, "second")
    late_node.remove(world.api, late.name)
    left = node_state.left_over(site, late.before)

    proof.concludes(joined.judgement, restarted.judgement)
    proof.measured("served after the first pod is ready, joined", joined.took, "s")
    proof.measured("the same, restarted", restarted.took, "s")
    proof.fact("no node remembers it", not left, left)


def served(world: World, services: Services, prober: Prober, pod: str) -> Convergence:
    """Wait until that pod and pods of every node reach each other as themselves, and it reaches a Service."""
    pods = [*world.one_pod_of_each_node, world[pod]]
    cells = without_nat(between(pods, WAYS), world)
    cells |= all_of(every(world.nodes, [at(world[pod])], WAYS), reached())
    cells |= all_of(every([world[pod]], [cluster_ip(services["far"])], [tcp(80), udp(80)]), reached())
    return must_become(prober, cells, within=WITHIN)
