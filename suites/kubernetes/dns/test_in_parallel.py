"""DNS is fast and lossless when everybody asks for A and AAAA at once.

    client, neighbour (worker)  ─┐
                                 ├─ A + AAAA from one socket, back to back ─→ 10.96.0.10 ─→ CoreDNS
    remote, … (worker2)         ─┘

Two datagrams that leave one socket in the same moment compete for one entry in the node's table of connections;
the loser is dropped, and its resolver waits five seconds before it asks again. Here no question is ever asked
again: each of 200 rounds from each pod must be answered within a second at the first attempt.
"""

from __future__ import annotations

import pytest

from clusters.api import POD, Object
from fixtures.plugins.proof import Proof
from fixtures.probes.plan import every
from fixtures.probes.runner import Prober
from fixtures.probes.ways import lookup
from fixtures.verdicts.expectation import all_of, reached
from fixtures.verdicts.judge import judge
from fixtures.verdicts.observation import Observation, Outcome
from fixtures.world.service_set import Services
from fixtures.world.ways_in import RESOLVER
from fixtures.world.world import World

pytestmark = pytest.mark.claim("DNS-3")

ROUNDS = 200
AT_ONCE = 20


def test_no_question_is_lost(world: World, services: Services, prober: Prober, proof: Proof) -> None:
    """200 rounds from each of three pods, twenty at a time: every single one answered within a second.

    It ends with the first twenty of which some were not: they are red, and the rest would say no more.
    """
    sources = [world["client"], world["neighbour"], world["remote"]]
    both = lookup(services["web"].full_name, "A+AAAA", timeout=3.0)
    sweeps = [every(sources, [RESOLVER], [both] * AT_ONCE) for _ in range(ROUNDS // AT_ONCE)]

    seen: list[Observation] = []
    for cells in sweeps:
        seen += prober.sweep(cells)
        if any(one.outcome is not Outcome.REACHED for one in seen):
            break

    proof.concludes(judge(all_of([one.cell for one in seen], reached(within=1.0)), seen))
    proof.measured("slowest look-up", max(one.seconds or 0.0 for one in seen), "s")


def test_servers_have_not_restarted(world: World, proof: Proof) -> None:
    """CoreDNS runs, and none of its pods has ever been restarted: a loop or a crash shows there."""
    pods = world.api.list(POD, "kube-system", labels="k8s-app=kube-dns")

    counted = {name: restarts(pod) for name, pod in pods.items()}

    proof.fact("CoreDNS has pods, and none restarted", bool(pods) and not any(counted.values()), counted)


def restarts(pod: Object) -> int:
    """How often any of its containers was started again."""
    return sum(status["restartCount"] for status in pod["status"].get("containerStatuses", []))
