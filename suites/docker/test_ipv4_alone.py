"""A container on a network with IPv4 alone has the addresses and routes that Docker gave it, and none of IPv6.

    red
    ├ plain 198.51.100.0/24 ─┬ one      .11   ‹one›
    │                        ├ believer .12   has IPv6 switched on, takes 2001:db8:7::/64: ‹believer›
    │                        └ red            "I am a router, take 2001:db8:7::/64"
    └ docker0 ──────────────── two            ‹two›

Where IPv6 is left on, the kernel gives the link an address by itself, and believes whoever on the bridge says
that it is a router: the container has a way out that nobody gave it and that no firewall of Docker's knows
(CVE-2024-32473). A container that was started with IPv6 on shows that the router was heard.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Network, IPv6Network, ip_address

import pytest

from clusters.waiting import TIMEOUTS, poll
from fixtures.endpoints.containers import ContainerEndpoint
from fixtures.endpoints.together import together
from fixtures.engines.behaviour import Behaviour, expected
from fixtures.faults.fault import fault
from fixtures.lab.docker_host import DockerHost
from fixtures.lab.lab import Lab
from fixtures.plugins.proof import Proof
from fixtures.probes.kernel import addresses_everywhere, default_routes, look
from fixtures.verdicts.observation import IPAddress

pytestmark = [pytest.mark.claim("DKR-10"), pytest.mark.needs("bridge", "ipv6")]

HERE = "docker/ipv4_alone"
PLAIN = IPv4Network("198.51.100.0/24")
PREFIX = IPv6Network("2001:db8:7::/64")
WITH_IPV6 = {f"net.ipv6.conf.{which}.disable_ipv6": "0" for which in ("all", "default")}
"""Docker switches IPv6 off in a namespace that it gives no address of it."""


@dataclass(frozen=True)
class Plain:
    """A Docker host, a container on a network of its own and one on docker0, and one that believes routers."""

    lab: Lab
    red: DockerHost
    one: ContainerEndpoint
    two: ContainerEndpoint
    believer: ContainerEndpoint

    @property
    def given(self) -> Sequence[tuple[ContainerEndpoint, list[str]]]:
        """The containers with IPv4 alone, each with the routes that Docker gives it."""
        docker0 = self.red.docker0
        return [
            (self.one, [f"0.0.0.0/0 via {PLAIN[1]} dev eth0", f"{PLAIN} dev eth0"]),
            (self.two, [f"0.0.0.0/0 via {docker0.ip} dev eth0", f"{docker0.network} dev eth0"]),
        ]

    def routes(self, container: ContainerEndpoint) -> list[str]:
        """All routes of a container, in both families, but for IPv6's own to its link and to groups."""
        conversation = self.lab.conversations.with_(container)
        return [str(route) for family in (4, 6) for route in look(conversation, family).routes]

    def link_local(self, container: ContainerEndpoint) -> list[IPAddress]:
        """The addresses that the kernel has given a container's eth0 by itself."""
        run = self.lab.conversations.with_(container).run
        links = json.loads(run(["ip", "-6", "-j", "address", "show", "dev", "eth0", "scope", "link"]).out or "[]")
        return [ip_address(it["local"]) for link in links for it in link.get("addr_info", []) if it]

    def addresses(self) -> Mapping[str, frozenset[IPAddress]]:
        """What each container has in both families, without loopback and link-local addresses."""
        return addresses_everywhere(self.lab.conversations, [self.one, self.two, self.believer])

    def advertise(self) -> None:
        """The host says once on either bridge that it is a router."""
        plain = self.red.docker.networks.get("plain")
        for bridge in (f"br-{str(plain.id)[:12]}", "docker0"):
            self.red.run("python3", "-m", "agent", "advertise", bridge, str(PREFIX), check=False)

    @contextmanager
    def forgotten_afterwards(self) -> Iterator[None]:
        """Who heard the router has nothing of it any more once a block is over: its link was without IPv6."""
        try:
            yield
        finally:
            for without in (1, 0):
                self.switch(self.believer, without=bool(without))

    def switch(self, container: ContainerEndpoint, *, without: bool) -> None:
        """Have a container's eth0 without IPv6, or with it."""
        inside = ("nsenter", f"--net=/proc/{container.pid}/ns/net", "sysctl", "-qw")
        self.red.as_root(*inside, f"net.ipv6.conf.eth0.disable_ipv6={int(without)}")


@pytest.fixture(scope="module")
def plain(lab: Lab) -> Plain:
    """A host out of a machine that has IPv6 on all its links, and its containers."""
    red = lab.docker_on(lab.station("red", sysctls=WITH_IPV6))
    red.network("plain", subnets=[PLAIN])
    one, two, believer = together(
        partial(red.container, "one", "plain", PLAIN[11]),
        partial(red.container, "two"),
        partial(red.container, "believer", "plain", PLAIN[12], sysctls=WITH_IPV6),
    )
    return Plain(lab, red, one, two, believer)


@fault(site="plain", reddens={f"{HERE}/as_given": "one has link-local"}, spares=(f"{HERE}/routes_as_given",))
def the_contrary_in_ipv4_alone(plain: Plain) -> Iterator[None]:
    """Somebody has switched IPv6 on for a container's link where Docker leaves it off, and the other way round."""
    left_on = bool(expected(Behaviour.IPV6_LEFT_ON, plain.red.version))
    plain.switch(plain.one, without=left_on)
    yield
    plain.switch(plain.one, without=not left_on)


@fault(
    site="plain",
    reddens={f"{HERE}/no_router_believed": "two has no address of the router's", f"{HERE}/as_given": "two has"},
    spares=(f"{HERE}/routes_as_given",),
)
def ipv6_given_to_one(plain: Plain) -> Iterator[None]:
    """Somebody has switched IPv6 on for a container's link, and left it to believe routers."""
    plain.switch(plain.two, without=False)
    yield
    plain.switch(plain.two, without=True)


@fault(
    site="plain",
    reddens={f"{HERE}/routes_as_given": "one has the routes that Docker gave it"},
    spares=(f"{HERE}/as_given",),
)
def one_way_out_more(plain: Plain) -> Iterator[None]:
    """Somebody has laid a second default route in a container."""
    route = ["default", "via", str(PLAIN[12]), "dev", "eth0", "metric", "77"]
    inside = ("nsenter", f"--net=/proc/{plain.one.pid}/ns/net", "ip", "route")
    plain.red.as_root(*inside, "add", *route)
    yield
    plain.red.as_root(*inside, "del", *route)


def test_as_given(plain: Plain, proof: Proof) -> None:
    """Each has the one address that Docker tells, and a link-local one as the release leaves it."""
    left_on = expected(Behaviour.IPV6_LEFT_ON, plain.red.version)
    proof.shows(str(left_on))

    has = plain.addresses()

    for container, _ in plain.given:
        own, by_itself = has[container.name], plain.link_local(container)
        proof.draws({container.name: ", ".join(map(str, (*own, *by_itself)))})
        told = own == set(container.addresses)
        proof.fact(f"{container.name} has the address that Docker tells and no other", told, sorted(map(str, own)))
        word = "one" if left_on else "none"
        proof.fact(
            f"{container.name} has link-local addresses as the release leaves them: {word}",
            bool(by_itself) is bool(left_on),
            by_itself or "none",
        )


def test_routes_as_given(plain: Plain, proof: Proof) -> None:
    """Each has a route to its own subnet and a default route of IPv4 by its bridge, and no other in any family."""
    seen = {container.name: plain.routes(container) for container, _ in plain.given}

    for container, given in plain.given:
        routes = seen[container.name]
        proof.fact(f"{container.name} has the routes that Docker gave it and no other", routes == given, routes)


def test_no_router_believed(plain: Plain, proof: Proof) -> None:
    """While a router speaks on their bridges who has IPv6 takes its address, and they neither that nor a route."""

    def heard() -> frozenset[IPAddress]:
        plain.advertise()
        return frozenset(it for it in plain.addresses()["believer"] if it in PREFIX)

    with plain.forgotten_afterwards():
        taken = poll(heard, until=bool, what="believer to take the router's prefix", within=TIMEOUTS.converge)
        has = plain.addresses()
        routes = {one.name: default_routes(plain.lab.conversations, one) for one, _ in plain.given}
    ways_out = {name: [words for family, words in found if family == 6] for name, found in routes.items()}

    proof.draws({"believer": ", ".join(map(str, taken))})
    for name, ways in ways_out.items():
        of_the_router = [it for it in has[name] if it in PREFIX]
        proof.fact(f"{name} has no address of the router's", not of_the_router, of_the_router or "none")
        proof.fact(f"{name} has no way out over IPv6", not ways, ways or "none")
