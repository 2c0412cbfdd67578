"""The docker0 of two hosts are unrelated: across hosts, a host's address and a published port lead to a container.

    red                                               blue
    ├ docker0 ‹red docker0›                           ├ docker0 ‹blue docker0›
    │   ├ apple  .2                                   │   ├ plum   .2
    │   └ cherry .3                                   │   ├ quince .3
    │                                                 │   └ pear   .4, published at 18080
    └ eth0 192.0.2.11 ─────────── switch ─────────────┴ eth0 192.0.2.12

    apple to 172.17.0.4 (pear)           ‹apple→pear tcp›
    apple to 172.17.0.3 (quince, there)  ‹apple→cherry tcp›, by cherry, its neighbour here
    apple to 192.0.2.12:18080            ‹apple→pear at blue tcp/18080›, seen as ‹seen as›

Both have Docker's default subnet, so an address of a container of the other host is one of the own bridge: whoever
has it there answers, or nobody. It fails where the two bridges are joined, and by NAT: a packet that is not
masqueraded is answered to the wrong docker0, and what is not published is refused by the host.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Interface

import pytest

from fixtures.endpoints.containers import ContainerEndpoint
from fixtures.endpoints.together import together
from fixtures.faults.fault import fault
from fixtures.faults.lab_levers import routed
from fixtures.lab.docker_host import DockerHost
from fixtures.lab.lab import Lab
from fixtures.lab.switch import Switch
from fixtures.plugins.proof import Proof
from fixtures.probes.capture import rendered
from fixtures.probes.plan import Destination, address_of, at, every, foreign, virtual
from fixtures.probes.runner import Prober
from fixtures.probes.ways import ping, tcp, udp
from fixtures.verdicts.expectation import all_of, blocked, reached, refused
from fixtures.verdicts.judge import judge

pytestmark = [pytest.mark.claim("DKR-8"), pytest.mark.needs("bridge", "conntrack")]

HERE = "docker/two_docker_hosts"
RED, BLUE = IPv4Interface("192.0.2.11/24"), IPv4Interface("192.0.2.12/24")
PUBLISHED = 18080
WAYS = [tcp(8080), udp(8080), ping()]


@dataclass(frozen=True)
class Orchard:
    """Two hosts on a switch, with two containers on the docker0 of one, and three on the other's."""

    lab: Lab
    switch: Switch
    red: DockerHost
    blue: DockerHost
    apple: ContainerEndpoint
    cherry: ContainerEndpoint
    quince: ContainerEndpoint
    pear: ContainerEndpoint

    @property
    def pear_at_blue(self) -> Destination:
        """The container of the other host at its host's address."""
        return virtual("pear at blue", BLUE.ip, [self.pear])


@pytest.fixture(scope="module")
def orchard(lab: Lab) -> Orchard:
    """Hosts as Docker makes them, told nothing about their bridges."""
    red, blue = lab.hosts("red", "blue")
    switch = lab.switch("switch")
    lab.cable(red.port("eth0", RED), switch.access("to-red"))
    lab.cable(blue.port("eth0", BLUE), switch.access("to-blue"))
    published = {"8080/tcp": PUBLISHED, "8080/udp": PUBLISHED}
    # Docker hands out addresses in the order in which containers start.
    apple, _ = together(partial(red.container, "apple"), partial(blue.container, "plum"))
    cherry, quince = together(partial(red.container, "cherry"), partial(blue.container, "quince"))
    return Orchard(lab, switch, red, blue, apple, cherry, quince, blue.container("pear", ports=published))


@fault(site="orchard", reddens={f"{HERE}/not_by_its_address": "red → pear"}, spares=(f"{HERE}/by_its_host",))
def red_answers_for_the_other(orchard: Orchard) -> Iterator[None]:
    """Host red has a route to pear, and answers ARP for it on docker0; host blue lets it in."""
    red, blue, pear = orchard.red, orchard.blue, str(address_of(orchard.pear))
    with ExitStack() as laid:
        laid.enter_context(routed(orchard.lab, red.endpoint, pear, "via", str(BLUE.ip)))
        laid.enter_context(blue.rule("filter", "DOCKER-USER", "-d", pear, "-j", "ACCEPT"))
        laid.enter_context(blue.rule("raw", "PREROUTING", "-d", pear, "-j", "ACCEPT"))
        red.as_root("sysctl", "-qw", "net.ipv4.conf.docker0.proxy_arp=1")
        laid.callback(red.as_root, "sysctl", "-qw", "net.ipv4.conf.docker0.proxy_arp=0")
        yield


@fault(site="orchard", reddens={f"{HERE}/by_its_host": "apple → blue"}, spares=(f"{HERE}/not_by_its_address",))
def red_does_not_masquerade(orchard: Orchard) -> Iterator[None]:
    """Host red sends its containers' packets to the other host under their own addresses."""
    with orchard.red.rule("nat", "POSTROUTING", "-d", str(BLUE.ip), "-j", "ACCEPT"):
        yield


def test_not_by_its_address(orchard: Orchard, lab_prober: Prober, proof: Proof) -> None:
    """Asked at a container's address, its host's neighbours answer, and across hosts nobody or a namesake."""
    apple, red, blue = orchard.apple, orchard.red, orchard.blue
    namesake = virtual("cherry", address_of(orchard.quince), [orchard.cherry])
    there = every([apple], [namesake], WAYS) + every([orchard.quince, blue.endpoint], [at(orchard.pear)], WAYS)
    there += every([red.endpoint], [at(orchard.cherry)], WAYS)
    across = every([apple, red.endpoint], [at(orchard.pear)], WAYS)
    with orchard.lab.capture.on([orchard.switch.endpoint], across) as taps:
        seen = lab_prober.sweep([*there, *across])

    proof.concludes(judge(all_of(there, reached()) | all_of(across, blocked()), seen))
    bridges = {"red docker0": red.docker0, "blue docker0": blue.docker0}
    proof.draws(bridges)
    proof.fact("both docker0 have one address and subnet", len(set(bridges.values())) == 1, bridges)
    proof.fact("nothing of it was on the cable", not taps.frames, rendered(taps.frames) or "no frame")


def test_by_its_host(orchard: Orchard, lab_prober: Prober, proof: Proof) -> None:
    """At its host's address and published port it is reached, and sees the asking container's host."""
    apple, red = orchard.apple, orchard.red
    published = every([apple, red.endpoint], [orchard.pear_at_blue], [tcp(PUBLISHED), udp(PUBLISHED)])
    unpublished = every([apple], [foreign("blue", BLUE.ip)], [tcp(PUBLISHED + 1)])
    with orchard.lab.capture.on([orchard.switch.endpoint], published) as taps:
        seen = lab_prober.sweep([*published, *unpublished])

    proof.draws({"seen as": ", ".join(sorted({str(one.seen_as[0]) for one in seen if one.seen_as}))})
    proof.concludes(judge(all_of(published, reached(seen_as=[RED.ip])) | all_of(unpublished, refused()), seen))
    ends = {
        end for frame in taps.frames if frame.packet for end in (frame.packet.source, frame.packet.destination)
    }
    proof.fact("on the cable there are the hosts' addresses alone", ends == {RED.ip, BLUE.ip}, sorted(ends))
