"""Whatever policies somebody writes: what passes between nine pods is what the API says.

    worker    x-a  x-c  y-b  z-a  z-c        each pod asks each other one, by TCP and UDP, at ports 80 and 81
    worker2   x-b  y-a  y-c  z-b             up to four policies by chance, world after world

Nobody thinks of all combinations. A world that an enforcer decides otherwise than the oracle is made smaller as
long as the two still differ: what is left is kept as YAML, with the command that tries it again.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fixtures.faults.fault import fault
from fixtures.faults.rule_levers import packet_rule
from fixtures.faults.site import Site
from fixtures.plugins.proof import Proof
from fixtures.probes.convergence import must_become
from fixtures.probes.plan import between
from fixtures.probes.policy_promises import by_policy
from fixtures.probes.runner import Prober
from fixtures.report.recorder import Run
from fixtures.verdicts.expectation import all_of, reached
from fixtures.verdicts.verdict import Verdict
from fixtures.world.populace import WAYS, Populace
from suites.policy_search.search import replay, search, written
from suites.policy_search.worlds import World

pytestmark = [pytest.mark.claim("POL-2", "POL-3"), pytest.mark.requires("network-policy")]

WITHIN = 10.0
"""Seconds for a world to be what its policies promise; the clauses have more, and are tried one by one."""


@fault(
    reddens={"policy_search/search/every_world": "differs from the oracle"},
    spares=("kubernetes/pods/pods_on_one_node/both_directions",),
)
def port_denied_whatever_policies_say(site: Site) -> Iterator[None]:
    """A firewall of somebody else's on the far node lets nothing to port 81, whatever policies say."""
    with packet_rule(site, site.far, "forward", "th dport 81 drop"):
        yield


def test_every_world(
    populace: Populace, prober: Prober, proof: Proof, run: Run, pytestconfig: pytest.Config
) -> None:
    """Each of the worlds that were tried in the time is decided as the oracle decides it."""
    cells = between(populace.values(), WAYS)
    before = must_become(prober, all_of(cells, reached()), in_a_row=1)

    def wrong(world: World) -> str:
        with populace.applied(world) as policies:
            promised = by_policy(policies, cells, populace.party)
            witnesses = [before.judgement.sweep]
            settled = must_become(prober, promised, witnesses=witnesses, within=WITHIN, in_a_row=1, hold=0.0)
        return "" if settled.judgement.verdict is Verdict.PASS else settled.judgement.wrong[0].reason

    replayed: Path | None = pytestconfig.getoption("--replay")
    seed, minutes = pytestconfig.getoption("--seed"), pytestconfig.getoption("--minutes")
    found = replay(wrong, replayed) if replayed else search(wrong, within=60 * minutes, by=seed)

    if found.smallest:
        file = proof.evidence("smallest.yaml", written(found.smallest))
        again = f"./run search-policy-{run.options.profile} -- --replay={file}"
        proof.shows(f"{written(found.smallest)}\ntry it again: {again}")
    proof.measured("worlds tried", found.tried, "")
    proof.measured("worlds a minute", found.rate, "1/min")
    proof.fact(f"none of {found.tried} worlds differs from the oracle", not found.smallest, found.wrong or "none")
