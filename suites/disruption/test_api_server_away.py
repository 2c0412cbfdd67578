"""The API server is away for a while: what stands goes on, and what was asked for meanwhile is there afterwards.

    kube-apiserver   ✕ stopped where it stands ················· ✓ goes on
    nodes ─→ pods, ClusterIP, CoreDNS      outside ─→ NodePort         without a pause
    a deny that stood                      holds
    a pod made afterwards                  served as ever

Every node has what it needs in its kernel. It fails where a proxy or an agent takes silence for news, and clears
what it can no longer confirm; and where it does not find back afterwards. Sources are nodes and outside: the way
into a pod leads through the API server.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from clusters.api import SERVICE
from clusters.features import Feature
from fixtures.endpoints.conversation import Conversations
from fixtures.endpoints.endpoint import Endpoint
from fixtures.faults.fault import fault
from fixtures.faults.node_levers import frozen
from fixtures.faults.rule_levers import packet_rule
from fixtures.faults.site import Site
from fixtures.plugins.proof import Proof
from fixtures.probes.convergence import must_become
from fixtures.probes.idle import opened
from fixtures.probes.plan import Destination, address_of, at, every, foreign, virtual
from fixtures.probes.runner import Prober
from fixtures.probes.ways import ADDRESS_RECORD, lookup, tcp, udp
from fixtures.verdicts.expectation import Expectation, all_of, blocked, reached
from fixtures.verdicts.observation import Cell
from fixtures.world.pods import Pod
from fixtures.world.policies import policy_for
from fixtures.world.populace import SETTLED_WITHIN
from fixtures.world.service_set import Services
from fixtures.world.ways_in import by_node_port, cluster_ip, node_port
from fixtures.world.world import PORT, World

pytestmark = pytest.mark.claim("UPG-3")

API_SERVER = "kube-apiserver"
SWEEPS = 20
"""While it is away everything is asked so often, for some seconds, one sweep after the other."""
WAYS = (tcp(PORT), udp(PORT))


@fault(
    reddens={"disruption/api_server_away/what_stands_goes_on": "service/far"},
    spares=("kubernetes/pods/pods_on_one_node/both_directions",),
)
def services_lost_meanwhile(site: Site) -> Iterator[None]:
    """The near node drops what it sends to Services, as where a proxy cleared what it could not confirm."""
    with packet_rule(site, site.near, "output", f"ip daddr {site.services} tcp dport 80 drop"):
        yield


@fault(
    reddens={"disruption/api_server_away/a_deny_goes_on": "promised: blocked"},
    spares=("disruption/api_server_away/what_stands_goes_on",),
    requires=(Feature.NETWORK_POLICY,),
)
def deny_never_heard_of(site: Site) -> Iterator[None]:
    """The agent that enforces policies stands still on the far node."""
    with frozen(site, site.far, site.datapath.enforcer):
        yield


def test_what_stands_goes_on(
    world: World, services: Services, site: Site, conversations: Conversations, prober: Prober, proof: Proof
) -> None:
    """Nodes to pods, Services and DNS, outside to a node port, an open connection; then a new pod is served."""
    cells, door = standing(world, services), services["open"]
    held = opened(conversations.with_(world["outside"]), node_port(door, world.nodes[0]), door.node_port("tcp"))
    before = must_become(prober, all_of(cells, reached()))
    proof.concludes(before.judgement)

    with away(site):
        meanwhile = must_become(prober, all_of(cells, reached()), in_a_row=SWEEPS)
        said = held.answers()
    with world.with_pods(Pod("afterwards", node=world["client"].node)) as made:
        after = must_become(prober, all_of(every(world.nodes, [at(made["afterwards"])], WAYS), reached()))

    proof.concludes(meanwhile.judgement, after.judgement)
    proof.fact("all was answered from the first request on", meanwhile.sweeps == SWEEPS, meanwhile.sweeps)
    proof.fact("the connection that was open goes on", said in held.destination.peers, said)


@pytest.mark.requires("network-policy")
def test_a_deny_goes_on(world: World, site: Site, prober: Prober, proof: Proof) -> None:
    """A policy that lets nobody in to a pod holds while the API server is away."""
    worker = [world.host_of("client")]
    shut, well = every(worker, [unasked(world["remote"])], WAYS), every(worker, [at(world["third"])], WAYS)
    before = must_become(prober, all_of([*shut, *well], reached()))
    proof.concludes(before.judgement)
    wanted: dict[Cell, Expectation] = {**all_of(shut, blocked()), **all_of(well, reached())}

    with policy_for(world, "remote", ingress=[]):
        witnesses = [before.judgement.sweep]
        settled = must_become(prober, wanted, within=SETTLED_WITHIN, witnesses=witnesses)
        proof.concludes(settled.judgement)
        with away(site):
            meanwhile = must_become(prober, wanted, witnesses=witnesses)

    proof.concludes(meanwhile.judgement)


def standing(world: World, services: Services) -> list[Cell]:
    """Nodes to pods of every node, to a Service and to CoreDNS, and outside to a node port."""
    door = services["open"]
    doors, record = by_node_port(door), ADDRESS_RECORD[world.family]
    return [
        *every(world.nodes, [at(pod) for pod in world.one_pod_of_each_node], WAYS),
        *every(world.nodes, [cluster_ip(services["far"])], [tcp(80), udp(80)]),
        *every(world.nodes, [name_server(world)], [lookup(services["web"].full_name, record)]),
        *every([world["outside"]], [node_port(door, node) for node in world.nodes], doors),
    ]


def unasked(pod: Endpoint) -> Destination:
    """The pod at its address, itself not asked what came to it: the way to ask leads through the API server."""
    return virtual(f"pod/{pod.name}", address_of(pod), [pod])


def name_server(world: World) -> Destination:
    """CoreDNS by its Service."""
    found = world.api.get(SERVICE, "kube-dns", "kube-system") or {}
    return foreign("service/kube-dns", found["spec"]["clusterIP"])


@contextmanager
def away(site: Site) -> Iterator[None]:
    """The API server stands still, and then goes on where it was."""
    with frozen(site, site.bystander, API_SERVER):
        yield
