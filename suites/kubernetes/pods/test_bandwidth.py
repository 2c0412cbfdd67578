"""A pod with bandwidth annotations gets no more than they say, either way; its neighbour is not slowed down.

    client ─── in  ──→ limited    worker2   at most 40 Mbit/s in, 40 Mbit/s out
           ←── out ──
    client ───────────→ remote    worker2   no limit, asked while nothing else goes on

The limit is a queue at the pod's own link, laid by a plugin that is chained behind the CNI's. It fails where the
plugin is missing from the chain, holds one direction alone, or lays its queue where others pass as well.
containerd asks the plugin for a burst of 512 MiB, and the queue lets so much pass before it holds anything back:
the first transfer each way is there to use that up.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from clusters.features import Feature
from fixtures.endpoints.conversation import Conversations
from fixtures.endpoints.endpoint import Endpoint
from fixtures.faults.fault import fault
from fixtures.faults.node_levers import plugin_set_aside
from fixtures.faults.site import Site
from fixtures.plugins.proof import Proof
from fixtures.probes.bulk import PORT, receive, send
from fixtures.probes.plan import address_of
from fixtures.world.pods import Pod
from fixtures.world.world import World

LIMIT = 5.0
"""Megabytes a second: 40 Mbit/s."""
TOLERANCE = 1.2
"""What is still within the limit: the queue counts headers, and gives some back while the transfer lasts."""
BURST = 560
"""Megabytes that use up the burst of 512 MiB."""
MEASURED = 15
ANNOTATIONS = {f"kubernetes.io/{way}-bandwidth": "40M" for way in ("ingress", "egress")}


@fault(
    reddens={"kubernetes/pods/bandwidth/within_the_limit": "what limited receives is within the limit"},
    spares=("kubernetes/pods/pods_on_other_nodes/every_direction",),
    requires=(Feature.BANDWIDTH,),
)
def plugin_that_does_nothing(site: Site) -> Iterator[None]:
    """The bandwidth plugin of the far node says that all is well and lays no queue."""
    with plugin_set_aside(site, site.far, "bandwidth"):
        yield


@pytest.mark.claim("POD-13")
@pytest.mark.requires("bandwidth")
def test_within_the_limit(world: World, conversations: Conversations, proof: Proof) -> None:
    """After the burst 15 MB in and 15 MB out keep to the limit; the neighbour gets more than twice as much."""
    client, remote = world["client"], world["remote"]

    with world.with_pods(Pod("limited", node=remote.node, annotations=ANNOTATIONS)) as made:
        limited = made["limited"]
        for endpoint in (client, remote, limited):
            receive(conversations.with_(endpoint))
        got_in, got_out = (
            after_the_burst(conversations, *pair) for pair in ((client, limited), (limited, client))
        )
        beside = megabytes_a_second(conversations, client, remote, 100)

    proof.measured("limited receives", got_in, "MB/s")
    proof.measured("limited sends", got_out, "MB/s")
    proof.measured("its neighbour receives", beside, "MB/s")
    proof.fact("what limited receives is within the limit", got_in <= LIMIT * TOLERANCE, f"{got_in:.1f} MB/s")
    proof.fact("what limited sends is within the limit", got_out <= LIMIT * TOLERANCE, f"{got_out:.1f} MB/s")
    proof.fact("its neighbour gets more than twice as much", beside > 2 * LIMIT, f"{beside:.1f} MB/s")


def after_the_burst(conversations: Conversations, source: Endpoint, destination: Endpoint) -> float:
    """Megabytes a second from one to the other once the queue holds back."""
    megabytes_a_second(conversations, source, destination, BURST)
    return megabytes_a_second(conversations, source, destination, MEASURED)


def megabytes_a_second(
    conversations: Conversations, source: Endpoint, destination: Endpoint, megabytes: int
) -> float:
    """Send so many; how many arrived in a second."""
    return send(conversations.with_(source), address_of(destination), PORT, megabytes=megabytes)
