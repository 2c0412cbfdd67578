"""Every clause of a NetworkPolicy does what the API's documentation says, between nine pods of three namespaces.

    worker    x-a  x-c  y-b  z-a  z-c        each pod asks each other one, by TCP and UDP, at ports 80 and 81
    worker2   x-b  y-a  y-c  z-b             of one node and of two

What is promised of each cell, and why, is computed from the policies by an oracle of our own. It fails where an
enforcer reads a clause otherwise (an AND for an OR, a missing list for an empty one), forgets a direction, and
where its agent on a node is late or stands still. A deny counts only if nothing came to the server, which listens.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fixtures.faults.fault import fault
from fixtures.faults.rule_levers import packet_rule
from fixtures.faults.site import Site
from fixtures.plugins.proof import Proof
from fixtures.probes.convergence import must_become
from fixtures.probes.plan import between
from fixtures.probes.policy_promises import by_policy
from fixtures.probes.runner import Prober
from fixtures.verdicts.expectation import all_of, reached
from fixtures.verdicts.judge import judge
from fixtures.world.populace import SETTLED_WITHIN, WAYS, Populace
from suites.policy.clauses import CLAUSES, Clause


@fault(
    reddens={
        "policy/clauses/open_without": "promised: reached",
        "policy/clauses/has_no_effect": "promised: reached",
    },
    spares=("kubernetes/pods/pods_on_one_node/both_directions",),
)
def port_denied_by_somebody(site: Site) -> Iterator[None]:
    """A firewall of somebody else's on the far node lets nothing to port 81."""
    with packet_rule(site, site.far, "forward", "th dport 81 drop"):
        yield


@pytest.mark.claim("POL-1")
def test_open_without(populace: Populace, prober: Prober, proof: Proof) -> None:
    """Without a policy every pod of every namespace reaches every other, by TCP and UDP."""
    cells = between(populace.values(), WAYS)

    seen = prober.sweep(cells)

    proof.concludes(judge(all_of(cells, reached()), seen))


@pytest.mark.claim("POL-2", "POL-3", "POL-5", "CNL-1")
@pytest.mark.requires("network-policy")
@pytest.mark.parametrize("clause", CLAUSES, ids=lambda clause: clause.name)
def test_holds(populace: Populace, prober: Prober, proof: Proof, clause: Clause) -> None:
    """What the clause allows is reached and what it does not is blocked, on one node and between two.

    All is open again before it: the clause of another check is gone by then.
    """
    cells = between(populace.values(), WAYS)
    before = must_become(prober, all_of(cells, reached()), in_a_row=1)

    with populace.applied(clause.policies) as policies:
        promised = by_policy(policies, cells, populace.party)
        settled = must_become(prober, promised, witnesses=[before.judgement.sweep], within=SETTLED_WITHIN)

    proof.concludes(before.judgement, settled.judgement)
    proof.measured("until it holds", settled.took, "s")


@pytest.mark.claim("FLN-7")
@pytest.mark.requires_absent("network-policy")
def test_has_no_effect(populace: Populace, prober: Prober, proof: Proof) -> None:
    """A CNI without enforcement takes a deny of everything and lets all of it pass."""
    (deny,) = (clause for clause in CLAUSES if clause.name == "deny-both")
    cells = between(populace.values(), WAYS)

    with populace.applied(deny.policies):
        settled = must_become(prober, all_of(cells, reached()))

    proof.concludes(settled.judgement)
