"""Policy holds from a new pod's first packet on: what it may not reach it does not reach, however early it tries.

    eager   a policy that stood before it: to neighbour alone
      │ connects every few milliseconds from its first instruction on
      ├─→ neighbour   from ‹open› on
      └─→ remote      never

A node learns of a pod when the pod is there already. One that lets everything pass until it has learnt the rules
leaves a window in which a pod that was to be shut in says whatever it likes to whomever it likes, and nobody who
looks later sees anything.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from clusters.features import Feature
from fixtures.faults.fault import fault
from fixtures.faults.rule_levers import packet_rule
from fixtures.faults.site import Site
from fixtures.plugins.proof import Proof
from fixtures.probes.plan import address_of
from fixtures.world.eager import beside, tried
from fixtures.world.pods import Pod
from fixtures.world.policies import named, policy_for
from fixtures.world.world import PORT, World


@fault(
    reddens={"policy/from_the_first_packet/never_gets_out": "what it may reach it reached"},
    spares=("policy/clauses/open_without",),
    requires=(Feature.NETWORK_POLICY,),
)
def neighbour_dropped(site: Site) -> Iterator[None]:
    """What goes to the pod neighbour is dropped on its node."""
    with packet_rule(site, site.near, "prerouting", f"ip daddr {site.pod_address('neighbour')} drop"):
        yield


@pytest.mark.claim("POL-5")
@pytest.mark.requires("network-policy")
def test_never_gets_out(world: World, proof: Proof) -> None:
    """A pod made under a policy tries at once: it reaches whom it may, and whom it may not at no time."""
    may, may_not = address_of(world["neighbour"]), address_of(world["remote"])
    eager = Pod("eager", node=world["client"].node, beside=(beside(world.image, PORT, [may, may_not]),))

    out = [{"to": [{"podSelector": named("neighbour")}]}]
    with policy_for(world, "eager", egress=out), world.with_pods(eager) as made:
        found = tried(made["eager"])

    allowed, denied = found[str(may)], found[str(may_not)]
    proof.fact("what it may reach it reached", bool(allowed.through), allowed)
    proof.draws({"open": f"{allowed.through[0] * 1000:.0f} ms"})
    proof.measured("tries at what it may not reach", denied.tries, "")
    proof.measured("until it reached what it may", allowed.through[0], "s")
    proof.fact("what it may not reach it never did", not denied.through, denied.through[:5])
