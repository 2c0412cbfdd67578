"""kube-proxy goes to another mode and back on a running cluster; every Service works on, and nothing is left over.

    iptables   KUBE-SVC-… KUBE-SEP-…           ──▶   nftables   table ip kube-proxy   ──▶   iptables

    client, nodes ─ ClusterIP ─→  outside ─ NodePort ─→      asked without a pause

Two modes at once translate a packet twice, or one of them keeps endpoints that the other has long forgotten: it
works as long as nothing changes. So each node is asked which mode it is in, what is there of either is counted,
and Services are made while the other mode is on.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from clusters.cluster import Cluster
from clusters.features import Feature
from clusters.model import KubeProxy
from clusters.proxy import IPTABLES
from clusters.waiting import TIMEOUTS
from fixtures.faults.fault import fault
from fixtures.faults.rule_levers import chain_held
from fixtures.faults.site import Site
from fixtures.plugins.proof import Proof
from fixtures.probes.convergence import Convergence, must_become
from fixtures.probes.outage import asking
from fixtures.probes.plan import every
from fixtures.probes.runner import Prober
from fixtures.probes.ways import tcp, udp
from fixtures.verdicts.expectation import all_of, reached
from fixtures.verdicts.observation import Cell
from fixtures.world.proxy_mode import Modes, laid_on, other_than, said_by
from fixtures.world.service_set import Services
from fixtures.world.services import ServiceSpec
from fixtures.world.ways_in import by_node_port, cluster_ip, node_port
from fixtures.world.world import World

PATIENCE = 0.3
"""Seconds for one probe: how long a way was closed is known no better than that."""
LATER = ServiceSpec("made-later", ("remote",))


@fault(
    reddens={"disruption/proxy_switch/there_and_back": "nothing is left of iptables on any node"},
    spares=("kubernetes/services/clusterip_from_pods/same_node",),
    requires=(Feature.KUBE_PROXY_IPTABLES,),
)
def old_rules_stay(site: Site) -> Iterator[None]:
    """A chain of kube-proxy's on the near node is used by somebody else, so that kube-proxy cannot tidy up."""
    with chain_held(site, site.near, "nat", IPTABLES.of_a_service):
        yield


@pytest.fixture
def modes(world: World) -> Iterator[Modes]:
    """kube-proxy's settings; what they were is there again afterwards."""
    found = Modes(world.api)
    try:
        yield found
    finally:
        found.restore()


@pytest.mark.claim("UPG-2")
def test_there_and_back(
    world: World, cluster: Cluster, services: Services, modes: Modes, prober: Prober, proof: Proof
) -> None:
    """In either mode each way to a Service works, an old one and a new one; the other mode has left nothing."""
    own = cluster.profile.kube_proxy
    other, steady = other_than(own), cells(world, services, PATIENCE)

    with asking(prober, steady) as going:
        modes.change(other)
    there = settled(world, services, prober)
    proof.concludes(there.judgement)
    tell(world, proof, other, not_wanted=own)
    with asking(prober, steady) as returning:
        modes.restore()
    back = settled(world, services, prober)

    proof.concludes(back.judgement)
    tell(world, proof, own, not_wanted=other)
    proof.measured(f"longest outage, {own} to {other}", max(going.outages().values()), "s")
    proof.measured(f"longest outage, {other} to {own}", max(returning.outages().values()), "s")


def cells(world: World, services: Services, patience: float = TIMEOUTS.probe) -> list[Cell]:
    """Pods and nodes by ClusterIP, outside by every node's port, TCP and UDP."""
    door, ways = services["open"], [tcp(80, timeout=patience), udp(80, timeout=patience)]
    doors = by_node_port(door, patience)
    inside = every([*world.one_pod_of_each_node, *world.nodes], [cluster_ip(services["far"])], ways)
    return [*inside, *every([world["outside"]], [node_port(door, node) for node in world.nodes], doors)]


def settled(world: World, services: Services, prober: Prober) -> Convergence:
    """Every way works, and a Service made at this moment does as well."""
    with services.standing(LATER) as later:
        fresh = every([*world.one_pod_of_each_node, *world.nodes], [cluster_ip(later)], [tcp(80), udp(80)])
        return must_become(prober, all_of([*cells(world, services), *fresh], reached()))


def tell(world: World, proof: Proof, mode: KubeProxy, *, not_wanted: KubeProxy) -> None:
    """State what each node's kube-proxy says of itself, and what is there of either mode."""
    said = {node.name: said_by(world, node.name) for node in world.nodes}
    proof.fact(f"every kube-proxy says that it is in mode {mode}", set(said.values()) == {mode.value}, said)
    found = {node.name: laid_on(world, node.name) for node in world.nodes}
    proof.fact(f"{mode} has laid its own on every node", all(it[mode] for it in found.values()), found)
    left = {node: it[not_wanted] for node, it in found.items() if it[not_wanted]}
    proof.fact(f"nothing is left of {not_wanted} on any node", not left, left or "nothing")
