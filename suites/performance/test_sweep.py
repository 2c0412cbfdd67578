"""A sweep costs one timeout at most, and a fraction of one exec for each of its cells.

    worker:  a b c d e          9 pods, each with our agent (tcp 8080 … 8085) and with agnhost
    worker2: f g h i            81 pairs at 6 ports: 486 cells

Measured are all cells open, half of them blocked (three ports dropped on both nodes, between pods), and the same
open cells by one `agnhost connect` exec each, 15 at a time. The numbers are reported and nobody asserts them; that
every cell is answered as it must be is asserted, since a fast sweep that is wrong is worth nothing.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from fixtures.endpoints.conversation import Conversations
from fixtures.plugins.proof import Proof
from fixtures.probes.plan import at, every
from fixtures.probes.runner import Prober
from fixtures.probes.ways import tcp
from fixtures.verdicts.expectation import blocked, reached
from fixtures.verdicts.judge import judge
from fixtures.verdicts.observation import Cell, Placement
from fixtures.world.one_exec_each import AGNHOST, connect_all
from fixtures.world.pods import Container, Pod, PodEndpoint, Port
from fixtures.world.world import World

PORTS = range(8080, 8086)
BLOCKED = range(8083, 8086)
ROUNDS = 5

Pods = dict[str, PodEndpoint]


@pytest.fixture(scope="module")
def nine(world: World, conversations: Conversations) -> Iterator[Pods]:
    """Nine pods on both workers."""
    workers = [node.name for node in world.nodes if node.name in {pod.node for pod in world.pods}]
    agent = Container(ports=tuple(Port(number) for number in PORTS))
    wanted = [
        Pod(name, node=workers[index % len(workers)], containers=(agent,), beside=(AGNHOST,))
        for index, name in enumerate("abcdefghi")
    ]
    with world.with_pods(*wanted) as made:
        conversations.warm(list(made.values()))
        yield made


@contextmanager
def dropped_on_every_node(world: World, conversations: Conversations) -> Iterator[None]:
    """The BLOCKED ports dropped between pods, by a table of our own on every node."""
    rule = f"tcp dport {{ {', '.join(map(str, BLOCKED))} }} drop"
    table = f"table inet netproof_sweep {{\nchain f {{\ntype filter hook forward priority -350;\n{rule}\n}}\n}}\n"
    for node in world.nodes:
        conversations.with_(node).run(["nft", "-f", "-"], stdin=table)
    try:
        yield
    finally:
        for node in world.nodes:
            conversations.with_(node).run(["nft", "delete", "table", "inet", "netproof_sweep"])


def cells_of(pods: Pods) -> tuple[Cell, ...]:
    """Every pod to every pod at every port."""
    return every(pods.values(), [at(pod) for pod in pods.values()], [tcp(port) for port in PORTS])


def test_all_open(nine: Pods, prober: Prober, proof: Proof) -> None:
    """486 cells, all open, and the same by one exec each: seconds, and the ratio."""
    cells = cells_of(nine)
    took, seen = [], prober.sweep(cells)
    for _ in range(ROUNDS):
        began = time.monotonic()
        seen = prober.sweep(cells)
        took.append(time.monotonic() - began)

    began = time.monotonic()
    said = connect_all(nine, cells)
    one_each = time.monotonic() - began

    proof.measured("sweep, all open (best)", min(took), "s")
    proof.measured("sweep, all open (worst)", max(took), "s")
    proof.measured("one exec each, 15 at a time", one_each, "s")
    proof.measured("one exec each, against the worst sweep", one_each / max(took), "times")
    proof.measured("slowest handshake", max(it.connect_seconds or 0.0 for it in seen) * 1000, "ms")
    proof.concludes(judge(dict.fromkeys(cells, reached()), seen))
    proof.fact("agnhost connects wherever the sweep does", not any(said), [it for it in said if it][:3])


def test_half_blocked(
    nine: Pods, world: World, conversations: Conversations, prober: Prober, proof: Proof
) -> None:
    """486 cells, half of them blocked: seconds, as a multiple of the timeout."""
    cells = cells_of(nine)
    baseline = prober.sweep(cells)

    with dropped_on_every_node(world, conversations):
        began = time.monotonic()
        seen = prober.sweep(cells)
        took = time.monotonic() - began

    promised = {
        cell: blocked() if cell.probe.port in BLOCKED and cell.placement is not Placement.ITSELF else reached()
        for cell in cells
    }
    proof.measured("sweep, half blocked", took, "s")
    proof.measured("sweep, half blocked, in timeouts", took / cells[0].probe.timeout, "times")
    proof.concludes(judge(promised, seen, [baseline]))
