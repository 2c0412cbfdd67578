"""The CNI goes to another release and back, node by node, under steady traffic.

    worker      old ──▶ new                       then ──▶ old
    worker2     old ············▶ new             then ──▶ old
                   half: two releases side by side

Operators do this by hand, and learn from their users what it cost. Here the cost is measured: how long each way
was closed, whether connections that stood live on, whether nodes of both releases understand each other, and
whether anything of the other release is left on a node after the way back. It fails where a release lays its
tunnel, its routes or its addresses in another way than the one before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pytest

from clusters.cluster import Cluster
from clusters.features import Feature
from fixtures.endpoints.conversation import Conversations
from fixtures.faults import node_state
from fixtures.faults.fault import fault
from fixtures.faults.rule_levers import packet_rule
from fixtures.faults.site import Site
from fixtures.plugins.proof import Proof
from fixtures.probes.convergence import Convergence, must_become
from fixtures.probes.idle import IdleConnection, opened
from fixtures.probes.outage import Steady, asking
from fixtures.probes.plan import at, between, every
from fixtures.probes.promises import without_nat
from fixtures.probes.runner import Prober
from fixtures.probes.ways import tcp, udp
from fixtures.report.recorder import Run
from fixtures.verdicts.expectation import all_of, reached
from fixtures.verdicts.observation import Cell
from fixtures.world.addresses import located
from fixtures.world.agents import Agent, daemon_pods, pods_anew
from fixtures.world.pods import Pod
from fixtures.world.releases import another, bring, images, install, running
from fixtures.world.service_set import Services
from fixtures.world.ways_in import cluster_ip, node_port
from fixtures.world.world import PORT, World

PATIENCE = 0.3
"""Seconds for one probe: how long a way was closed is known no better than that."""
EVERYWHERE = ("client", "remote", "third")


@fault(
    reddens={"disruption/release_change/there_and_back": "client → remote"},
    spares=("kubernetes/pods/pods_on_one_node/both_directions",),
    requires=(Feature.SEVERAL_RELEASES,),
)
def nodes_do_not_understand_each_other(site: Site) -> Iterator[None]:
    """What comes from the near node's pods is dropped on the far one, as where releases differ in their tunnel."""
    with packet_rule(site, site.far, "forward", f"ip saddr {site.subnet(site.near)} drop"):
        yield


@dataclass(frozen=True)
class Trip:
    """What was seen on the way: half way, there and back, and what ran on the nodes there and at the end.

    `outages` are by part of the way and by pair, in seconds.
    """

    half: Convergence
    there: Convergence
    back: Convergence
    ran_there: Mapping[str, frozenset[str]]
    runs_now: Mapping[str, frozenset[str]]
    outages: Mapping[str, Mapping[str, float]]


@pytest.mark.claim("UPG-1")
@pytest.mark.requires("several-releases")
def test_there_and_back(
    world: World,
    cluster: Cluster,
    services: Services,
    site: Site,
    conversations: Conversations,
    prober: Prober,
    run: Run,
    proof: Proof,
) -> None:
    """Half way, there and back pods reach each other as themselves; connections live; nothing else has changed."""
    other = another(cluster)
    proof.concludes(settled(world, prober).judgement)
    bring(cluster, other, run.options.images)
    before, addresses = node_state.states(site), {one.pod: one.address for one in located(world.api)}
    standing = connections(world, services, conversations)

    trip = go(world, cluster, services, prober, other)
    with world.with_pods(Pod("afterwards", node=world["client"].node)) as made:
        ask = every([world["remote"]], [at(made["afterwards"])], [tcp(PORT)])
        served = must_become(prober, all_of(ask, reached()))

    proof.concludes(*(it.judgement for it in (trip.half, trip.there, trip.back, served)))
    report(proof, trip)
    proof.fact(f"every node ran {other}", all_run(trip.ran_there, images(cluster, other)), trip.ran_there)
    own = all_run(trip.runs_now, images(cluster, cluster.cni_version))
    proof.fact(f"every node runs {cluster.cni_version} again", own, trip.runs_now)
    answers = {f"{it.source} → {it.destination.name}": it.answers() for it in standing}
    lives = all(answers[f"{it.source} → {it.destination.name}"] in it.destination.peers for it in standing)
    proof.fact("connections that stood live on", lives, answers)
    kept = {one.pod: one.address for one in located(world.api) if one.pod in addresses}
    proof.fact("every pod has kept its address", kept.items() <= addresses.items(), kept)
    left = node_state.left_over(site, before)
    proof.fact("nothing of the other release is left on a node", not left, left)


def go(world: World, cluster: Cluster, services: Services, prober: Prober, other: str) -> Trip:
    """To the other release, one node first and then the others, and back."""
    steady, (first, *others) = cells(world, services), (world.host_of(name).name for name in EVERYWHERE)
    install(cluster, other, node_by_node=True)
    one = renewed(world, prober, steady, first)
    half = settled(world, prober)
    rest = renewed(world, prober, steady, *others)
    there, ran_there = settled(world, prober), running(cluster)
    install(cluster, cluster.cni_version, node_by_node=True)
    returning = renewed(world, prober, steady, first, *others)
    back, runs_now = settled(world, prober), running(cluster)
    install(cluster, cluster.cni_version)
    outages = {"the first node": one.outages(), "the others": rest.outages(), "the way back": returning.outages()}
    return Trip(half, there, back, ran_there, runs_now, outages)


def connections(world: World, services: Services, conversations: Conversations) -> list[IdleConnection]:
    """Connections that stand before anything changes: pod to pod, and from outside by a node port."""
    door = services["open"]
    return [
        opened(conversations.with_(world["client"]), at(world["remote"]), PORT),
        opened(
            conversations.with_(world["outside"]), node_port(door, world.host_of("client")), door.node_port("tcp")
        ),
    ]


def report(proof: Proof, trip: Trip) -> None:
    """The outages, the longest of each part as a number and all of them as lines."""
    for part, outages in trip.outages.items():
        proof.measured(f"longest outage, {part}", max(outages.values()), "s")
        proof.shows("\n".join(f"{part}: {way}: {took * 1000:.0f} ms" for way, took in outages.items()))


def cells(world: World, services: Services) -> Sequence[Cell]:
    """Pod to pod between nodes, pods to a Service, and outside to a node port."""
    door, ways = services["open"], [tcp(PORT, timeout=PATIENCE), udp(PORT, timeout=PATIENCE)]
    pods = [world[name] for name in EVERYWHERE]
    return [
        *between(pods, ways),
        *every(pods, [cluster_ip(services["far"])], [tcp(80, timeout=PATIENCE)]),
        *every(
            [world["outside"]],
            [node_port(door, node) for node in world.nodes],
            [tcp(door.node_port("tcp"), timeout=PATIENCE)],
        ),
    ]


def renewed(world: World, prober: Prober, steady: Sequence[Cell], *nodes: str) -> Steady:
    """New pods of the CNI's daemon on these nodes, one node after the other; what was seen meanwhile."""
    with asking(prober, steady) as seen:
        for node in nodes:
            pods_anew(world.api, daemon_pods(world.api, Agent.CNI, node))
    return seen


def settled(world: World, prober: Prober) -> Convergence:
    """Pods of all nodes reach each other by TCP and UDP, each as itself."""
    return must_become(
        prober, without_nat(between([world[name] for name in EVERYWHERE], [tcp(PORT), udp(PORT)]), world)
    )


def all_run(seen: Mapping[str, frozenset[str]], of_release: frozenset[str]) -> bool:
    """Whether every node's daemon consists of a release's images."""
    return bool(seen) and all(them <= of_release for them in seen.values())
