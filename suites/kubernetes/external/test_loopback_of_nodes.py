"""What listens on a node's 127.0.0.1 is not reached from its network, also where route_localnet is on.

    outside ─ to 127.9.9.9, sent to worker's card ─→ worker   every listener there has 127.0.0.0/8

kube-proxy in mode iptables switches route_localnet on, so that NodePorts answer on a node's localhost. From then
on a packet for 127.0.0.0/8 that a neighbour puts on the wire is no longer thrown away by the kernel, and only a
rule stands before what believes that localhost is private (CVE-2020-8558). That outside can reach the same
listener at the node's own address is seen in the same sweep; whether a packet came is what the listener knows.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fixtures.endpoints.inside import routed
from fixtures.faults.fault import fault
from fixtures.faults.rule_levers import iptables_rule
from fixtures.faults.site import Site
from fixtures.plugins.proof import Proof
from fixtures.probes.plan import Destination, address_of, at, every
from fixtures.probes.runner import Prober
from fixtures.probes.ways import tcp, udp
from fixtures.verdicts.expectation import all_of, blocked, reached
from fixtures.verdicts.judge import judge
from fixtures.world.world import PORT, World

LOOPBACK = "127.9.9.9"
"""Of 127.0.0.0/8, all of which is a machine's own; not the address that outside has itself."""


@fault(
    reddens={"kubernetes/external/loopback_of_nodes/not_from_its_network": "first packet came to"},
    spares=("kubernetes/external/node_port/every_node_from_everywhere",),
)
def loopback_let_in(site: Site) -> Iterator[None]:
    """The near node accepts packets for its loopback addresses, from whomever they come."""
    with iptables_rule(site, site.near, "filter", "INPUT", "-d", "127.0.0.0/8", "-j", "ACCEPT"):
        yield


@pytest.mark.claim("EXT-8")
@pytest.mark.requires("ipv4")  # IPv6 has no route_localnet: the kernel throws away what comes for ::1
def test_not_from_its_network(world: World, prober: Prober, proof: Proof) -> None:
    """TCP and UDP for 127.9.9.9, sent to a worker from its own network, come to no listener there."""
    outside, worker = world["outside"], world.host_of("client")
    inner = Destination(worker.name, LOOPBACK, frozenset({worker.identity}), worker)
    private = every([outside], [inner], [tcp(PORT), udp(PORT)])
    open_ = every([outside], [at(worker)], [tcp(PORT), udp(PORT)])

    way = ("via", str(address_of(worker)), "dev", "eth0", "table", "local")
    with routed(prober.conversations, outside, LOOPBACK, *way):
        seen = prober.sweep([*private, *open_])

    proof.concludes(judge(all_of(private, blocked()) | all_of(open_, reached()), seen))
