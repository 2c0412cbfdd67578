"""What carries a node's network is started anew, and nothing that stands is lost by it.

    worker   CNI's daemon · kube-proxy · kubelet · containerd      one after the other ends and runs again

    meanwhile   outside → NodePort of worker      nodes → pods of worker, ClusterIP       without a pause
    before      a connection from outside, idle   after      it is answered; a new pod is made and reached

The kernel forwards packets without these programs. It fails where one of them takes away on its way out what it
had laid (rules, routes, a tunnel), or lays it anew in such an order that packets fall between; and where a pod
made afterwards is not served. Sources are nodes and outside: a kubelet that ends takes the ways into pods with it.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fixtures.endpoints.conversation import Conversations
from fixtures.faults.fault import fault
from fixtures.faults.rule_levers import packet_rule
from fixtures.faults.site import Site
from fixtures.plugins.proof import Proof
from fixtures.probes.convergence import must_become
from fixtures.probes.idle import opened
from fixtures.probes.outage import asking
from fixtures.probes.plan import at, every
from fixtures.probes.runner import Prober
from fixtures.probes.ways import tcp, udp
from fixtures.verdicts.expectation import all_of, reached
from fixtures.verdicts.judge import judge
from fixtures.world.agents import Agent, start_anew
from fixtures.world.pods import Pod
from fixtures.world.service_set import Services
from fixtures.world.ways_in import by_node_port, cluster_ip, node_port
from fixtures.world.world import PORT, World

pytestmark = pytest.mark.claim("UPG-3")

PATIENCE = 0.3
"""Seconds for one probe: how long a way was closed is known no better than that."""


@fault(
    reddens={"disruption/agents_restart/nothing_is_lost": "promised: reached"},
    spares=("kubernetes/pods/pods_on_one_node/both_directions",),
)
def every_fifth_lost(site: Site) -> Iterator[None]:
    """The near node loses every fifth packet for its pods."""
    rule = f"ip daddr {site.subnet(site.near)} tcp flags & (syn | ack) == syn numgen inc mod 5 == 0 drop"
    with packet_rule(site, site.near, "prerouting", rule):
        yield


@pytest.mark.parametrize("agent", Agent)
def test_nothing_is_lost(
    world: World,
    services: Services,
    site: Site,
    conversations: Conversations,
    prober: Prober,
    proof: Proof,
    agent: Agent,
) -> None:
    """While it ends and runs again every probe is answered; a standing connection lives, a new pod is served."""
    worker, door = world.host_of("client"), services["open"]
    ways = [tcp(PORT, timeout=PATIENCE), udp(PORT, timeout=PATIENCE)]
    doors = by_node_port(door, PATIENCE)
    cells = [
        *every([it for it in world.nodes if it.name != worker.name], [at(world["client"])], ways),
        *every([worker], [at(world["remote"])], ways),
        *every([worker], [cluster_ip(services["far"])], [tcp(80, timeout=PATIENCE), udp(80, timeout=PATIENCE)]),
        *every([world["outside"]], [node_port(door, worker)], doors),
    ]
    standing = opened(conversations.with_(world["outside"]), node_port(door, worker), door.node_port("tcp"))

    with asking(prober, cells) as steady:
        start_anew(world.api, agent, worker.name, site.run)

    answer = standing.answers()
    with world.with_pods(Pod("afterwards", node=worker.name)) as made:
        fresh = every([world["outside"], *world.nodes], [node_port(door, worker)], doors[:1])
        there = every([it for it in world.nodes if it.name != worker.name], [at(made["afterwards"])], ways)
        served = must_become(prober, all_of([*fresh, *there], reached(connect_within=None)))
    proof.shows("\n".join(f"{way}: {seconds * 1000:.0f} ms" for way, seconds in steady.outages().items()))
    proof.measured("longest outage", max(steady.outages().values()), "s")
    proof.measured("longest pause between two probes", steady.rhythm(), "s")
    proof.fact("the standing connection is answered", answer in standing.destination.peers, answer)
    proof.concludes(judge(all_of(cells, reached(connect_within=None)), steady.sweep), served.judgement)
