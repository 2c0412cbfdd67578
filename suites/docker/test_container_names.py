"""On a user-defined bridge containers are found by name and alias; on the default bridge they are not.

    names 192.0.2.53 ── eth0 ───── eth0 192.0.2.10 ── red
      knows outside.example         ├ shop 198.51.100.0/24, asks 127.0.0.11
                                    │   ├ client .10 ‹client→web› ‹client→resolver›
                                    │   └ web    .11, also called www
                                    ├ depot 203.0.113.0/24, asks 127.0.0.11
                                    │   └ clerk .10 ‹clerk→resolver›
                                    └ docker0 172.17.0.0/16, asks 192.0.2.53
                                        ├ plain ‹plain→other› ‹plain→resolver›
                                        └ other

Docker's own DNS server answers within each container at 127.0.0.11: by itself for names of the container's
networks, and for all others it asks the one outside. It fails where its rules in the container's namespace are
lost (an `iptables -F` within will do), after a restart that forgets them, where a name leads to who had it before,
and where a name that does not exist is answered by silence: a resolver waits five seconds for that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

import pytest
from docker.models.networks import Network

from fixtures.endpoints.containers import NODE_CAPABILITIES, ContainerEndpoint
from fixtures.endpoints.together import both, together
from fixtures.faults.fault import fault
from fixtures.lab.docker_host import DockerHost
from fixtures.lab.lab import Lab
from fixtures.lab.lifetime import remove, restart
from fixtures.lab.machine import Machine
from fixtures.lab.name_server import NameServer
from fixtures.plugins.proof import Proof
from fixtures.probes.plan import Destination, at, every, foreign
from fixtures.probes.runner import Prober
from fixtures.probes.ways import lookup, tcp
from fixtures.verdicts.expectation import all_of, no_such_name, reached, refused
from fixtures.verdicts.judge import judge
from fixtures.world.ways_in import RESOLVER

pytestmark = [pytest.mark.claim("DKR-6"), pytest.mark.needs("bridge", "conntrack")]

SHOP, DEPOT = IPv4Network("198.51.100.0/24"), IPv4Network("203.0.113.0/24")
NAMES, RED = IPv4Interface("192.0.2.53/24"), IPv4Interface("192.0.2.10/24")
OUTSIDE = IPv4Address("192.0.2.80")
EMBEDDED = foreign("127.0.0.11", "127.0.0.11")
HERE = "docker/container_names"
AT_ONCE = 0.9
"""Seconds: far below the five that a resolver waits for an answer that was lost."""


@dataclass(frozen=True)
class Shop:
    """A Docker host with networks of its user's making and the default one, and a DNS server outside."""

    lab: Lab
    red: DockerHost
    network: Network
    station: Machine
    names: NameServer
    client: ContainerEndpoint
    web: ContainerEndpoint
    clerk: ContainerEndpoint
    plain: ContainerEndpoint
    other: ContainerEndpoint


@pytest.fixture(scope="module")
def shop(lab: Lab) -> Shop:
    """Two containers on one network, one on another, two on the default bridge."""
    red, station = both(partial(lab.host, "red", options=[f"--dns={NAMES.ip}"]), partial(lab.station, "names"))
    lab.cable(station.port("eth0", NAMES), red.port("eth0", RED))
    network = red.network("shop", subnets=[SHOP])
    red.network("depot", subnets=[DEPOT])
    names = lab.name_server(station, NAMES.ip, {"outside.example": OUTSIDE})
    containers = together(
        partial(red.container, "client", "shop", SHOP[10], capabilities=NODE_CAPABILITIES),
        partial(red.container, "web", "shop", SHOP[11], aliases=["www"]),
        partial(red.container, "clerk", "depot", DEPOT[10]),
        partial(red.container, "plain"),
        partial(red.container, "other"),
    )
    return Shop(lab, red, network, station, names, *containers)


@fault(
    site="shop",
    reddens={f"{HERE}/by_name_and_by_alias": "client → web", f"{HERE}/names_of_others": "client → resolver"},
    spares=(f"{HERE}/only_within_the_network", f"{HERE}/none_on_the_default_bridge"),
)
def a_rule_before_dockers(shop: Shop) -> Iterator[None]:
    """The client has a firewall of its own, whose first rule keeps packets for 127.0.0.11 from Docker's."""
    run = shop.lab.conversations.with_(shop.client).run
    rule = ["OUTPUT", "-d", "127.0.0.11", "-j", "RETURN"]
    run(["iptables", "-t", "nat", "-I", *rule])
    yield
    run(["iptables", "-t", "nat", "-D", *rule])


@fault(
    site="shop",
    reddens={
        f"{HERE}/by_name_and_by_alias": "client → web",
        f"{HERE}/after_a_restart": "client → web",
        f"{HERE}/a_name_follows_its_container": "client → resolver",
    },
    spares=(f"{HERE}/names_of_others", f"{HERE}/only_within_the_network"),
)
def another_has_the_same_names(shop: Shop) -> Iterator[None]:
    """A second container of the network has the names of the first for aliases."""
    squatter = shop.red.container("squatter", "shop", SHOP[99], aliases=["web", "www", "booth"])
    yield
    remove(shop.lab, squatter)


@fault(
    site="shop",
    reddens={f"{HERE}/only_within_the_network": "clerk → resolver"},
    spares=(f"{HERE}/by_name_and_by_alias",),
)
def the_clerk_joins_the_shop(shop: Shop) -> Iterator[None]:
    """The container that is to find no names of the network is attached to it as well."""
    shop.network.connect(shop.clerk.container)
    yield
    shop.network.disconnect(shop.clerk.container)


@fault(
    site="shop",
    reddens={
        f"{HERE}/names_of_others": "client → resolver",
        f"{HERE}/only_within_the_network": "clerk → resolver",
        f"{HERE}/none_on_the_default_bridge": "plain → other",
    },
    spares=(f"{HERE}/by_name_and_by_alias",),
)
def nobody_answers_outside(shop: Shop) -> Iterator[None]:
    """The DNS server outside gets no question."""
    shop.station.run("iptables", "-I", "INPUT", "-p", "udp", "--dport", "53", "-j", "DROP")
    yield
    shop.station.run("iptables", "-D", "INPUT", "-p", "udp", "--dport", "53", "-j", "DROP")


def called(name: str, who: ContainerEndpoint) -> Destination:
    """That container by a name, which whoever asks has to resolve."""
    return replace(at(who), address=name)


def test_by_name_and_by_alias(shop: Shop, lab_prober: Prober, proof: Proof) -> None:
    """The neighbour's name and alias have its address, its address has its name, and no one outside is asked."""
    names = every([shop.client], [RESOLVER], [lookup("web"), lookup("www")])
    backwards = every([shop.client], [RESOLVER], [lookup(str(SHOP[11]), "PTR")])
    there = every([shop.client], [called("web", shop.web), called("www", shop.web)], [tcp(8080)])
    before = len(shop.names.asked())

    seen = lab_prober.sweep([*names, *backwards, *there])

    found, named = reached(answers=[str(SHOP[11])], within=AT_ONCE), reached(answers=["web.shop."], within=AT_ONCE)
    proof.concludes(judge(all_of(names, found) | all_of(backwards, named) | all_of(there, reached()), seen))
    outside = shop.names.asked()[before:]
    proof.fact("nobody outside was asked for them", not outside, ", ".join(map(str, outside)) or "no question")


def test_names_of_others(shop: Shop, lab_prober: Prober, proof: Proof) -> None:
    """A name outside is asked of the server outside; one that nobody has is denied at once."""
    known = every([shop.client], [RESOLVER], [lookup("outside.example")])
    unknown = every([shop.client], [RESOLVER], [lookup("missing.example"), lookup("missing")])

    seen = lab_prober.sweep([*known, *unknown])

    found = reached(answers=[str(OUTSIDE)], within=AT_ONCE)
    proof.concludes(judge(all_of(known, found) | all_of(unknown, no_such_name(within=AT_ONCE)), seen))
    asked = shop.names.asked_for("outside.example", "missing.example")
    proof.fact("it was asked, by the host's address", {one.asker for one in asked} == {RED.ip}, asked[-1])


def test_only_within_the_network(shop: Shop, lab_prober: Prober, proof: Proof) -> None:
    """A container of another network does not find these names, though it finds its own and those outside."""
    strange = every([shop.clerk], [RESOLVER], [lookup("web"), lookup("www"), lookup("client")])
    own = every([shop.clerk], [RESOLVER], [lookup("clerk")])
    outside = every([shop.clerk], [RESOLVER], [lookup("outside.example")])

    seen = lab_prober.sweep([*strange, *own, *outside])

    expected = all_of(strange, no_such_name(within=AT_ONCE)) | all_of(own, reached(answers=[str(DEPOT[10])]))
    proof.concludes(judge(expected | all_of(outside, reached(answers=[str(OUTSIDE)])), seen))


def test_none_on_the_default_bridge(shop: Shop, lab_prober: Prober, proof: Proof) -> None:
    """The neighbour is reached by address and not by name; 127.0.0.11 is refused, the server outside answers."""
    by_address = every([shop.plain], [at(shop.other)], [tcp(8080)])
    by_name = every([shop.plain], [called("other", shop.other)], [tcp(8080)])
    names = every([shop.plain], [RESOLVER], [lookup("other"), lookup("web"), lookup("plain")])
    outside = every([shop.plain], [RESOLVER], [lookup("outside.example")])
    embedded = every([shop.plain], [EMBEDDED], [lookup("other")])

    seen = lab_prober.sweep([*by_address, *by_name, *names, *outside, *embedded])

    expected = all_of([*by_name, *names], no_such_name()) | all_of(embedded, refused(within=AT_ONCE))
    there = all_of(by_address, reached()) | all_of(outside, reached(answers=[str(OUTSIDE)]))
    proof.concludes(judge(expected | there, seen))


def test_after_a_restart(lab: Lab, shop: Shop, lab_prober: Prober, proof: Proof) -> None:
    """After `docker restart` of both they find each other again, and what is outside."""
    client, web = restart(lab, shop.client), restart(lab, shop.web)
    names = every([client], [RESOLVER], [lookup("web"), lookup("www")])
    back, outside = (
        every([web], [RESOLVER], [lookup("client")]),
        every([web], [RESOLVER], [lookup("outside.example")]),
    )
    there = every([client], [called("www", web)], [tcp(8080)])

    seen = lab_prober.sweep([*names, *back, *outside, *there])

    expected = all_of(names, reached(answers=[str(SHOP[11])])) | all_of(back, reached(answers=[str(SHOP[10])]))
    expected |= all_of(outside, reached(answers=[str(OUTSIDE)])) | all_of(there, reached())
    proof.concludes(judge(expected, seen))


def test_a_name_follows_its_container(lab: Lab, shop: Shop, lab_prober: Prober, proof: Proof) -> None:
    """Off the network a container has no name at once; back at another address, that is what its names mean."""
    stall = shop.red.container("stall", "shop", SHOP[21], aliases=["booth"])
    cells = every([shop.client], [RESOLVER], [lookup("stall"), lookup("booth")])
    shop.network.disconnect("stall")
    without = lab_prober.sweep(cells)
    shop.network.connect("stall", ipv4_address=str(SHOP[22]), aliases=["booth"])
    moved = lab_prober.sweep(cells)
    there = lab_prober.sweep(every([shop.client], [called("booth", stall)], [tcp(8080)]))
    remove(lab, stall)
    gone = lab_prober.sweep(cells)

    proof.concludes(
        judge(all_of(cells, no_such_name(within=AT_ONCE)), without),
        judge(all_of(cells, reached(answers=[str(SHOP[22])])), moved),
        judge(all_of([one.cell for one in there], reached()), there),
        judge(all_of(cells, no_such_name(within=AT_ONCE)), gone),
    )
