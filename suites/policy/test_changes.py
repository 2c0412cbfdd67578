"""Policies, labels of pods and labels of namespaces change, and what passes follows; the time that takes is told.

    policy of x: to pods a, from pods role=client of namespaces team=blue

    y-b gets role=client    y gets team=blue    y-b → x-a passes    y-b loses its label    y-b → x-a is blocked

It fails where an enforcer computes its sets once, and where one node's agent misses an event that the other saw.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from fixtures.plugins.proof import Proof
from fixtures.probes.convergence import Convergence, must_become
from fixtures.probes.plan import at, every
from fixtures.probes.policy_promises import by_policy
from fixtures.probes.runner import Prober
from fixtures.verdicts.network_policy import NetworkPolicy, manifest
from fixtures.verdicts.observation import Cell
from fixtures.world.populace import SETTLED_WITHIN, WAYS, Populace
from suites.policy.clauses import Object

pytestmark = [pytest.mark.claim("POL-4"), pytest.mark.requires("network-policy")]

FROM_CLIENTS = {"podSelector": {"matchLabels": {"role": "client"}}}
OF_BLUE = {"namespaceSelector": {"matchLabels": {"team": "blue"}}}


def for_a(peer: Object) -> Object:
    """Pods a of x accept from this peer alone."""
    return {
        "podSelector": {"matchLabels": {"pod": "a"}},
        "policyTypes": ["Ingress"],
        "ingress": [{"from": [peer]}],
    }


def policy(spec: Object) -> Object:
    """One policy of namespace x."""
    return manifest("x", "changing", spec)


class Follows:
    """Waits, again and again, until the way to x-a is what the policies of that moment promise."""

    def __init__(self, populace: Populace, prober: Prober, cells: Sequence[Cell]) -> None:
        self._populace, self._prober, self._cells = populace, prober, cells
        self.seen: list[Convergence] = []

    def now(self, policies: Sequence[NetworkPolicy]) -> None:
        """The next change was made: what passes must become what is promised now."""
        promised = by_policy(policies, self._cells, self._populace.party)
        witnesses = [it.judgement.sweep for it in self.seen[:1]]
        self.seen.append(must_become(self._prober, promised, witnesses=witnesses, within=SETTLED_WITHIN))

    def tell(self, proof: Proof, *changes: str) -> None:
        """Conclude, and say how long each change took."""
        proof.concludes(*(it.judgement for it in self.seen))
        for change, it in zip(changes, self.seen[1:], strict=True):
            proof.measured(f"until {change}", it.took, "s")


@pytest.fixture
def follows(populace: Populace, prober: Prober) -> Follows:
    """Everybody's way to x-a, which is open at first."""
    others = [pod for name, pod in populace.items() if name != "x-a"]
    made = Follows(populace, prober, every(others, [at(populace["x-a"])], WAYS))
    made.now([])
    return made


def test_labels_of_a_pod(populace: Populace, follows: Follows, proof: Proof) -> None:
    """A pod that gets the label passes, and one that loses it no longer does."""
    with populace.applied([policy(for_a({**FROM_CLIENTS, "namespaceSelector": {}}))]) as policies:
        follows.now(policies)
        with populace.labelled("y-b", role="client"):
            follows.now(policies)
        follows.now(policies)

    follows.tell(proof, "nobody passes", "the labelled pod passes", "it is blocked again")


def test_labels_of_a_namespace(populace: Populace, follows: Follows, proof: Proof) -> None:
    """All pods of a namespace that gets the label pass, and no longer when it loses it."""
    with populace.applied([policy(for_a(OF_BLUE))]) as policies:
        follows.now(policies)
        with populace.labelled("y", team="blue"):
            follows.now(policies)
        follows.now(policies)

    follows.tell(proof, "nobody passes", "the namespace passes", "it is blocked again")


def test_a_policy_changed_and_removed(populace: Populace, follows: Follows, proof: Proof) -> None:
    """A policy that says something else is followed, and all is open again without it."""
    with populace.applied([policy(for_a({"podSelector": {}}))]) as (first,):
        follows.now([first])
        follows.now([populace.change(first, for_a({"namespaceSelector": {"matchLabels": {"ns": "z"}}}))])
    follows.now([])

    follows.tell(proof, "pods of x alone pass", "pods of z alone pass", "everybody passes")
