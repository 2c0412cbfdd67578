"""Two user-defined networks of one host are isolated from each other, and a container in both joins nothing.

    red
    ├ front 198.51.100.0/24
    │   ├ lilac .11   routes as Docker made them     ‹lilac→violet tcp›
    │   ├ olive .12   takes violet for a neighbour   ‹olive→violet tcp›
    │   ├ amber .13   takes both for a router        ‹amber→violet tcp›
    │   └ both  .20 ──┐                              ‹both→violet tcp›
    └ back  203.0.113.0/24
        ├ both   .20 ─┘
        └ violet .11                                 ‹violet→lilac tcp›

Both networks are links of one machine that forwards packets, so what keeps them apart are rules alone. It fails
where a rule comes before Docker's (in DOCKER-USER, where users put theirs), where a firewall that was reloaded has
lost them, and where a container that is in both networks is made a bridge or a router.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Network

import pytest

from fixtures.endpoints.containers import NODE_CAPABILITIES, ContainerEndpoint
from fixtures.endpoints.together import together
from fixtures.faults.fault import fault
from fixtures.faults.lab_levers import routed
from fixtures.lab.docker_host import DockerHost
from fixtures.lab.lab import Lab
from fixtures.plugins.proof import Proof
from fixtures.probes.plan import Destination, at, between, every, virtual
from fixtures.probes.runner import Prober
from fixtures.probes.ways import ping, tcp, udp
from fixtures.verdicts.expectation import all_of, blocked, reached, unanswered
from fixtures.verdicts.judge import judge

pytestmark = [pytest.mark.claim("DKR-6"), pytest.mark.needs("bridge", "conntrack")]

FRONT, BACK = IPv4Network("198.51.100.0/24"), IPv4Network("203.0.113.0/24")
WAYS = [tcp(8080), udp(8080), ping()]
HERE = "docker/isolated_networks"


@dataclass(frozen=True)
class Apart:
    """Three containers on one network, one on another, and one on both."""

    lab: Lab
    red: DockerHost
    lilac: ContainerEndpoint
    olive: ContainerEndpoint
    amber: ContainerEndpoint
    violet: ContainerEndpoint
    both: ContainerEndpoint

    @property
    def both_in_back(self) -> Destination:
        """The container of both networks at its address on the second one."""
        return virtual("both in back", BACK[20], [self.both])


@pytest.fixture(scope="module")
def apart(lab: Lab) -> Apart:
    """Two networks on one Docker host."""
    red = lab.host("red")
    red.network("front", subnets=[FRONT], options={"com.docker.network.bridge.name": "front"})
    back = red.network("back", subnets=[BACK], options={"com.docker.network.bridge.name": "back"})
    both = red.container("both", "front", FRONT[20], capabilities=NODE_CAPABILITIES)
    back.connect("both", ipv4_address=str(BACK[20]))
    lilac, olive, amber, violet = together(
        *(
            partial(red.container, name, "front", FRONT[number], capabilities=NODE_CAPABILITIES)
            for number, name in enumerate(("lilac", "olive", "amber"), start=11)
        ),
        partial(red.container, "violet", "back", BACK[11]),
    )
    return Apart(lab, red, lilac, olive, amber, violet, both)


@fault(
    site="apart",
    reddens={f"{HERE}/neither_way": "violet → lilac", f"{HERE}/dropped_by_the_host": "lilac → violet"},
    spares=(f"{HERE}/no_*",),
)
def a_user_rule_lets_one_through(apart: Apart) -> Iterator[None]:
    """A rule in DOCKER-USER accepts whatever lilac sends and gets."""
    with ExitStack() as rules:
        # Since Docker 28 another network's packets are dropped before they are routed, hence raw.
        for table, chain in (("filter", "DOCKER-USER"), ("raw", "PREROUTING")):
            for way in ("-s", "-d"):
                rules.enter_context(apart.red.rule(table, chain, way, str(FRONT[11]), "-j", "ACCEPT"))
        yield


@fault(
    site="apart", reddens={f"{HERE}/no_bridge_and_no_router": "amber → violet"}, spares=(f"{HERE}/neither_way",)
)
def the_one_in_both_is_a_router(apart: Apart) -> Iterator[None]:
    """The container in both networks masquerades what it forwards to the second."""
    rule = ["POSTROUTING", "-s", str(FRONT), "-d", str(BACK), "-j", "MASQUERADE"]
    run = apart.lab.conversations.with_(apart.both).run
    run(["iptables", "-t", "nat", "-A", *rule])
    yield
    run(["iptables", "-t", "nat", "-D", *rule])


def test_neither_way(apart: Apart, lab_prober: Prober, proof: Proof) -> None:
    """By address neither network reaches the other; within each of them all reach each other."""
    within = between([apart.lilac, apart.both], WAYS) + every([apart.both], [at(apart.violet)], WAYS)
    within += every([apart.violet], [apart.both_in_back], WAYS)
    across = every([apart.lilac], [at(apart.violet), apart.both_in_back], WAYS)
    across += every([apart.violet], [at(apart.lilac), at(apart.both)], WAYS)

    seen = lab_prober.sweep([*within, *across])

    proof.concludes(judge(all_of(within, reached()) | all_of(across, blocked()), seen))


def test_dropped_by_the_host(lab: Lab, apart: Apart, lab_prober: Prober, proof: Proof) -> None:
    """The host takes the packets for the other network from the one bridge and puts none on the other."""
    within = every([apart.lilac], [at(apart.both)], WAYS) + every([apart.both], [at(apart.violet)], WAYS)
    across = every([apart.lilac], [at(apart.violet)], [udp(8080), ping()])
    with lab.capture.on([apart.red.endpoint], across, links=["front", "back"]) as taps:
        seen = lab_prober.sweep([*within, *across])

    proof.concludes(judge(all_of(within, reached()) | all_of(across, blocked()), seen))
    links = {cell: {(frame.link, frame.direction.value) for frame in taps.hops(cell)} for cell in across}
    alone = all(found == {("front", "in")} for found in links.values())
    proof.fact("each came in at front, and none left at back", alone, list(links.values()))


def test_no_bridge_and_no_router(lab: Lab, apart: Apart, lab_prober: Prober, proof: Proof) -> None:
    """The other network is not on the link of the container in both, and it is no way there either.

        olive: 203.0.113.0/24 dev eth0           ‹olive→violet udp›
        amber: 203.0.113.0/24 via 198.51.100.20  ‹amber→violet udp›
        both                                     ‹both→violet udp›

    Whoever looks for the other network there gets no answer to ARP. What the container in both is told to hand on
    may come to the other side, whose answer is not let back: no connection comes of it.
    """
    within = every([apart.olive, apart.amber], [at(apart.both)], WAYS)
    within += every([apart.both], [at(apart.violet)], WAYS)
    beside, through = (every([one], [at(apart.violet)], WAYS) for one in (apart.olive, apart.amber))
    away = str(BACK)
    with routed(lab, apart.olive, away, "dev", "eth0"), routed(lab, apart.amber, away, "via", str(FRONT[20])):
        seen = lab_prober.sweep([*within, *beside, *through])

    apart_from = all_of(beside, blocked()) | all_of(through, unanswered())
    proof.concludes(judge(all_of(within, reached()) | apart_from, seen))
