"""Pods come and go by the dozen, and nothing of them is left on any node.

    30 pods on all nodes   made, ready, deleted      twice
    each node              links, routes, rules, sets, namespaces, files of the CNI: as before

It fails where a plugin's DEL is not called or does half of its work: an address stays reserved, a rule stays and
takes packets for whoever gets that address next. One pod hides it; nodes fill up over weeks.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import pytest

from clusters.features import Feature
from clusters.waiting import TimedOut, poll
from fixtures.faults.fault import fault
from fixtures.faults.node_levers import forgetful_plugin
from fixtures.faults.site import Site
from fixtures.plugins.proof import Proof
from fixtures.world.left_behind import more, things
from fixtures.world.pods import Pod
from fixtures.world.world import World

BURSTS, PODS = 2, 30
GONE_WITHIN = 60.0
"""Seconds for nodes to take down what the API server has forgotten already."""


@fault(
    reddens={"disruption/churn/nothing_is_left": "nothing of them is left"},
    spares=("kubernetes/pods/pods_on_one_node/both_directions",),
    requires=(Feature.BRIDGE,),
)
def forgetful(site: Site) -> Iterator[None]:
    """The plugin on the near node does nothing when a pod goes."""
    with forgetful_plugin(site, site.near, site.datapath.plugin):
        yield


@pytest.mark.claim("POD-12")
def test_nothing_is_left(world: World, site: Site, proof: Proof) -> None:
    """After two bursts of thirty pods, made and deleted, every node has what it had before and nothing more."""
    nodes = list(site.nodes)
    before = things(nodes, site.run)

    for burst in range(BURSTS):
        wanted = [Pod(f"burst-{burst}-{number}", node=nodes[number % len(nodes)]) for number in range(PODS)]
        with world.with_pods(*wanted):
            meanwhile = things(nodes, site.run)

    left: list[str] = []

    def look() -> list[str]:
        left[:] = more(before, things(nodes, site.run))
        return left

    with suppress(TimedOut):
        poll(look, until=lambda found: not found, what="nodes to be as before", within=GONE_WITHIN, every=1.0)
    proof.measured("things that thirty pods have on the nodes", len(more(before, meanwhile)), "")
    proof.fact("pods had something there while they lived", len(more(before, meanwhile)) >= PODS, len(meanwhile))
    proof.fact("nothing of them is left", not left, left[:10] or "nothing")
