"""A connection through a Service outlives its silence: the node that translates it does not forget it.

    client  ─ 10.96.n.n:80 ─→ remote      opened early in the run, silent since, used at its end
    outside ─ worker:3nnnn ─→ remote      the same

The translation of a connection lives in the node's tracker alone. Once the entry is gone, the next packet of
either side goes nowhere, and both believe that the connection stands: pools of database connections break so, an
hour after the last request. How long an entry lives is the kernel's setting, which kube-proxy raises to a day. A
run is too short to wait for that; so the connection is used after as long as the run lasts, and what the node's
tracker has still in store for it is read beside.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fixtures.faults.fault import fault
from fixtures.faults.link_levers import sysctl
from fixtures.faults.site import Site
from fixtures.plugins.proof import Proof
from fixtures.probes.idle import IdleConnection
from fixtures.probes.node_state import Nodes
from fixtures.world.world import World

pytestmark = pytest.mark.claim("SVC-12")

AN_HOUR = 3600
"""Seconds that an idle connection may last at least: load balancers and firewalls that forget sooner say so."""
ESTABLISHED = "net.netfilter.nf_conntrack_tcp_timeout_established"


@fault(
    reddens={"kubernetes/services/idle_connections/kept": "left for client"},
    spares=("kubernetes/services/clusterip_from_pods/other_node",),
)
def forgotten_after_a_minute(site: Site) -> Iterator[None]:
    """The near node's tracker forgets a silent connection after a minute."""
    with sysctl(site, site.near, ESTABLISHED, "60"):
        yield


@fault(
    reddens={
        "kubernetes/services/idle_connections/opened": "remembers",
        "kubernetes/services/idle_connections/used": "client → service/far",
    },
    spares=("kubernetes/services/clusterip_from_pods/other_node",),
)
def translations_forgotten(site: Site) -> Iterator[None]:
    """The near node's tracker has lost every connection to a Service, and takes up none in the middle."""
    loose = "net.netfilter.nf_conntrack_tcp_loose"
    with sysctl(site, site.near, loose, "0"):
        site.forget_connections(site.near, site.services)
        yield


def test_opened(idle_connections: tuple[IdleConnection, ...], world: World, nodes: Nodes, proof: Proof) -> None:
    """One from a pod by ClusterIP, one from outside by NodePort: the node that was asked remembers each."""
    host = world.host_of("client")

    known = {
        f"{it.source} → {it.destination.name}": nodes.seconds_left(host, it.source_port) for it in idle_connections
    }

    proof.fact(f"{host.name} remembers {len(known)} connections", bool(known) and all(known.values()), known)


@pytest.mark.at_end
def test_used(idle_connections: tuple[IdleConnection, ...], proof: Proof) -> None:
    """Opened early in the run and silent since, each is answered by the endpoint that it was opened to."""
    waited = min(connection.idle for connection in idle_connections)
    answers = {
        f"{it.source} → {it.destination.name}": (it.answers(), it.destination.peers) for it in idle_connections
    }

    wrong = {pair: answer for pair, (answer, peers) in answers.items() if answer not in peers}
    proof.measured("silent for", waited, "s")
    proof.fact(f"{len(answers)} idle connections are answered", bool(answers) and not wrong, wrong or answers)


@pytest.mark.at_end
def test_kept(idle_connections: tuple[IdleConnection, ...], world: World, nodes: Nodes, proof: Proof) -> None:
    """The node that translates a new one of them will keep it for an hour of silence at least."""
    client = next(it for it in idle_connections if it.source == "client")
    client.answers()

    left = nodes.seconds_left_when_quiet(world.host_of("client"), client.source_port)

    proof.measured("left for an idle connection", left or 0.0, "s")
    proof.fact(f"an hour is left for client → {client.destination.name}", (left or 0) >= AN_HOUR, left)
