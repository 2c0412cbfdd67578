"""At the end of a run no agent of the network has restarted or logged an error, and no kernel has dropped packets.

    CNI's daemon, kube-proxy, CoreDNS   restarts 0      no line "E0102 …", "level=error", "[ERROR]", "panic"
    each node's links and softnet       dropped 0       since the run began

A check sees what it asks. What breaks and heals between two checks shows here: a daemon that crashed once, a watch
that broke, a queue that overflowed. What is known to be harmless is in a list below, each with its reason.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest

from clusters.cluster import Cluster
from clusters.waiting import poll
from fixtures.faults.fault import fault
from fixtures.faults.site import Site
from fixtures.plugins.proof import Proof
from fixtures.report.recorder import Run
from fixtures.world.daemons import errors_since, restarts
from fixtures.world.drops import Drops
from fixtures.world.world import World

pytestmark = [pytest.mark.claim("RUN-1"), pytest.mark.at_end]

HARMLESS = {
    r"the object has been modified": "of two writers of one object the loser tries again",
    r"too old resource version|unable to decode an event from the watch stream": "a watch ends when its server"
    " compacts, and is begun anew",
    r"can't set sysctl net/netfilter/nf_conntrack_(max|buckets)": "the value is the host's kernel's, and no node"
    " in a container may set it",
}
"""Patterns of error lines that are no error of the network, each with the reason; a CNI's own are in its file."""


@fault(
    reddens={"kubernetes/run/nothing_breaks/no_restart": "restarted"},
    spares=("kubernetes/services/clusterip_from_pods/same_node",),
)
def crashed_kube_proxy(site: Site) -> Iterator[None]:
    """kube-proxy on the near node has crashed, and runs again."""
    site.crash(site.near, "kube-proxy", "k8s-app=kube-proxy")
    yield


@fault(
    reddens={"kubernetes/run/nothing_breaks/no_error": "Restart failed"},
    spares=("kubernetes/dns/service_names/*",),
)
def unreadable_corefile(site: Site) -> Iterator[None]:
    """CoreDNS is given a configuration that it cannot read, and goes on with the one that it had."""
    began = time.time()
    with site.corefile(lambda before: before.replace("errors\n", "errors\n    no-such-plugin\n", 1)):
        poll(
            lambda: errors_since(site.cluster.api, began),
            until=lambda said: any("Restart failed" in line for line in said),
            what="CoreDNS to try its new configuration",
            within=180.0,
            every=2.0,
        )
        yield


@fault(
    reddens={"kubernetes/run/nothing_breaks/no_drop": "eth0"},
    spares=("kubernetes/services/clusterip_from_pods/same_node",),
)
def queue_too_short(site: Site) -> Iterator[None]:
    """The near node's card has a queue for almost nothing, and more was sent than it holds."""
    queue = ("tbf", "rate", "8kbit", "burst", "1k", "limit", "1k")
    words = ("qdisc", "replace", "dev", "eth0", "root")
    send = f"for _ in $(seq 50); do printf %0900d 1 > /dev/udp/{site.address(site.far)}/9; done"
    site.world.in_node(site.near, "tc", *words, *queue)
    try:
        site.run(site.near, "bash", "-c", send)
        yield
    finally:
        site.world.in_node(site.near, "tc", "qdisc", "del", "dev", "eth0", "root")


def test_no_restart(world: World, run: Run, proof: Proof) -> None:
    """No container of the CNI, of kube-proxy and of CoreDNS has restarted since the run began."""
    now = restarts(world.api)

    again = {name: f"restarted {more} times" for name in now if (more := now[name] - run.restarts.get(name, 0))}
    proof.fact(f"{len(now)} containers of the network have not restarted", bool(now) and not again, again)


def test_no_error(world: World, cluster: Cluster, run: Run, proof: Proof) -> None:
    """None of them has logged an error since the run began, but those known to be harmless."""
    known = [re.compile(pattern) for pattern in (*HARMLESS, *cluster.datapath.harmless)]

    said = errors_since(world.api, run.since)

    other = [line for line in said if not any(pattern.search(line) for pattern in known)]
    proof.measured("error lines known to be harmless", len(said) - len(other), "")
    proof.fact("no error was logged but harmless ones", not other, other[:5])


def test_no_drop(drops: Drops, proof: Proof) -> None:
    """No link and no queue of a node has dropped a packet since the run began."""
    more = drops.since_the_beginning()

    proof.fact("no node dropped a packet", not more, more)
