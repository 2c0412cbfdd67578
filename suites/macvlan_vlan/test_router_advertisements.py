"""A container with IPv4 alone takes no IPv6 address from a router that speaks on its card's segment.

    red, a Docker host                           switch
      one 192.0.2.11 ┬ macvlan, IPv4 alone       │
      two 192.0.2.12 ┴ card0 ═══════════ to-red ─┼─ to-plain ══ plain   takes 2001:db8:7::/64: ‹plain›
                                                 └─ to-gate  ══ gate    "I am a router, take 2001:db8:7::/64"

A container of a macvlan network hears everything on the segment. Where its kernel believes routers, it has an
address and a way out that nobody gave it and that no firewall knows. A plain machine with IPv6 shows that the
router was heard.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv6Network

import pytest

from clusters.waiting import TIMEOUTS, poll
from fixtures.endpoints.endpoint import Endpoint
from fixtures.faults.fault import fault
from fixtures.faults.lab_levers import dropped
from fixtures.lab.lab import Lab
from fixtures.lab.machine import Machine
from fixtures.lab.topologies.segment import Segment, segment
from fixtures.plugins.proof import Proof
from fixtures.probes.kernel import addresses_everywhere, default_routes
from fixtures.probes.plan import at, every
from fixtures.probes.runner import Prober
from fixtures.probes.ways import ping, tcp
from fixtures.verdicts.expectation import all_of, reached
from fixtures.verdicts.judge import judge
from fixtures.verdicts.observation import IPAddress

pytestmark = [pytest.mark.claim("MVL-1"), pytest.mark.needs("macvlan", "ipv6")]

HERE = "macvlan_vlan/router_advertisements"
PREFIX = IPv6Network("2001:db8:7::/64")
WITH_IPV6 = {f"net.ipv6.conf.{which}.disable_ipv6": "0" for which in ("all", "default")}
"""Docker switches IPv6 off for a container that it gives no address of it."""


@dataclass(frozen=True)
class Spoken:
    """The segment, a machine that says it is a router, and a plain one that believes it."""

    lab: Lab
    segment: Segment
    gate: Machine
    plain: Machine

    def advertise(self) -> None:
        """The gate says once that it is a router; in vain until its kernel has made sure of its address."""
        self.gate.run("python3", "-m", "agent", "advertise", "eth0", str(PREFIX), check=False)

    def taken(self, place: Endpoint) -> frozenset[IPAddress]:
        """The addresses of the router's prefix that a place has."""
        (found,) = addresses_everywhere(self.lab.conversations, [place]).values()
        return frozenset(address for address in found if address in PREFIX)

    def ways_out(self, place: Endpoint) -> list[str]:
        """The default routes over IPv6 that a place has."""
        return [words for family, words in default_routes(self.lab.conversations, place) if family == 6]

    @contextmanager
    def forgotten_afterwards(self) -> Iterator[None]:
        """Who heard the router has nothing of it any more once a block is over: its link was down."""
        try:
            yield
        finally:
            for machine in (self.gate, self.plain):
                machine.configure("link set dev eth0 down", "link set dev eth0 up")


@pytest.fixture(scope="module")
def spoken(lab: Lab) -> Spoken:
    """The segment with two machines more."""
    made = segment(lab)
    gate, plain = lab.stations("gate", "plain", sysctls=WITH_IPV6)
    for machine in (gate, plain):
        lab.cable(machine.port("eth0"), made.switch.access(f"to-{machine.name}"))
        machine.configure("link set dev eth0 up")
    return Spoken(lab, made, gate, plain)


@fault(
    site="spoken",
    reddens={f"{HERE}/not_believed": "one has no address"},
    spares=(f"{HERE}/ipv4_as_before",),
)
def ipv6_switched_on(spoken: Spoken) -> Iterator[None]:
    """Somebody has switched IPv6 on for the container's link, and left it to believe routers."""
    red, one = spoken.segment.red, spoken.segment.one
    inside = ("nsenter", f"--net=/proc/{one.pid}/ns/net", "sysctl", "-qw")
    red.as_root(*inside, "net.ipv6.conf.eth0.disable_ipv6=0")
    yield
    red.as_root(*inside, "net.ipv6.conf.eth0.disable_ipv6=1")


@fault(
    site="spoken",
    reddens={f"{HERE}/ipv4_as_before": "peer → one"},
    spares=(f"{HERE}/not_believed",),
)
def tcp_dropped(spoken: Spoken) -> Iterator[None]:
    """The switch drops TCP over IPv4."""
    with dropped(spoken.segment.switch, "ip protocol tcp"):
        yield


def test_ipv4_as_before(spoken: Spoken, lab_prober: Prober, proof: Proof) -> None:
    """While a router speaks on the segment, peer and containers reach each other over IPv4 as without it."""
    cells = every(
        [spoken.segment.peer.endpoint], [at(one) for one in spoken.segment.children], [tcp(8080), ping()]
    )
    with spoken.forgotten_afterwards():
        spoken.advertise()
        seen = lab_prober.sweep(cells)

    proof.concludes(judge(all_of(cells, reached()), seen))


def test_not_believed(spoken: Spoken, proof: Proof) -> None:
    """A plain machine takes an address of a router's prefix, the containers neither that nor a route."""
    plain = spoken.plain.endpoint

    def heard() -> bool:
        spoken.advertise()
        return bool(spoken.taken(plain))

    with spoken.forgotten_afterwards():
        poll(heard, until=bool, what="plain to take an address of the router's prefix", within=TIMEOUTS.converge)

        taken = {place.name: spoken.taken(place) for place in (plain, *spoken.segment.children)}
        ways_out = {place.name: spoken.ways_out(place) for place in spoken.segment.children}

    proof.draws({"plain": ", ".join(map(str, taken["plain"]))})
    for name, routes in ways_out.items():
        proof.fact(f"{name} has no address of the router's", not taken[name], taken[name] or "none")
        proof.fact(f"{name} has no way out over IPv6", not routes, routes or "none")
