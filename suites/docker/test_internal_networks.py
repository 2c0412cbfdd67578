"""An internal network has no way out: neither packets nor questions to DNS leave it.

    red                ‹safe→red, its gateway tcp›
    ├ eth0 192.0.2.10 ── eth0 192.0.2.53 far, a DNS server   ‹far→safe tcp›
    ├ vault 198.51.100.0/24, internal
    │   ├ safe .11        ‹safe→far tcp›  ‹safe→clerk tcp›  default route: ‹default route›
    │   └ gold .12        ‹safe→gold tcp›
    └ open  203.0.113.0/24
        └ clerk .11       ‹clerk→far tcp›  ‹clerk→safe tcp›

It fails where a rule comes before Docker's, where the container is attached to another network as well, and with
DNS in a way of its own: a DNS server at a loopback address of the host is asked by Docker from the host, whatever
the container may reach.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

import pytest

from fixtures.endpoints.containers import NODE_CAPABILITIES, ContainerEndpoint
from fixtures.endpoints.together import both, together
from fixtures.engines.behaviour import Behaviour, expected
from fixtures.faults.fault import fault
from fixtures.faults.lab_levers import routed
from fixtures.lab.docker_host import DockerHost
from fixtures.lab.lab import Lab
from fixtures.lab.lifetime import remove
from fixtures.lab.name_server import NameServer
from fixtures.plugins.proof import Proof
from fixtures.probes.kernel import look, look_at
from fixtures.probes.plan import address_of, at, between, every, virtual
from fixtures.probes.runner import Prober
from fixtures.probes.ways import lookup, ping, tcp, udp
from fixtures.verdicts.expectation import all_of, blocked, never_sent, not_reached, reached
from fixtures.verdicts.judge import judge
from fixtures.world.ways_in import RESOLVER

pytestmark = [pytest.mark.claim("DKR-7"), pytest.mark.needs("bridge", "conntrack", "macvlan")]

HERE = "docker/internal_networks"
VAULT, OPEN, CABLE = map(IPv4Network, ("198.51.100.0/24", "203.0.113.0/24", "192.0.2.0/24"))
CELLAR = IPv4Network("10.77.0.0/24")
FAR, RED = IPv4Interface("192.0.2.53/24"), IPv4Interface("192.0.2.10/24")
OUTSIDE = IPv4Address("192.0.2.80")
WAYS = [tcp(8080), udp(8080), ping()]


@dataclass(frozen=True)
class Kept:
    """Two containers on an internal network, one on an open one, and a machine outside that answers DNS."""

    lab: Lab
    red: DockerHost
    names: NameServer
    far: ContainerEndpoint
    safe: ContainerEndpoint
    gold: ContainerEndpoint
    clerk: ContainerEndpoint


@pytest.fixture(scope="module")
def kept(lab: Lab) -> Kept:
    """A Docker host cabled to a machine that knows the way to both networks."""
    red, far = both(partial(lab.host, "red", options=[f"--dns={FAR.ip}"]), partial(lab.station, "far"))
    lab.cable(far.port("eth0", FAR), red.port("eth0", RED))
    far.configure(*(f"route add {subnet} via {RED.ip}" for subnet in (VAULT, OPEN)))
    red.network("vault", subnets=[VAULT], internal=True)
    red.network("open", subnets=[OPEN])
    red.network("cellar", "macvlan", subnets=[CELLAR], internal=True, options={"parent": "eth0"})
    names = lab.name_server(far, FAR.ip, {"clerk.example": OUTSIDE, "safe.example": OUTSIDE})
    safe, gold, clerk = together(
        partial(red.container, "safe", "vault", VAULT[11], capabilities=NODE_CAPABILITIES),
        partial(red.container, "gold", "vault", VAULT[12]),
        partial(red.container, "clerk", "open", OPEN[11]),
    )
    return Kept(lab, red, names, far.endpoint, safe, gold, clerk)


@dataclass(frozen=True)
class Stub:
    """A Docker host that asks a DNS server of its own at a loopback address, with a container of each kind."""

    host: DockerHost
    names: NameServer
    shut: ContainerEndpoint
    free: ContainerEndpoint


@pytest.fixture(scope="module")
def stub(lab: Lab) -> Stub:
    """As a desktop has it, where a stub resolver listens at 127.0.0.53."""
    blue, loopback = lab.host("blue"), IPv4Address("127.0.0.53")
    names = lab.name_server(blue, loopback, {"shut.example": OUTSIDE, "free.example": OUTSIDE})
    blue.as_root("sh", "-c", f"echo nameserver {loopback} > /etc/resolv.conf")
    blue.network("inner", internal=True)
    blue.network("outer")
    shut, free = together(
        partial(blue.container, "shut", "inner"),
        partial(blue.container, "free", "outer"),
    )
    return Stub(blue, names, shut, free)


@fault(
    site="kept",
    reddens={f"{HERE}/nothing_out_and_nothing_in": "safe → far", f"{HERE}/a_route_is_no_way_out": "safe → far"},
    spares=(f"{HERE}/names_outside_are_not_asked_for",),
)
def a_user_rule_lets_tcp_out(kept: Kept) -> Iterator[None]:
    """Rules in DOCKER-USER accept TCP to port 8080, and what comes back."""
    with ExitStack() as rules:
        for table, chain in (("filter", "DOCKER-USER"), ("raw", "PREROUTING")):
            for way in ("--dport", "--sport"):
                rules.enter_context(kept.red.rule(table, chain, "-p", "tcp", way, "8080", "-j", "ACCEPT"))
        yield


@fault(
    site="kept",
    reddens={f"{HERE}/the_host_itself": "safe → red"},
    spares=(f"{HERE}/nothing_out_and_nothing_in", f"{HERE}/names_outside_are_not_asked_for"),
)
def a_host_that_hears_nobody(kept: Kept) -> Iterator[None]:
    """The host's firewall takes in nothing that its internal network's containers begin."""
    new = ("-m", "conntrack", "--ctstate", "NEW")
    with kept.red.rule("filter", "INPUT", "-s", str(VAULT), *new, "-j", "DROP"):
        yield


@fault(
    site="kept",
    reddens={f"{HERE}/names_outside_are_not_asked_for": "safe → resolver"},
    spares=(f"{HERE}/names_from_the_hosts_loopback",),
)
def the_safe_one_is_let_out(kept: Kept) -> Iterator[None]:
    """The container of the internal network is attached to the open one as well."""
    network = kept.red.docker.networks.get("open")
    network.connect(kept.safe.container)
    yield
    network.disconnect(kept.safe.container)


@fault(
    site="kept",
    reddens={f"{HERE}/no_default_route": "it has one"},
    spares=(f"{HERE}/names_outside_are_not_asked_for",),
)
def a_default_route_is_added(kept: Kept) -> Iterator[None]:
    """The container of the internal network gets a default route (more)."""
    with routed(kept.lab, kept.safe, "default", "via", str(VAULT[12]), "metric", "5"):
        yield


@fault(
    site="kept",
    reddens={f"{HERE}/on_a_card": "addresses are given from"},
    spares=(f"{HERE}/no_default_route",),
)
def somebody_was_first(kept: Kept) -> Iterator[None]:
    """The network on the card has a container already, with the address that the next one would have got."""
    squatter = kept.red.container("squatter", "cellar")
    yield
    remove(kept.lab, squatter)


@fault(
    site="stub",
    reddens={f"{HERE}/names_from_the_hosts_loopback": "free → resolver"},
    spares=(f"{HERE}/names_outside_are_not_asked_for",),
)
def nobody_answers_at_the_loopback(stub: Stub) -> Iterator[None]:
    """The host's own DNS server gets no question."""
    with stub.host.rule("filter", "INPUT", "-i", "lo", "-p", "udp", "--dport", "53", "-j", "DROP"):
        yield


def test_nothing_out_and_nothing_in(lab: Lab, kept: Kept, lab_prober: Prober, proof: Proof) -> None:
    """Its containers reach each other, and nobody else; nobody else reaches them, who knows the way or not."""
    within = between([kept.safe, kept.gold], WAYS) + every([kept.clerk], [at(kept.far)], WAYS)
    within += every([kept.far], [at(lab.machines["red"].endpoint)], WAYS)
    within += every([lab.machines["red"].endpoint], [at(kept.clerk)], WAYS)
    across = every([kept.safe], [at(kept.far), at(kept.clerk)], WAYS)
    across += every([kept.clerk, kept.far], [at(kept.safe)], WAYS)

    seen = lab_prober.sweep([*within, *across])

    proof.concludes(judge(all_of(within, reached()) | all_of(across, blocked()), seen))


def test_the_host_itself(kept: Kept, lab_prober: Prober, proof: Proof) -> None:
    """Host and internal network are no strangers: each reaches the other, as long as there is a route to ask by.

    The network's gateway is an address of the host, where whatever listens on all addresses answers. The host's
    other addresses are reached as well where the container has a default route: until Docker 25.
    """
    without = expected(Behaviour.INTERNAL_WITHOUT_ROUTE, kept.red.version)
    proof.shows(str(without))
    host = kept.red.endpoint
    gateway, card = virtual("red, its gateway", VAULT[1], [host]), virtual("red, its card", RED.ip, [host])
    inward = every([host], [at(kept.safe), at(kept.gold)], WAYS) + every([kept.safe], [gateway], WAYS)
    further = every([kept.safe], [card], WAYS)

    seen = lab_prober.sweep([*inward, *further])

    promised = all_of(further, never_sent() if without else reached())
    proof.concludes(judge(all_of(inward, reached()) | promised, seen))


def test_no_default_route(lab: Lab, kept: Kept, proof: Proof) -> None:
    """Since Docker 25 there is no default route; before, there is one that leads to a host that drops."""
    without = expected(Behaviour.INTERNAL_WITHOUT_ROUTE, kept.red.version)
    proof.shows(str(without))

    routes = look(lab.conversations.with_(kept.safe)).routes

    default = [str(route) for route in routes if route.destination.prefixlen == 0]
    proof.draws({"default route": ", ".join(default) or "none"})
    proof.fact(f"it has {'none' if without else 'one'}", len(default) == (0 if without else 1), routes)


def test_a_route_is_no_way_out(lab: Lab, kept: Kept, lab_prober: Prober, proof: Proof) -> None:
    """Also a container that was given routes by way of its host does not get out."""
    within = every([kept.safe], [at(kept.gold)], WAYS) + every([kept.clerk], [at(kept.far)], WAYS)
    within += every([lab.machines["red"].endpoint], [at(kept.clerk)], WAYS)
    across = every([kept.safe], [at(kept.far), at(kept.clerk)], WAYS)
    host = ("via", str(VAULT[1]))
    with routed(lab, kept.safe, str(CABLE), *host), routed(lab, kept.safe, str(OPEN), *host):
        seen = lab_prober.sweep([*within, *across])

    proof.concludes(judge(all_of(within, reached()) | all_of(across, blocked()), seen))


def test_names_outside_are_not_asked_for(kept: Kept, lab_prober: Prober, proof: Proof) -> None:
    """Names of the network are answered; a question for another is never heard outside, as the open network's is.

        safe  ‹safe→resolver›
        clerk ‹clerk→resolver›

    Docker's own server passes them on from within the container, which has no way to the one outside.
    """
    known = every([kept.safe], [RESOLVER], [lookup("gold")])
    asked = every([kept.clerk], [RESOLVER], [lookup("clerk.example")])
    kept_in = every([kept.safe], [RESOLVER], [lookup("safe.example")])
    before = len(kept.names.asked())

    seen = lab_prober.sweep([*known, *asked, *kept_in])

    found = all_of(known, reached(answers=[str(VAULT[12])])) | all_of(asked, reached(answers=[str(OUTSIDE)]))
    proof.concludes(judge(found | all_of(kept_in, not_reached()), seen))
    heard = {one.name for one in kept.names.asked()[before:]}
    proof.fact("outside heard one of the two", heard == {"clerk.example"}, heard)


def test_names_from_the_hosts_loopback(stub: Stub, lab_prober: Prober, proof: Proof) -> None:
    """A DNS server at the host's loopback answers an open network; an internal one only where Docker leaks.

        blue lo 127.0.0.53, a DNS server
        ├ inner, internal: shut ‹shut→resolver›
        └ outer:           free ‹free→resolver›

    Docker's own server asks such a server from the host, where the container's network does not matter.
    """
    kept_in = expected(Behaviour.INTERNAL_DNS_KEPT_IN, stub.host.version)
    proof.shows(str(kept_in))
    answered = reached(answers=[str(OUTSIDE)])
    open_one = every([stub.free], [RESOLVER], [lookup("free.example")])
    internal = every([stub.shut], [RESOLVER], [lookup("shut.example")])
    within = every([stub.shut], [RESOLVER], [lookup("shut")])
    before = len(stub.names.asked())

    seen = lab_prober.sweep([*open_one, *internal, *within])

    promised = all_of(internal, not_reached() if kept_in else answered)
    proof.concludes(judge(promised | all_of(open_one, answered) | all_of(within, reached()), seen))
    heard = {one.name for one in stub.names.asked()[before:]}
    all_names = {"free.example", "shut.example"}
    proof.fact("who was heard at the host", heard == ({"free.example"} if kept_in else all_names), heard)


def test_on_a_card(kept: Kept, lab_prober: Prober, proof: Proof) -> None:
    """On an internal macvlan network nobody has a route out; before 28 an address is set aside for a gateway.

        red ── eth0 ─┬ mole ‹mole›  ‹mole→vole tcp›
                     └ vole ‹vole›
        cellar 10.77.0.0/24, internal, macvlan on eth0

    It fails where the first container does not get the first address, and where there is a way beyond the subnet.
    """
    without = expected(Behaviour.INTERNAL_WITHOUT_GATEWAY, kept.red.version)
    mole, vole = (kept.red.container(name, "cellar") for name in ("mole", "vole"))
    cells = between([mole, vole], WAYS)
    seen, kernels = lab_prober.sweep(cells), look_at(kept.lab.conversations, [mole, vole])
    remove(kept.lab, mole, vole)

    proof.shows(str(without))
    proof.draws({one.name: address_of(one) for one in (mole, vole)})
    proof.concludes(judge(all_of(cells, reached()), seen))
    routes = [str(route.destination) for kernel in kernels.values() for route in kernel.routes]
    proof.fact("they have no route but to the network itself", routes == [str(CELLAR)] * 2, routes)
    first = 1 if without else 2
    got = [address_of(one) for one in (mole, vole)]
    proof.fact(f"addresses are given from {CELLAR[first]} on", got == [CELLAR[first], CELLAR[first + 1]], got)
