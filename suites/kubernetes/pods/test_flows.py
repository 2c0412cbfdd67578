"""Data flows as well as handshakes: transfers lose nothing worth the name, and one-way flows arrive whole.

    client ─┬─ 8 MB up, 8 MB down ─→ neighbour        same node
            └─ 8 MB up, 8 MB down ─→ remote           other node: through the tunnel, if there is one
    client, outside ─ 96 datagrams, none answered ─→ neighbour, remote, by ClusterIP, by NodePort

A handshake has three small packets. What breaks later passes it: a tunnel that loses one full packet in
twenty-five, one that is slow, a filter that lets the first packet of a flow in and no further one. Rates are held
against each other within this run, never against a number of their own; losses are counted by the kernels of both
ends.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from clusters.cluster import Cluster
from clusters.datapath import Carrier
from fixtures.faults.fault import fault
from fixtures.faults.rule_levers import packet_rule
from fixtures.faults.site import Site
from fixtures.plugins.proof import Proof
from fixtures.probes.plan import at, every
from fixtures.probes.runner import Prober
from fixtures.probes.ways import flow, tcp
from fixtures.verdicts.expectation import all_of, reached
from fixtures.verdicts.judge import Judgement, judge
from fixtures.verdicts.observation import Cell, Observation, Probe
from fixtures.world.service_set import Services
from fixtures.world.ways_in import cluster_ip, node_port
from fixtures.world.world import PORT, World

pytestmark = pytest.mark.claim("POD-11")

MUCH = 8_000_000
"""Bytes: some thousand full packets, in a fraction of a second where nothing is wrong."""
LOST, OF_A_PROGRAM = 0.02, 0.2
"""Of all segments at most so many are sent again. What a busy kernel drops now and then is a burst that it carries
as one, of up to 45 segments (seen: two in a transfer, 0.8 %); four in a hundred are a path that loses packets. A
tunnel that is a program takes them one by one from a short queue, which every sender fills until something is
dropped: there the rate is what counts."""
SLOWER = 25.0
"""The other node is at most so many times slower than the same one. A tunnel costs a part of the rate, and one in
software the larger part of it."""
COUNT = 96


@fault(
    reddens={"kubernetes/pods/flows/transfers": "of the segments between client and remote were sent again"},
    spares=(
        "kubernetes/pods/pods_on_other_nodes/every_direction",
        "kubernetes/pods/pods_on_one_node/both_directions",
    ),
)
def one_full_packet_in_twenty_five_lost(site: Site) -> Iterator[None]:
    """The far node loses four of a hundred full packets that it forwards, and no small one."""
    rule = "meta length gt 1000 numgen random mod 100 < 4 drop"
    with packet_rule(site, site.far, "forward", rule):
        yield


@fault(
    reddens={"kubernetes/pods/flows/transfers": "client and remote"},
    spares=(
        "kubernetes/pods/pods_on_other_nodes/every_direction",
        "kubernetes/pods/pods_on_one_node/both_directions",
    ),
)
def twenty_megabits_a_second(site: Site) -> Iterator[None]:
    """What the far node forwards of full packets is held to 20 Mbit/s."""
    with packet_rule(site, site.far, "forward", "meta length gt 1000 limit rate over 2500 kbytes/second drop"):
        yield


@fault(
    reddens={
        "kubernetes/pods/flows/one_way": "client → remote",
        "kubernetes/pods/flows/one_way_by_a_service": "service/far",
    },
    spares=(
        "kubernetes/pods/pods_on_other_nodes/every_direction",
        "kubernetes/services/clusterip_from_pods/other_node",
    ),
)
def policed_datagrams(site: Site) -> Iterator[None]:
    """The far node lets thirty datagrams in at once, and a hundred in a second; a flow has more."""
    rule = "meta l4proto udp limit rate over 100/second burst 30 packets drop"
    with packet_rule(site, site.far, "forward", rule):
        yield


def test_transfers(world: World, cluster: Cluster, prober: Prober, proof: Proof) -> None:
    """8 MB up and 8 MB down, one after the other: next to no segment sent again, and rates of one order."""
    pairs = [at(world["neighbour"]), at(world["remote"])]
    ways = [tcp(PORT, send=MUCH, timeout=10.0), tcp(PORT, size=MUCH, timeout=10.0)]
    plan = [every([world["client"]], [target], [way]) for target in pairs for way in ways]
    handshakes = every([world["client"]], pairs, [tcp(PORT)])
    proof.concludes(judge(all_of(handshakes, reached()), prober.sweep(handshakes)))

    seen = [prober.sweep(cells).observations[0] for cells in plan]

    up, down = (
        all_of([one.cell for one in some], promise)
        for some, promise in zip(
            (seen[::2], seen[1::2]), (reached(delivered=MUCH), reached(received=MUCH)), strict=True
        )
    )
    proof.concludes(judge(up | down, seen))
    for near, far in zip(seen[:2], seen[2:], strict=True):
        slower = rate(near) / rate(far)
        what = f"client and remote are at most {SLOWER:.0f} times slower than client and neighbour"
        proof.measured(f"same node over other node, {direction(near)}", slower, "times the rate")
        proof.fact(f"{what}, {direction(near)}", slower <= SLOWER, f"{slower:.1f} times")
    lost = OF_A_PROGRAM if cluster.datapath.tunnel.carrier is Carrier.UDP else LOST
    for target, some in (("neighbour", seen[:2]), ("remote", seen[2:])):
        share = sent_again(some)
        claim = f"at most {lost:.1%} of the segments between client and {target} were sent again"
        proof.fact(claim, share <= lost, f"{share:.2%}")


def test_one_way(world: World, cluster: Cluster, prober: Prober, proof: Proof) -> None:
    """96 datagrams that nobody answers come to a pod on either node, each whole and once; cut ones as well."""
    targets = [at(world["neighbour"]), at(world["remote"])]
    flows = [of_size(cluster, PORT, size) for size in (200, 1200, 4000)]
    proof.concludes(one_after_the_other(prober, every([world["client"]], targets, flows)))


def test_one_way_by_a_service(
    world: World, cluster: Cluster, services: Services, prober: Prober, proof: Proof
) -> None:
    """By ClusterIP and, from outside, by every node's port: all datagrams of a flow come to one endpoint."""
    inside = every([world["client"]], [cluster_ip(services["far"])], [of_size(cluster, 80, 1200)])
    door, doors = services["open"], [node_port(services["open"], node) for node in world.nodes]
    outside = every([world["outside"]], doors, [of_size(cluster, door.node_port("udp"), 1200)])
    proof.concludes(one_after_the_other(prober, [*inside, *outside]))


def of_size(cluster: Cluster, port: int, size: int) -> Probe:
    """A flow of datagrams of that size: COUNT, or as many as a tunnel that is a program has room for."""
    return flow(port, count=cluster.datapath.tunnel.burst(COUNT, size), size=size)


def one_after_the_other(prober: Prober, flows: Sequence[Cell]) -> Judgement:
    """Each flow by itself, so that none takes another's room in a queue: every datagram of it comes."""
    seen = [prober.sweep([cell]).observations[0] for cell in flows]
    return judge({cell: reached(delivered=cell.probe.count) for cell in flows}, seen)


def rate(seen: Observation) -> float:
    """Bytes in a second, from the end of the handshake to the end of the transfer."""
    assert seen.seconds is not None
    assert seen.connect_seconds is not None
    return MUCH / (seen.seconds - seen.connect_seconds)


def direction(seen: Observation) -> str:
    """Which way the bytes went."""
    return "up" if seen.cell.probe.send else "down"


def sent_again(seen: Sequence[Observation]) -> float:
    """The share of all segments, of both ends, that were sent more than once."""
    again = sum(one.resent + one.resent_there for one in seen)
    return again / max(1, sum(one.segments + one.segments_there for one in seen))
