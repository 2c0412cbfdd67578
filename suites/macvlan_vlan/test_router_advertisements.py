"""A container with IPv4 alone takes no IPv6 address from a router that speaks on its card's segment.

    red, a Docker host                           switch
      one 192.0.2.11 ┬ macvlan, IPv4 alone       │
      two 192.0.2.12 ┴ card0 ═══════════ to-red ─┼─ to-peer ══ peer    takes 2001:db8:7::/64: ‹peer›
                                                 └─ to-gate ══ gate    "I am a router, take 2001:db8:7::/64"

A container of a macvlan network hears everything on the segment. Where its kernel believes routers, it has an
address and a way out that nobody gave it and that no firewall knows. The peer, a plain machine, shows that the
router was heard.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv6Network

import pytest

from clusters.waiting import TIMEOUTS, poll
from fixtures.endpoints.endpoint import Endpoint
from fixtures.faults.fault import fault
from fixtures.lab.lab import Lab
from fixtures.lab.machine import Machine
from fixtures.lab.topologies.segment import Segment, segment
from fixtures.plugins.proof import Proof
from fixtures.probes.kernel import addresses_everywhere, default_routes
from fixtures.verdicts.observation import IPAddress

pytestmark = [pytest.mark.claim("MVL-1"), pytest.mark.needs("macvlan", "ipv6")]

PREFIX = IPv6Network("2001:db8:7::/64")


@dataclass(frozen=True)
class Spoken:
    """The segment, and a machine that says it is a router."""

    lab: Lab
    segment: Segment
    gate: Machine

    def taken(self, place: Endpoint) -> frozenset[IPAddress]:
        """The addresses of the router's prefix that a place has."""
        (found,) = addresses_everywhere(self.lab.conversations, [place]).values()
        return frozenset(address for address in found if address in PREFIX)


@pytest.fixture(scope="module")
def spoken(lab: Lab) -> Spoken:
    """The segment with one machine more."""
    made, gate = segment(lab), lab.station("gate")
    lab.cable(gate.port("eth0"), made.switch.access("to-gate"))
    gate.configure("link set dev eth0 up")
    return Spoken(lab, made, gate)


@fault(site="spoken", reddens={"macvlan_vlan/router_advertisements/not_believed": "one has no address"})
def ipv6_switched_on(spoken: Spoken) -> Iterator[None]:
    """Somebody has switched IPv6 on for the container's link, and left it to believe routers."""
    red, one = spoken.segment.red, spoken.segment.one
    inside = ("nsenter", f"--net=/proc/{one.pid}/ns/net", "sysctl", "-qw")
    red.as_root(*inside, "net.ipv6.conf.eth0.disable_ipv6=0")
    yield
    red.as_root(*inside, "net.ipv6.conf.eth0.disable_ipv6=1")


def test_not_believed(spoken: Spoken, proof: Proof) -> None:
    """A router advertises a prefix: the peer takes an address of it, the containers none, and no way out by it."""
    peer, containers = spoken.segment.peer.endpoint, spoken.segment.children

    def heard() -> bool:
        spoken.gate.run("python3", "-m", "agent", "advertise", "eth0", str(PREFIX))
        return bool(spoken.taken(peer))

    poll(heard, until=bool, what="peer to take an address of the router's prefix", within=TIMEOUTS.converge)

    proof.draws({"peer": ", ".join(map(str, spoken.taken(peer)))})
    for container in containers:
        found = spoken.taken(container)
        proof.fact(f"{container.name} has no address of the router's", not found, found or "none")
        routes = [words for family, words in default_routes(spoken.lab.conversations, container) if family == 6]
        proof.fact(f"{container.name} has no way out over IPv6", not routes, routes or "none")
