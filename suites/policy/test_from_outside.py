"""Policy for who comes from outside: by the source that it sees, which the way in decides.

    outside ──┬─ worker2:3nnnn      Local     ─→ remote   ┐ the client's own address:
              ├─ 203.0.113.20       Local     ─→ remote   ┘ policy must go by it
              ├─ worker2:3nnnn      Cluster   ─→ remote   by the endpoint's own node      ┐
              ├─ worker:3nnnn       Cluster   ─→ remote   by another node, masqueraded    │ the address of a node,
              ├─ 203.0.113.21, .22  Cluster   ─→ remote   load-balanced, by each of them  │ or the client's: shown
              └─ worker:18080       hostPort  ─→ door     by its node                     ┘

With externalTrafficPolicy Local the API promises that the client's address is kept, so a policy that names it lets
it in, and one that does not keeps it out. Elsewhere it leaves open what a node makes of the source: some enforcers
look before the masquerade and some after. That decides whether "only our office" works or locks everybody out, and
it is shown for each way in.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from ipaddress import ip_network

import pytest

from clusters.api import Object
from clusters.features import Feature
from fixtures.endpoints.inside import routed
from fixtures.faults.fault import fault
from fixtures.faults.node_levers import frozen
from fixtures.faults.rule_levers import packet_rule
from fixtures.faults.site import Site
from fixtures.plugins.proof import Proof
from fixtures.plugins.services import HOST_PORT
from fixtures.probes.convergence import must_become
from fixtures.probes.plan import Destination, address_of, at, every
from fixtures.probes.runner import Prober
from fixtures.probes.ways import tcp, udp
from fixtures.verdicts.expectation import Expectation, all_of, blocked, reached
from fixtures.verdicts.observation import Cell, IPAddress, Probe, Sweep
from fixtures.verdicts.spread import in_words, of_cells
from fixtures.world.policies import policy_for
from fixtures.world.populace import SETTLED_WITHIN
from fixtures.world.service_set import Services
from fixtures.world.services import GIVEN_BY_HAND, ServiceSpec, ServiceType, TrafficPolicy
from fixtures.world.ways_in import GIVEN, balanced, by_node_port, host_port, node_port
from fixtures.world.world import PORT, World

pytestmark = [pytest.mark.claim("POL-6"), pytest.mark.requires("network-policy")]

LOCAL, CLUSTER = TrafficPolicy.LOCAL, TrafficPolicy.CLUSTER
DOORS = {
    policy: ServiceSpec(f"door-{policy}".lower(), ("remote",), type=ServiceType.NODE_PORT, external_traffic=policy)
    for policy in (LOCAL, CLUSTER)
}
BALANCED = {
    policy: ServiceSpec(
        f"light-{policy}".lower(),
        ("remote",),
        type=ServiceType.LOAD_BALANCER,
        external_traffic=policy,
        extra=GIVEN_BY_HAND,
    )
    for policy in (LOCAL, CLUSTER)
}


@dataclass(frozen=True)
class WayIn:
    """One way from outside to a pod, in words, with the cells that ask it, and whether the API says what holds."""

    name: str
    cells: tuple[Cell, ...]
    judged: bool = False


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
    reddens={"policy/from_outside/lets_the_client_in": "outside → door-local on"},
    spares=("policy/clauses/open_without",),
    requires=(Feature.NETWORK_POLICY,),
)
def outside_dropped(site: Site) -> Iterator[None]:
    """The far node forwards nothing that comes from outside."""
    with packet_rule(site, site.far, "forward", f"ip saddr {site.pod_address('outside')} drop"):
        yield


def test_lets_the_client_in(world: World, services: Services, prober: Prober, proof: Proof) -> None:
    """A policy that names the client's address lets it in by Local; what other ways make of it is shown."""
    held_against(world, services, prober, proof, "the client", reached())


@pytest.mark.parametrize("who", ["the nodes", "nobody"])
def test_keeps_the_client_out(world: World, services: Services, prober: Prober, proof: Proof, who: str) -> None:
    """A policy that names the nodes, or nobody, keeps the client out by Local; other ways are shown."""
    held_against(world, services, prober, proof, who, blocked())


def held_against(
    world: World, services: Services, prober: Prober, proof: Proof, who: str, promise: Expectation
) -> None:
    """Apply a policy that lets in just these, hold what is judged against the promise, and show every way in.

    That the policy is in force by then is seen by a pod, which it lets in for nobody's sake.
    """
    stranger = every([world["client"]], [at(world["remote"]), at(world["door"])], [tcp(PORT), udp(PORT)])
    with services.all_standing(*DOORS.values(), *BALANCED.values()), told(world, prober) as lights:
        found = ways_in(world, services, lights)
        before = must_become(prober, all_of([*stranger, *(cell for it in found for cell in it.cells)], reached()))
        proof.concludes(before.judgement)
        let_in = allowed(world, who)
        with policy_for(world, "remote", ingress=let_in), policy_for(world, "door", ingress=let_in):
            judged = [cell for it in found if it.judged for cell in it.cells]
            wanted = {**all_of(judged, promise), **all_of(stranger, blocked())}
            became = must_become(prober, wanted, within=SETTLED_WITHIN, witnesses=[before.judgement.sweep])
            seen = prober.sweep([cell for it in found for cell in it.cells])

    proof.shows("\n".join([f"{who} let in", *(f"{it.name}: {shown(it, seen)}" for it in found)]))
    proof.concludes(became.judgement)
    proof.measured("until it holds", became.took, "s")


def shown(way: WayIn, seen: Sweep) -> str:
    """What became of one way in."""
    return "; ".join(in_words(one) for one in of_cells(seen, way.cells))


@contextmanager
def told(world: World, prober: Prober) -> Iterator[list[IPAddress]]:
    """Outside believes that the first two of these addresses lead to the endpoint's node, the last to another."""
    lights = [GIVEN[world.family][number] for number in (20, 21, 22)]
    home, other = world.host_of("remote"), world.host_of("client")
    with ExitStack() as routes:
        for light, node in zip(lights, (home, home, other), strict=True):
            way = ("via", str(address_of(node)))
            routes.enter_context(routed(prober.conversations, world["outside"], str(ip_network(light)), *way))
        yield lights


def ways_in(world: World, services: Services, lights: list[IPAddress]) -> list[WayIn]:
    """Every way from outside to the pods remote and door; `lights` are the load balancers' addresses."""
    home, other = world.host_of("remote"), world.host_of("client")
    local, cluster = (services[it.name] for it in DOORS.values())
    light, lit = (it.name for it in BALANCED.values())
    services.balanced_at(light, lights[0])
    services.balanced_at(lit, *lights[1:])

    def asked(destination: Destination, ways: list[Probe]) -> tuple[Cell, ...]:
        return every([world["outside"]], [destination], ways)

    by_port, at_80 = [tcp(HOST_PORT), udp(HOST_PORT)], [tcp(80), udp(80)]
    return [
        WayIn("NodePort, Local", asked(node_port(local, home), by_node_port(local)), judged=True),
        WayIn("load balancer, Local", asked(balanced(services[light], lights[0]), at_80), judged=True),
        WayIn("NodePort, Cluster, by its node", asked(node_port(cluster, home), by_node_port(cluster))),
        WayIn("NodePort, Cluster, by another", asked(node_port(cluster, other), by_node_port(cluster))),
        WayIn("load balancer, Cluster, by its node", asked(balanced(services[lit], lights[1]), at_80)),
        WayIn("load balancer, Cluster, by another", asked(balanced(services[lit], lights[2]), at_80)),
        WayIn("hostPort", asked(host_port(world["door"], world.host_of("door")), by_port)),
    ]


def allowed(world: World, who: str) -> list[Object]:
    """The `ingress` of a policy that lets in just these."""
    addresses = {
        "the client": [address_of(world["outside"])],
        "the nodes": [address_of(node) for node in world.nodes],
        "nobody": [],
    }[who]
    blocks = [{"ipBlock": {"cidr": str(ip_network(address))}} for address in addresses]
    return [{"from": blocks}] if blocks else []
