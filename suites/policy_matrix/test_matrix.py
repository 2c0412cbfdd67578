"""Every peer by every set of ports, in both directions: what passes between nine pods is what the API says.

    worker    x-a  x-c  y-b  z-a  z-c        each pod asks each other one, by TCP and UDP, at ports 80 and 81
    worker2   x-b  y-a  y-c  z-b             policies are in namespace x

The clauses (`suites/policy`) differ in one thing each; here they are combined as authors of policies combine
them. An enforcer that gets each clause right may still join two of them wrongly: a rule's peers with another
rule's ports, a name with its number, an exception with the next block.
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
from fixtures.probes.patience import Patience
from fixtures.probes.plan import between
from fixtures.probes.policy_promises import by_policy
from fixtures.probes.runner import Prober
from fixtures.report.recorder import Run
from fixtures.verdicts.expectation import all_of, reached
from fixtures.verdicts.judge import Judgement, judge
from fixtures.world.populace import SETTLED_WITHIN, WAYS, Populace
from fixtures.world.world import World
from suites.policy_matrix.cases import Case, cases

pytestmark = [pytest.mark.claim("POL-2", "POL-3"), pytest.mark.requires("network-policy")]

TWICE = 2
"""Sweeps in a row that must match: each case decides otherwise than the one before it."""


@pytest.fixture(scope="module")
def opened(
    populace: Populace, world: World, conversations: Conversations, run: Run, patience: Patience
) -> Judgement:
    """All of them before any policy, which is what a silence is witnessed by."""
    prober = Prober(world, run.history.add, conversations=conversations, patience=patience)
    return must_become(prober, all_of(between(populace.values(), WAYS), reached())).judgement


@fault(
    reddens={
        "policy_matrix/matrix/open_before": "promised: reached",
        "policy_matrix/matrix/holds": "promised: reached",
    },
    spares=("kubernetes/pods/pods_on_one_node/both_directions",),
)
def port_denied_besides(site: Site) -> Iterator[None]:
    """A firewall of somebody else's on the far node lets nothing to port 81."""
    with packet_rule(site, site.far, "forward", "th dport 81 drop"):
        yield


def test_open_before(populace: Populace, opened: Judgement, prober: Prober, proof: Proof) -> None:
    """Before the first case every pod reaches every other."""
    cells = between(populace.values(), WAYS)

    seen = prober.sweep(cells)

    proof.concludes(opened, judge(all_of(cells, reached()), seen))


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_holds(populace: Populace, opened: Judgement, prober: Prober, proof: Proof, case: Case) -> None:
    """What the policies allow is reached and what they do not is blocked, on one node and between two."""
    cells = between(populace.values(), WAYS)

    with populace.applied(case.policies) as policies:
        promised = by_policy(policies, cells, populace.party)
        settled = must_become(
            prober, promised, witnesses=[opened.sweep], within=SETTLED_WITHIN, in_a_row=TWICE, hold=0.0
        )

    proof.concludes(settled.judgement)
    proof.measured("until it holds", settled.took, "s")
