"""A policy holds for ICMP as the implementation documents it: who is shut out does not ping, who is let in does.

    client    ─ echo request ─→ remote    let in by a rule without ports
    neighbour ─ echo request ─→ remote    let in by nobody

The API leaves ICMP open. Where an enforcer says that it holds, an echo is a packet like any other; where it holds
for TCP and UDP alone, a pod that is "shut in" still tells everybody that it is there.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from clusters.features import Feature
from fixtures.faults.fault import fault
from fixtures.faults.node_levers import frozen
from fixtures.faults.rule_levers import packet_rule
from fixtures.faults.site import Site
from fixtures.plugins.proof import Proof
from fixtures.probes.plan import at, every
from fixtures.probes.runner import Prober
from fixtures.probes.ways import ping
from fixtures.verdicts.expectation import all_of, blocked, reached
from fixtures.world.policies import enforced, named, policy_for
from fixtures.world.populace import PATIENCE
from fixtures.world.world import World

pytestmark = [pytest.mark.claim("POL-7"), pytest.mark.requires("policy-for-icmp")]


@fault(
    reddens={"policy/pings/by_whom_they_may": "client → remote"},
    spares=("policy/clauses/open_without",),
    requires=(Feature.POLICY_FOR_ICMP,),
)
def echoes_dropped(site: Site) -> Iterator[None]:
    """The far node forwards no echo request of the pod client's."""
    rule = f"ip saddr {site.pod_address('client')} icmp type echo-request drop"
    with packet_rule(site, site.far, "forward", rule):
        yield


@fault(
    reddens={"policy/pings/by_whom_they_may": "promised: blocked"},
    spares=("policy/clauses/open_without",),
    requires=(Feature.POLICY_FOR_ICMP,),
)
def frozen_agent(site: Site) -> Iterator[None]:
    """The agent that enforces policies stands still on the far node."""
    with frozen(site, site.far, site.datapath.enforcer):
        yield


def test_by_whom_they_may(world: World, family: int, prober: Prober, proof: Proof) -> None:
    """A rule that names a pod and no port lets in its echo requests, and nobody else's."""
    target, ways = [at(world["remote"], family)], [ping(timeout=PATIENCE)]
    friend, stranger = every([world["client"]], target, ways), every([world["neighbour"]], target, ways)
    promised = all_of(friend, reached()) | all_of(stranger, blocked())

    policy = policy_for(world, "remote", ingress=[{"from": [{"podSelector": named("client")}]}])
    before, became = enforced(prober, promised, policy)

    proof.concludes(before.judgement, became.judgement)
