"""Pods do not collide on ports: two pods of one node listen on the same port, and each one's localhost is its own.

    worker
    ┌───────────────────────────────────────────────────────────┐
    │  client 10.244.1.x              neighbour 10.244.1.y      │
    │  ┌──────────────────────┐       ┌──────────────────────┐  │
    │  │ lo 127.0.0.1         │       │ lo 127.0.0.1         │  │
    │  │ listens on 8080      │       │ listens on 8080      │  │
    │  └──────────────────────┘       └──────────────────────┘  │
    │  the node itself listens on 8080 as well                  │
    └───────────────────────────────────────────────────────────┘

It fails where two of the three share a network namespace (a pod put on its node's network unawares, a runtime
that joined the wrong sandbox), or where a rule inside a pod sends localhost elsewhere. Every agent answers with
its own name, so that a connection that the wrong one accepts is seen as the wrong one's.
"""

from __future__ import annotations

import pytest

from fixtures.plugins.proof import Proof
from fixtures.probes.plan import at, every, localhost
from fixtures.probes.runner import Prober
from fixtures.probes.ways import get, tcp, udp
from fixtures.verdicts.expectation import all_of, reached
from fixtures.verdicts.judge import judge
from fixtures.world.world import PORT, World

WAYS = (tcp(PORT), udp(PORT), get(PORT))


@pytest.mark.claim("POD-2")
def test_localhost_is_ones_own(world: World, family: int, prober: Prober, proof: Proof) -> None:
    """Pod, neighbour and their node ask 127.0.0.1 at the same port, and each is answered by itself."""
    listeners = [world["client"], world["neighbour"], world.host_of("client")]
    cells = [cell for one in listeners for cell in every([one], [localhost(one, family)], WAYS)]

    seen = prober.sweep(cells)

    proof.concludes(judge(all_of(cells, reached()), seen))


@pytest.mark.claim("POD-2")
def test_each_address_is_ones_own(world: World, family: int, prober: Prober, proof: Proof) -> None:
    """Asked by its address at the same port, from another node, each is answered for by itself."""
    listeners = [world["client"], world["neighbour"], world.host_of("client")]
    cells = every([world["remote"]], (at(it, family) for it in listeners), WAYS)

    seen = prober.sweep(cells)

    proof.concludes(judge(all_of(cells, reached()), seen))
