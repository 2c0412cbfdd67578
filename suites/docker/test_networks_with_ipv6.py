"""A network with IPv6 has addresses, names and neighbours in both families, and is as apart from others in both.

    red
    ├ six   198.51.100.0/24, 2001:db8:6::/64
    │   ├ lilac 2001:db8:6::11   ‹lilac→olive tcp›  ‹lilac→resolver›
    │   └ olive 2001:db8:6::12   ‹olive→lilac tcp›
    ├ seven 203.0.113.0/24, 2001:db8:7::/64
    │   └ violet 2001:db8:7::11   ‹lilac→violet tcp›
    └ a     192.0.2.0/24, IPv4 alone
        └ rose   on six as well; default routes: ‹default routes›

It fails where the kernel has IPv6 switched off for new links. And before Docker 27, whose rules are for IPv4
alone, the networks are not apart: their host forwards IPv6, and nothing drops what goes from one to another. A
container on several networks goes out by that with both families, whatever their names, where no priority says
otherwise (moby#51999).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Network, IPv6Network, ip_address

import pytest

from fixtures.endpoints.containers import NODE_CAPABILITIES, ContainerEndpoint
from fixtures.endpoints.together import together
from fixtures.engines.behaviour import Behaviour, expected
from fixtures.faults.fault import fault
from fixtures.lab.docker_host import DockerHost
from fixtures.lab.lab import Lab
from fixtures.lab.lifetime import remove
from fixtures.plugins.proof import Proof
from fixtures.probes.kernel import look
from fixtures.probes.plan import address_of, at, between, every
from fixtures.probes.promises import without_nat
from fixtures.probes.runner import Prober
from fixtures.probes.ways import lookup, ping, tcp, udp
from fixtures.verdicts.expectation import all_of, blocked, reached
from fixtures.verdicts.judge import judge
from fixtures.world.ways_in import RESOLVER

pytestmark = [pytest.mark.claim("DKR-7"), pytest.mark.needs("bridge", "ipv6", "conntrack")]

HERE = "docker/networks_with_ipv6"
FOUR, OTHER_FOUR = IPv4Network("198.51.100.0/24"), IPv4Network("203.0.113.0/24")
ALONE = IPv4Network("192.0.2.0/24")
SIX, SEVEN = IPv6Network("2001:db8:6::/64"), IPv6Network("2001:db8:7::/64")
WAYS = [tcp(8080), udp(8080), ping()]


@dataclass(frozen=True)
class Dual:
    """Two containers on one network with IPv6, one on another, and one on that and on a network without."""

    lab: Lab
    red: DockerHost
    lilac: ContainerEndpoint
    olive: ContainerEndpoint
    violet: ContainerEndpoint
    rose: ContainerEndpoint


@pytest.fixture(scope="module")
def dual(lab: Lab) -> Dual:
    """Both networks on one Docker host, which is told nothing else about IPv6."""
    red = lab.host("red")
    red.network("six", subnets=[FOUR, SIX], enable_ipv6=True)
    red.network("seven", subnets=[OTHER_FOUR, SEVEN], enable_ipv6=True)
    red.network("a", subnets=[ALONE])
    lilac, olive, violet, rose = together(
        partial(red.container, "lilac", "six", SIX[0x11], capabilities=NODE_CAPABILITIES),
        partial(red.container, "olive", "six", SIX[0x12]),
        partial(red.container, "violet", "seven", SEVEN[0x11]),
        partial(red.container, "rose", "a", ALONE[11], capabilities=NODE_CAPABILITIES),
    )
    red.docker.networks.get("six").connect(rose.container)
    red.settle()
    return Dual(lab, red, lilac, olive, violet, rose)


@fault(site="dual", reddens={f"{HERE}/neighbours": "olive → lilac"}, spares=(f"{HERE}/names", f"{HERE}/addresses"))
def olive_gets_no_ipv6(dual: Dual) -> Iterator[None]:
    """The host drops IPv6 to one container, bridged or not."""
    with dual.red.rule("raw", "PREROUTING", "-d", str(SIX[0x12]), "-p", "tcp", "-j", "DROP", family=6):
        yield


@fault(
    site="dual", reddens={f"{HERE}/names": "lilac → resolver"}, spares=(f"{HERE}/neighbours", f"{HERE}/addresses")
)
def another_is_called_olive(dual: Dual) -> Iterator[None]:
    """A second container of the network has the name of one for an alias."""
    squatter = dual.red.container("squatter", "six", SIX[0x99], aliases=["olive"])
    yield
    remove(dual.lab, squatter)


@fault(
    site="dual",
    reddens={f"{HERE}/addresses": "it has a default route in both"},
    spares=(f"{HERE}/neighbours", f"{HERE}/names"),
)
def no_way_out_over_ipv6(dual: Dual) -> Iterator[None]:
    """The container has lost its default route of IPv6."""
    run = dual.lab.conversations.with_(dual.lilac).run
    way = ["default", "via", str(SIX[1]), "dev", "eth0", "metric", "1024"]
    run(["ip", "-6", "route", "del", *way])
    yield
    run(["ip", "-6", "route", "add", *way])


@fault(
    site="dual",
    reddens={f"{HERE}/other_network": "lilac → violet"},
    spares=(f"{HERE}/neighbours", f"{HERE}/names"),
)
def the_contrary_of_the_release(dual: Dual) -> Iterator[None]:
    """The host drops TCP over IPv6 between the networks where Docker lets it pass, and the other way round."""
    verdict = "ACCEPT" if expected(Behaviour.IPV6_FILTERED, dual.red.version) else "DROP"
    with ExitStack() as rules:
        for table, chain in (("filter", "FORWARD"), ("raw", "PREROUTING")):
            for ends in ((SIX, SEVEN), (SEVEN, SIX)):
                words = ("-s", str(ends[0]), "-d", str(ends[1]), "-p", "tcp", "-j", verdict)
                rules.enter_context(dual.red.rule(table, chain, *words, family=6))
        yield


@fault(
    site="dual",
    reddens={f"{HERE}/both_families_first": "both default routes are by six"},
    spares=(f"{HERE}/addresses", f"{HERE}/neighbours"),
)
def the_first_name_wins(dual: Dual) -> Iterator[None]:
    """Somebody has laid a default route by the network whose name comes first."""
    run, route = dual.lab.conversations.with_(dual.rose).run, ["default", "via", str(ALONE[1])]
    run(["ip", "route", "prepend", *route])
    yield
    run(["ip", "route", "del", *route])


def test_addresses(dual: Dual, proof: Proof) -> None:
    """The container has the address of either family that Docker tells, and a default route in both."""
    run = dual.lab.conversations.with_(dual.lilac).run
    links = json.loads(run(["ip", "-j", "address", "show", "dev", "eth0", "scope", "global"]).out)
    routes = [json.loads(run(["ip", f"-{family}", "-j", "route"]).out) for family in (4, 6)]

    known = [address for link in links for address in link.get("addr_info", []) if address]
    has = {ip_address(address["local"]) for address in known}
    gateways = [route["gateway"] for found in routes for route in found if route["dst"] == "default"]

    proof.fact("it has the addresses that Docker tells", has == set(dual.lilac.addresses), sorted(map(str, has)))
    proof.fact("it has a default route in both", gateways == [str(FOUR[1]), str(SIX[1])], gateways)


def test_both_families_first(dual: Dual, proof: Proof) -> None:
    """On a network with IPv4 alone as well, whose name comes first, it has both default routes by the other."""
    conversation = dual.lab.conversations.with_(dual.rose)

    routes = [route for family in (4, 6) for route in look(conversation, family).routes]
    gateways = [str(route.gateway) for route in routes if route.destination.prefixlen == 0]

    proof.draws({"default routes": ", ".join(gateways)})
    proof.fact("both default routes are by six", gateways == [str(FOUR[1]), str(SIX[1])], gateways)


def test_neighbours(dual: Dual, lab_prober: Prober, proof: Proof) -> None:
    """Neighbours reach each other over either family, seen by their own addresses."""
    pair = [dual.lilac, dual.olive]
    cells = [*between(pair, WAYS), *every([dual.lilac], [at(dual.olive, 6)], WAYS)]
    cells += every([dual.olive], [at(dual.lilac, 6)], WAYS)

    seen = lab_prober.sweep(cells)

    proof.concludes(judge(without_nat(cells, dual.lab.endpoints), seen))


def test_names(dual: Dual, lab_prober: Prober, proof: Proof) -> None:
    """A neighbour's name has an address of each family."""
    each = every([dual.lilac], [RESOLVER], [lookup("olive"), lookup("olive", "AAAA"), lookup("olive", "A+AAAA")])
    four, six = (str(address_of(dual.olive, family)) for family in (4, 6))

    seen = lab_prober.sweep(each)

    answers = ([four], [six], [four, six])
    promised = {cell: reached(answers=answer) for cell, answer in zip(each, answers, strict=True)}
    proof.concludes(judge(promised, seen))


def test_other_network(dual: Dual, lab_prober: Prober, proof: Proof) -> None:
    """Over IPv4 the other network is never reached; over IPv6 since Docker 27 it is not either."""
    filtered = expected(Behaviour.IPV6_FILTERED, dual.red.version)
    proof.shows(str(filtered))
    host = dual.red.endpoint
    there = every([dual.lilac], [at(dual.olive), at(dual.olive, 6)], WAYS)
    there += every([host], [at(dual.violet), at(dual.violet, 6)], WAYS)
    over_four = every([dual.lilac], [at(dual.violet)], WAYS)
    over_six = every([dual.lilac], [at(dual.violet, 6)], WAYS)

    seen = lab_prober.sweep([*there, *over_four, *over_six])

    across = all_of(over_four, blocked()) | all_of(over_six, blocked() if filtered else reached())
    proof.concludes(judge(all_of(there, reached()) | across, seen))
