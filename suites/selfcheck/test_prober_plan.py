"""A plan names every cell once, says where its destination lies, and is never empty."""

from __future__ import annotations

from ipaddress import ip_address
from itertools import product

import pytest

from fixtures.endpoints.endpoint import Kind
from fixtures.probes.plan import NoAddress, at, every, foreign, localhost, placement, virtual
from fixtures.probes.ways import lookup, ping, tcp, udp
from fixtures.verdicts.judge import EmptyPlan
from fixtures.verdicts.observation import IPAddress, Placement
from suites.selfcheck.local_agents import LocalAgent


def endpoint(name: str, kind: Kind, node: str, *addresses: str) -> LocalAgent:
    known: tuple[IPAddress, ...] = tuple(ip_address(address) for address in addresses)
    return LocalAgent(name=name, identity=name, kind=kind, node=node, addresses=known)


CLIENT = endpoint("client", Kind.POD, "worker", "10.244.1.2", "fd00::2")
NEIGHBOUR = endpoint("neighbour", Kind.POD, "worker", "10.244.1.3")
REMOTE = endpoint("remote", Kind.POD, "worker2", "10.244.2.2")
SECOND = endpoint("client/second", Kind.POD, "worker", "10.244.1.2", "fd00::2")
WORKER = endpoint("worker", Kind.NODE, "worker", "172.18.0.2")
OUTSIDE = endpoint("outside", Kind.OUTSIDE, "", "172.18.0.9")


@pytest.mark.parametrize(
    ("source", "destination", "where"),
    [
        (CLIENT, CLIENT, Placement.ITSELF),
        (CLIENT, SECOND, Placement.SAME_POD),
        (CLIENT, NEIGHBOUR, Placement.SAME_NODE),
        (CLIENT, REMOTE, Placement.OTHER_NODE),
        (CLIENT, WORKER, Placement.HOST),
        (CLIENT, OUTSIDE, Placement.OUTSIDE),
        (WORKER, CLIENT, Placement.SAME_NODE),
        (WORKER, REMOTE, Placement.OTHER_NODE),
        (OUTSIDE, CLIENT, Placement.OTHER_NODE),
        (OUTSIDE, WORKER, Placement.HOST),
    ],
)
def test_where_a_destination_lies(source: LocalAgent, destination: LocalAgent, where: Placement) -> None:
    assert placement(source, destination) is where


def test_every_source_to_every_destination_in_every_way() -> None:
    ends, ways = [CLIENT, NEIGHBOUR, REMOTE], [tcp(80), udp(80)]
    plan = every(ends, [at(end) for end in ends], ways)
    asked = [(it.source, it.destination, it.probe) for it in plan]
    assert asked == list(product([end.name for end in ends], [end.name for end in ends], ways))
    assert len({it.marker for it in plan}) == len(plan)


@pytest.mark.parametrize("missing", range(3))
def test_a_plan_of_nothing_is_a_mistake(missing: int) -> None:
    parts = [[CLIENT], [at(REMOTE)], [tcp(80)]]
    parts[missing] = []
    with pytest.raises(EmptyPlan, match="the plan is empty"):
        every(*parts)  # type: ignore[arg-type]


def test_only_answers_that_say_who_have_peers() -> None:
    plan = every([CLIENT], [at(REMOTE)], [tcp(80), udp(80), ping(), lookup("web")])
    assert [it.peers for it in plan] == [frozenset({"remote"})] * 2 + [frozenset()] * 2


def test_addresses_are_of_the_family_asked_for() -> None:
    assert at(CLIENT).address == "10.244.1.2"
    assert at(CLIENT, 6).address == "fd00::2"
    with pytest.raises(NoAddress, match=r"remote has no IPv6 address; it has: 10\.244\.2\.2"):
        at(REMOTE, 6)


def test_a_virtual_destination_has_no_place_and_the_peers_of_its_backends() -> None:
    (asked,) = every([CLIENT], [virtual("service/web", "10.96.0.7", [NEIGHBOUR, REMOTE])], [tcp(80)])
    assert (asked.destination, asked.placement) == ("service/web", None)
    assert asked.peers == {"neighbour", "remote"}


def test_a_foreign_server_has_no_peers_and_localhost_has_one() -> None:
    assert foreign("api", "10.96.0.1").peers == frozenset()
    assert (localhost(CLIENT).address, localhost(CLIENT, 6).address) == ("127.0.0.1", "::1")
    assert localhost(CLIENT).peers == {"client"}
