"""Policy holds in each address family by itself: a block of addresses of one says nothing of the other.

    client  10.244.1.y  ─→ remote    let in by its IPv4 address
    client  fd00::1:y   ─→ remote    named by nobody

It fails where an enforcer has its rules in one family alone, so that a pod that is shut in stands open to whoever
asks it at its other address.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network

import pytest

from clusters.features import Feature
from fixtures.faults.fault import fault
from fixtures.faults.node_levers import frozen
from fixtures.faults.site import Site
from fixtures.plugins.proof import Proof
from fixtures.probes.plan import address_of, at, every
from fixtures.probes.runner import Prober
from fixtures.probes.ways import tcp, udp
from fixtures.verdicts.expectation import all_of, blocked, reached
from fixtures.world.policies import enforced, named, policy_for
from fixtures.world.populace import PATIENCE
from fixtures.world.world import PORT, World

pytestmark = [pytest.mark.claim("POL-7"), pytest.mark.requires("network-policy")]

WAYS = (tcp(PORT, timeout=PATIENCE), udp(PORT, timeout=PATIENCE))


@fault(
    reddens={"policy/each_family/*": "promised: blocked"},
    spares=("policy/clauses/open_without",),
    requires=(Feature.NETWORK_POLICY,),
)
def frozen_for_both_families(site: Site) -> Iterator[None]:
    """The agent that enforces policies stands still on the far node."""
    with frozen(site, site.far, site.datapath.enforcer):
        yield


def test_by_labels(world: World, family: int, prober: Prober, proof: Proof) -> None:
    """A rule that names a pod by its label lets it in, and not its neighbour."""
    target = [at(world["remote"], family)]
    friend, stranger = every([world["client"]], target, WAYS), every([world["neighbour"]], target, WAYS)
    promised = all_of(friend, reached()) | all_of(stranger, blocked())

    policy = policy_for(world, "remote", ingress=[{"from": [{"podSelector": named("client")}]}])
    before, became = enforced(prober, promised, policy)

    proof.concludes(before.judgement, became.judgement)


@pytest.mark.requires("dual-stack")
def test_by_address(world: World, family: int, prober: Prober, proof: Proof) -> None:
    """A rule that names the client's address of one family lets it in by that, and not by the other."""
    client, remote, other = world["client"], world["remote"], 10 - family
    named_so, not_so = (every([client], [at(remote, version)], WAYS) for version in (family, other))
    promised = all_of(named_so, reached()) | all_of(not_so, blocked())

    block = {"ipBlock": {"cidr": str(ip_network(address_of(client, family)))}}
    before, became = enforced(prober, promised, policy_for(world, "remote", ingress=[{"from": [block]}]))

    proof.concludes(before.judgement, became.judgement)
