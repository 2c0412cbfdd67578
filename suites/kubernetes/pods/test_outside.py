"""A pod reaches the outside, which sees its node; nobody outside finds a way to a pod or a ClusterIP by himself.

    client 10.244.1.x ─ cni0 ─ worker 172.18.0.3 ──┬── outside 172.18.0.9
                                                   │     "who has 10.244.1.x?  who has 10.96.0.1?"
    remote 10.244.2.y ─ cni0 ─ worker2 172.18.0.4 ─┘

Outward it fails where nobody masquerades: the outside knows no way back to a pod's address. Inward it fails
where somebody has told outside a way. Then outside is given the best chance that it can have without being told:
it is on the nodes' own network and asks there for the addresses themselves. It would be answered where pods are
bridged onto that network, where a node answers for others (proxy ARP) or holds a Service's address on a link. That
outside can reach things, and that what it does not reach is alive, is seen in the same sweep.

Somebody who is *told* to send pod packets to a node is another matter. Nothing of the claim forbids that, and CNIs
differ: what came of it is shown, not judged.
"""

from __future__ import annotations

import pytest

from clusters.api import SERVICE
from fixtures.endpoints.inside import all_routed
from fixtures.plugins.proof import Proof
from fixtures.probes.plan import Destination, address_of, at, every, foreign
from fixtures.probes.promises import seen_as
from fixtures.probes.runner import Prober
from fixtures.probes.ways import get, ping, tcp, udp
from fixtures.verdicts.expectation import all_of, blocked, reached
from fixtures.verdicts.judge import judge
from fixtures.verdicts.observation import Cell
from fixtures.verdicts.spread import in_words
from fixtures.world.world import PORT, World

PATIENT = 4.0
"""Seconds: a node that answers for others on the wire (proxy ARP) takes its time to do so."""


@pytest.mark.claim("POD-7")
def test_out(world: World, family: int, prober: Prober, proof: Proof) -> None:
    """From pods on all nodes by TCP, UDP, ICMP and 200 kB of HTTP; outside sees the address of the pod's node."""
    pods = [world[name] for name in ("client", "neighbour", "remote", "third")]
    cells = every(
        pods, [at(world["outside"], family)], [tcp(PORT), udp(PORT), ping(), get(PORT, size=200_000, timeout=3.0)]
    )

    seen = prober.sweep(cells)

    nodes = {pod.name: world.host_of(pod.name).addresses for pod in pods}
    proof.concludes(judge(seen_as(cells, nodes), seen))


@pytest.mark.claim("POD-7")
def test_no_way_in(world: World, prober: Prober, proof: Proof) -> None:
    """As outside is, on the nodes' own network, it finds no way to a pod or to a ClusterIP."""
    well, shut = alive(world), shut_to(world)

    seen = prober.sweep([*well, *shut])

    proof.concludes(judge({**all_of(well, reached()), **all_of(shut, blocked())}, seen))


@pytest.mark.claim("POD-7")
def test_nobody_answers_for_them(world: World, prober: Prober, proof: Proof) -> None:
    """Where outside asks on that network who has the address of a pod or a ClusterIP, nobody says so."""
    well, shut, worker = alive(world), shut_to(world), world.host_of("client")
    addresses = sorted({cell.address for cell in shut})

    with all_routed(prober.conversations, world["outside"], addresses, "dev", "eth0"):
        seen = prober.sweep([*well, *shut])
    with all_routed(prober.conversations, world["outside"], addresses, "via", str(address_of(worker))):
        told = prober.sweep(shut)

    proof.concludes(judge({**all_of(well, reached()), **all_of(shut, blocked())}, seen))
    proof.shows(f"told to send it to {worker.name}: " + "; ".join(map(in_words, told)))


def shut_to(world: World) -> list[Cell]:
    """What outside must not reach: pods on two nodes, and the ClusterIP that every cluster has."""
    pods = [at(world["client"]), at(world["remote"])]
    ways = [tcp(PORT, timeout=PATIENT), udp(PORT, timeout=PATIENT), ping(timeout=PATIENT)]
    at_443 = every([world["outside"]], [api_server(world)], [tcp(443, timeout=PATIENT)])
    return [*every([world["outside"]], pods, ways), *at_443]


def alive(world: World) -> list[Cell]:
    """What shows that both ends of those are well: outside reaches a node, and a pod reaches the same places."""
    pods, neighbour = [at(world["client"]), at(world["remote"])], [world["neighbour"]]
    inside = [
        *every(neighbour, pods, [tcp(PORT), udp(PORT), ping()]),
        *every(neighbour, [api_server(world)], [tcp(443)]),
    ]
    return [*inside, *every([world["outside"]], [at(world.host_of("client"))], [tcp(PORT), udp(PORT), ping()])]


def api_server(world: World) -> Destination:
    """The API server at its ClusterIP."""
    found = world.api.get(SERVICE, "kubernetes", "default") or {}
    return foreign("service/kubernetes", found["spec"]["clusterIP"])
