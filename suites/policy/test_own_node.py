"""A policy that shuts a pod in keeps out other nodes and lets in its own, by which kubelet asks how it is.

    worker2 ─→ remote           its own node: the API lets it in whatever policies say
    worker  ─→ remote           another node, which no policy names: denied, as any pod is
    kubelet ─→ shut-in:8090     the probes of a pod that was made under the policy

An enforcer that forgets the exception makes every pod unready that somebody shuts in; one that takes it for all
nodes leaves a way in for whatever runs on their network.
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
from fixtures.probes.convergence import must_become
from fixtures.probes.plan import at, every
from fixtures.probes.runner import Prober
from fixtures.probes.ways import tcp, udp
from fixtures.verdicts.expectation import all_of, blocked, reached
from fixtures.world.new_pods import fresh_pods
from fixtures.world.pods import Container, Pod, Port
from fixtures.world.policies import enforced, policy_for
from fixtures.world.populace import PATIENCE, SETTLED_WITHIN
from fixtures.world.world import PORT, World

pytestmark = [pytest.mark.claim("POL-7"), pytest.mark.requires("network-policy")]

PROBED = 8090
WAYS = (tcp(PORT, timeout=PATIENCE), udp(PORT, timeout=PATIENCE))


@fault(
    reddens={"policy/own_node/alone_gets_in": "‹far› → remote"},
    spares=("policy/own_node/kubelet_asks_on", "policy/clauses/open_without"),
    requires=(Feature.NETWORK_POLICY,),
)
def own_node_dropped(site: Site) -> Iterator[None]:
    """What the far node itself sends to its pod remote by UDP is dropped."""
    with packet_rule(site, site.far, "output", f"ip daddr {site.pod_address('remote')} udp dport {PORT} drop"):
        yield


@fault(
    reddens={"policy/own_node/kubelet_asks_on": "it is ready"},
    spares=("policy/own_node/alone_gets_in", "policy/clauses/open_without"),
    requires=(Feature.NETWORK_POLICY,),
)
def probes_dropped(site: Site) -> Iterator[None]:
    """What the far node itself sends to the port that kubelet asks is dropped."""
    with packet_rule(site, site.far, "output", f"tcp dport {PROBED} drop"):
        yield


@fault(
    reddens={
        "policy/own_node/alone_gets_in": "promised: blocked",
        "policy/own_node/kubelet_asks_on": "it is ready",
    },
    spares=("policy/clauses/open_without",),
    requires=(Feature.NETWORK_POLICY,),
)
def frozen_agent_at_home(site: Site) -> Iterator[None]:
    """The agent that enforces policies stands still on the far node."""
    with frozen(site, site.far, site.datapath.enforcer):
        yield


def test_alone_gets_in(world: World, prober: Prober, proof: Proof) -> None:
    """Of nodes and pods the pod's own node alone reaches a pod that lets nobody in, over TCP and UDP."""
    remote, home = world["remote"], world.host_of("remote")
    own = every([home], [at(remote)], WAYS)
    others = every([it for it in world.nodes if it.name != home.name], [at(remote)], WAYS)
    others += every([world["client"]], [at(remote)], WAYS)
    promised = all_of(own, reached()) | all_of(others, blocked())

    before, became = enforced(prober, promised, policy_for(world, "remote", ingress=[]))

    proof.concludes(before.judgement, became.judgement)
    proof.measured("until it holds", became.took, "s")


def test_kubelet_asks_on(world: World, prober: Prober, proof: Proof) -> None:
    """A pod made under a policy that lets nobody in becomes ready by its node's probes, and no pod reaches it."""
    home = world.host_of("remote")
    shut_in = Pod("shut-in", node=home.name, containers=(Container(ports=(Port(PROBED, "TCP"),)),))

    with policy_for(world, shut_in.name, ingress=[]), fresh_pods(world, [shut_in]) as fresh:
        proof.fact("it is ready", not fresh.trouble, fresh.trouble or "ready")
        pod, ways = [at(fresh.pods[shut_in.name])], [tcp(PROBED, timeout=PATIENCE)]
        open_ = [*every([home], pod, ways), *every([world["client"]], [at(world["neighbour"])], WAYS)]
        stranger = every([world["client"]], pod, ways)
        became = must_become(prober, all_of(open_, reached()) | all_of(stranger, blocked()), within=SETTLED_WITHIN)

    proof.concludes(became.judgement)
