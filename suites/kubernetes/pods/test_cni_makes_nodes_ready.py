"""Without a CNI no node is ready and CoreDNS has nowhere to run; once it is installed, both are ready.

    before   control-plane NotReady   worker NotReady   worker2 NotReady      CoreDNS Pending
                        (container runtime network not ready: NetworkPluginNotReady)
    ── the CNI's manifest is applied ──
    after    control-plane Ready      worker Ready      worker2 Ready         CoreDNS Ready

Both states were seen while the cluster came up. It fails where another CNI was there before (its configuration
then makes pods, whatever the one under test does), and where the CNI's daemon runs and leaves nodes behind.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from clusters.api import NODE
from clusters.bring_up import BringUp, State
from clusters.cluster import Cluster
from clusters.readiness import all_ready, complaints
from fixtures.plugins.proof import Proof

pytestmark = [pytest.mark.claim("CNI-1"), pytest.mark.requires("known-profile")]


@pytest.fixture
def bring_up(cluster: Cluster) -> BringUp:
    """What was seen on the way."""
    assert cluster.bring_up is not None, "it was stood up here"
    return cluster.bring_up


def test_before(cluster: Cluster, bring_up: BringUp, proof: Proof) -> None:
    """Before the install every node is NotReady and names the CNI as the reason; CoreDNS is Pending."""
    before = bring_up.before_cni

    nodes = {node.name: node.message for node in before.nodes}
    blamed = [node for node in before.nodes if not node.ready and "NetworkPluginNotReady" in node.message]
    waiting = [pod for pod in before.coredns if pod.phase == "Pending" and not pod.scheduled]

    proof.fact("every node was NotReady for want of a CNI", same(blamed, before.nodes, cluster.nodes), nodes)
    proof.fact("CoreDNS was Pending", same(waiting, before.coredns), described(before))


def test_after(cluster: Cluster, bring_up: BringUp, proof: Proof) -> None:
    """After it every node is Ready, and so is CoreDNS; and every node still is."""
    before, after = bring_up.before_cni, bring_up.after_cni
    now = cluster.api.list(NODE)

    ready = [node for node in after.nodes if node.ready]
    served = [pod for pod in after.coredns if pod.ready and pod.node]

    proof.fact("every node was Ready", same(ready, after.nodes, cluster.nodes), described(after))
    proof.fact("CoreDNS was Ready", same(served, after.coredns), described(after))
    proof.fact("every node is Ready now", all_ready(now, len(cluster.nodes)), complaints(now))
    proof.measured("all ready after the CNI", after.at - before.at, "s")


def same(*groups: Sequence[object]) -> bool:
    """Whether these have equally many members, and any at all."""
    return len({len(group) for group in groups}) == 1 and bool(groups[0])


def described(state: State) -> str:
    """A state in one line."""
    nodes = [f"{node.name} {'Ready' if node.ready else 'NotReady'}" for node in state.nodes]
    return ", ".join([*nodes, *(f"{pod.name} {pod.phase} on {pod.node or 'no node'}" for pod in state.coredns)])
