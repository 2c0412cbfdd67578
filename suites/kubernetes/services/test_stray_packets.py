"""A packet that the connection tracker cannot place does not end a connection through a Service.

    client :p ══ 10.96.n.n:80 ══ remote:8080        an open connection, translated on worker
    client :p ←─ a stray segment ── remote:8080     not of its window: the tracker calls it INVALID
              ✕ dropped by a node

A tracker that cannot place a packet does not translate it either. Handed on, it comes to the client from an
address that the client has no connection with; the client's kernel resets that, and the reset ends the good
connection at the server. It takes one packet out of place, on a busy network, to lose a long download.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from clusters.features import Feature
from clusters.waiting import poll
from fixtures.endpoints.conversation import Conversations
from fixtures.faults.fault import fault
from fixtures.faults.rule_levers import iptables_rule
from fixtures.faults.site import Site
from fixtures.plugins.proof import Proof
from fixtures.probes.idle import IdleConnection, opened
from fixtures.probes.plan import address_of
from fixtures.probes.stray import PATIENCE, QUIET, stray_segments
from fixtures.world.service_set import Services
from fixtures.world.ways_in import cluster_ip
from fixtures.world.world import PORT, World


@fault(
    reddens={"kubernetes/services/stray_packets/do_not_reset": "the connection goes on"},
    spares=("kubernetes/services/clusterip_from_pods/other_node",),
    requires=(Feature.KUBE_PROXY_IPTABLES,),
    absent=(Feature.NETWORK_POLICY,),  # an enforcer drops such packets as well, and puts its rules first
)
def stray_packets_let_through(site: Site) -> Iterator[None]:
    """Both workers hand on what their connection trackers cannot place."""
    rule = ("-m", "conntrack", "--ctstate", "INVALID", "-j", "ACCEPT")
    with (
        iptables_rule(site, site.near, "filter", "FORWARD", *rule),
        iptables_rule(site, site.far, "filter", "FORWARD", *rule),
    ):
        yield


@pytest.mark.claim("SVC-12")
@pytest.mark.requires("ipv4")  # the segments are made by hand, with headers of IPv4
def test_do_not_reset(world: World, services: Services, conversations: Conversations, proof: Proof) -> None:
    """Five stray segments from the endpoint's own port, and the connection through the ClusterIP is answered."""
    client, remote = world["client"], world["remote"]
    held = opened(conversations.with_(client), cluster_ip(services["far"]), 80)
    ends = (address_of(remote), PORT, address_of(client))

    first = held.answers()
    proof.fact("the connection is answered", first == "remote", first)
    with ThreadPoolExecutor(1) as pool:
        sent = pool.submit(stray_segments, conversations.with_(remote), *ends)
        said = asked_until_done(held, sent)
    then = held.answers()

    proof.shows(f"said while they were sent: {', '.join(said)}")
    sent.result()
    proof.fact("the connection goes on", then == "remote", then)


def asked_until_done(held: IdleConnection, sent: Future[None]) -> list[str]:
    """Ask over the connection until the segments are sent, which wait for a request; what was said each time."""
    said: list[str] = []

    def ask() -> bool:
        said.append(held.answers())
        return sent.done()

    poll(ask, until=bool, what="the stray segments to be sent", within=4 * PATIENCE, every=3 * QUIET)
    return said
