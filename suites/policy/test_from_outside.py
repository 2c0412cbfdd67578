"""Policy for who comes from outside: by the source that it sees, which the traffic policy decides.

    outside ──┬─ worker2:3nnnn  Local     ─→ remote   the client's own address: policy must go by it
              ├─ worker2:3nnnn  Cluster   ─→ remote   by the endpoint's own node       ┐ the address of a node, or
              └─ worker:3nnnn   Cluster   ─→ remote   by another node, masqueraded     ┘ the client's: shown

With externalTrafficPolicy Local the API promises that the client's address is kept, so a policy that names it lets
it in, and one that does not keeps it out. With Cluster it leaves open what a node makes of the source: some
enforcers look before the masquerade and some after. That decides whether "only our office" works or locks
everybody out, and it is shown for each way in.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network

import pytest

from clusters.api import Object
from clusters.features import Feature
from fixtures.faults.fault import fault
from fixtures.faults.node_levers import frozen
from fixtures.faults.rule_levers import packet_rule
from fixtures.faults.site import Site
from fixtures.plugins.proof import Proof
from fixtures.probes.convergence import must_become
from fixtures.probes.plan import address_of, at, every
from fixtures.probes.runner import Prober
from fixtures.probes.ways import tcp, udp
from fixtures.verdicts.expectation import Expectation, all_of, blocked, reached
from fixtures.verdicts.observation import Cell
from fixtures.verdicts.spread import in_words
from fixtures.world.policies import policy_for
from fixtures.world.populace import SETTLED_WITHIN
from fixtures.world.service_set import Services
from fixtures.world.services import Service, ServiceSpec, ServiceType, TrafficPolicy
from fixtures.world.ways_in import by_node_port, node_port
from fixtures.world.world import PORT, World

pytestmark = [pytest.mark.claim("POL-6"), pytest.mark.requires("network-policy")]

LOCAL = ServiceSpec("only-local", ("remote",), type=ServiceType.NODE_PORT, external_traffic=TrafficPolicy.LOCAL)
CLUSTER = ServiceSpec("by-any", ("remote",), type=ServiceType.NODE_PORT, external_traffic=TrafficPolicy.CLUSTER)


@fault(
    reddens={"policy/from_outside/*": "promised: blocked"},
    spares=("policy/clauses/open_without",),
    requires=(Feature.NETWORK_POLICY,),
)
def frozen_agent_of_the_far_node(site: Site) -> Iterator[None]:
    """The agent that enforces policies stands still on the far node."""
    with frozen(site, site.far, site.datapath.enforcer):
        yield


@fault(
    reddens={"policy/from_outside/lets_the_client_in": "outside → only-local on"},
    spares=("policy/clauses/open_without",),
    requires=(Feature.NETWORK_POLICY,),
)
def outside_dropped(site: Site) -> Iterator[None]:
    """The far node forwards nothing that comes from outside."""
    with packet_rule(site, site.far, "forward", f"ip saddr {site.pod_address('outside')} drop"):
        yield


def test_lets_the_client_in(world: World, services: Services, prober: Prober, proof: Proof) -> None:
    """A policy that names the client's address lets it in by Local; what Cluster makes of it is shown."""
    held_against(world, services, prober, proof, "the client", reached())


@pytest.mark.parametrize("who", ["the nodes", "nobody"])
def test_keeps_the_client_out(world: World, services: Services, prober: Prober, proof: Proof, who: str) -> None:
    """A policy that names the nodes, or nobody, keeps the client out by Local; Cluster is shown."""
    held_against(world, services, prober, proof, who, blocked())


def held_against(
    world: World, services: Services, prober: Prober, proof: Proof, who: str, promise: Expectation
) -> None:
    """Apply a policy that lets in just these, hold Local against the promise, and show both ways of Cluster.

    That the policy is in force by then is seen by a pod, which it lets in for nobody's sake.
    """
    home, other = world.host_of("remote"), world.host_of("client")
    with services.all_standing(LOCAL, CLUSTER):
        kept = asked(world, services[LOCAL.name], home.name)
        shown = {node.name: asked(world, services[CLUSTER.name], node.name) for node in (home, other)}
        stranger = every([world["client"]], [at(world["remote"])], [tcp(PORT), udp(PORT)])
        cells = [*kept, *stranger, *(cell for some in shown.values() for cell in some)]
        before = must_become(prober, all_of(cells, reached()))
        proof.concludes(before.judgement)
        with policy_for(world, "remote", ingress=allowed(world, who)):
            witnesses = [before.judgement.sweep]
            wanted = {**all_of(kept, promise), **all_of(stranger, blocked())}
            became = must_become(prober, wanted, within=SETTLED_WITHIN, witnesses=witnesses)
            seen = {node: prober.sweep(some) for node, some in shown.items()}

    for node, sweep in seen.items():
        proof.shows(f"{who} let in, Cluster, by {node}: {', '.join(map(in_words, sweep))}")
    proof.concludes(became.judgement)
    proof.measured("until it holds", became.took, "s")


def asked(world: World, service: Service, node: str) -> tuple[Cell, ...]:
    """Outside asks the Service at that node, by TCP and UDP."""
    ways = by_node_port(service)
    (door,) = (node_port(service, it) for it in world.nodes if it.name == node)
    return every([world["outside"]], [door], ways)


def allowed(world: World, who: str) -> list[Object]:
    """The `ingress` of a policy that lets in just these."""
    addresses = {
        "the client": [address_of(world["outside"])],
        "the nodes": [address_of(node) for node in world.nodes],
        "nobody": [],
    }[who]
    blocks = [{"ipBlock": {"cidr": str(ip_network(address))}} for address in addresses]
    return [{"from": blocks}] if blocks else []
