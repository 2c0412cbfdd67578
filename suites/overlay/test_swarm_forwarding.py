"""Each host of a swarm knows behind which host a container is, also once that has moved, and before it has spoken.

    red                       blue                      green
      red-in    .11             blue-in   .12             green-in   .13      joined 198.51.100.0/24
                                mover     .31  ── goes ──→ mover     .31
      red-new   .41             blue-new  .42             green-new  .43      have not said anything
      eth0 192.0.2.1 ══════════ eth0 192.0.2.2 ══════════ eth0 192.0.2.3      a switch

    asked first from one side: ‹red-in→blue-new tcp›  ‹blue-in→green-new tcp›  ‹green-in→red-new tcp›

The entries are held against what each host's own Docker tells of its containers: none may be missing, lead to
another host, or be of nobody any more. In the field such entries stayed after a host was away or a container had
moved (moby#31588, moby#35401), or were lost while the container was well (moby#52661); it was then out of reach
for some and fine for others, until it spoke itself or somebody put the entry right by hand.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv4Network

import pytest

from fixtures.endpoints.containers import ContainerEndpoint
from fixtures.faults.fault import fault
from fixtures.faults.lab_levers import dropped
from fixtures.lab import swarm
from fixtures.lab.docker_host import DockerHost
from fixtures.lab.lab import Lab
from fixtures.lab.lifetime import remove
from fixtures.lab.overlay_peers import Difference, differences, here, led_astray, mac_of
from fixtures.lab.switch import Switch
from fixtures.plugins.proof import Proof
from fixtures.probes.convergence import must_become
from fixtures.probes.plan import address_of, at, between, every
from fixtures.probes.promises import without_nat
from fixtures.probes.runner import Prober
from fixtures.probes.ways import ping, tcp, udp
from fixtures.verdicts.expectation import all_of, reached
from fixtures.verdicts.judge import judge

pytestmark = [pytest.mark.claim("OVL-1"), pytest.mark.needs("vxlan", "conntrack")]

HERE = "overlay/swarm_forwarding"
JOINED = IPv4Network("198.51.100.0/24")
MOVER = JOINED[31]
NOBODY = "02:42:c6:33:64:c8"
"""A hardware address that no container has; Docker would make it of .200."""
WAYS = [tcp(8080), udp(8080), ping()]


@dataclass
class Trio:
    """Three hosts of a swarm, and a container on each. `stale`: red does not follow where a container moves."""

    lab: Lab
    red: DockerHost
    blue: DockerHost
    green: DockerHost
    switch: Switch
    members: tuple[ContainerEndpoint, ...]
    stale: bool = False

    @property
    def hosts(self) -> tuple[DockerHost, ...]:
        """All three."""
        return self.red, self.blue, self.green

    def newcomers(self) -> tuple[ContainerEndpoint, ...]:
        """One more container on each host, started now; it says nothing by itself."""
        with ThreadPoolExecutor(len(self.hosts)) as pool:
            return tuple(pool.map(lambda it: _inside(it[1], "new", 41 + it[0]), enumerate(self.hosts)))

    def mover(self, host: DockerHost) -> ContainerEndpoint:
        """The container that moves, started on that host."""
        return swarm.container(host, "mover", "joined", MOVER)

    def following(self) -> ExitStack:
        """What is wrong with how red follows the container that has moved from blue, for as long as it lasts."""
        wrong = ExitStack()
        if self.stale:
            mac = mac_of(self.green, "joined", MOVER)
            wrong.enter_context(led_astray(self.lab, self.red, "joined", mac, address_of(self.blue.endpoint)))
        return wrong


@pytest.fixture(scope="module")
def trio(lab: Lab) -> Trio:
    """A swarm of three hosts on a switch, with one network."""
    red, blue, green = hosts = lab.hosts("red", "blue", "green")
    switch = lab.switch("switch")
    for number, host in enumerate(hosts, 1):
        card = host.port("eth0", IPv4Interface(f"192.0.2.{number}/24"))
        lab.cable(card, switch.access(f"to-{host.name}"))
    swarm.join(red, blue, green)
    red.network("joined", "overlay", subnets=[JOINED], attachable=True)
    with ThreadPoolExecutor(len(hosts)) as pool:
        members = tuple(pool.map(lambda it: _inside(it[1], "in", 11 + it[0]), enumerate(hosts)))
    return Trio(lab, red, blue, green, switch, members)


def _inside(host: DockerHost, what: str, number: int) -> ContainerEndpoint:
    return swarm.container(host, f"{host.name}-{what}", "joined", JOINED[number])


@fault(
    site="trio",
    reddens={f"{HERE}/entries": "red has each"},
    spares=(f"{HERE}/reached", f"{HERE}/first_contact"),
)
def balancer_behind_another_host(trio: Trio) -> Iterator[None]:
    """red's kernel has blue's load balancer, whom nobody asks here, behind green."""
    members = [address_of(one) for one in trio.members]
    balancer = next(one for one in here(trio.blue, "joined") if one.address not in members)
    with led_astray(trio.lab, trio.red, "joined", balancer.mac, address_of(trio.green.endpoint)):
        yield


@fault(
    site="trio",
    reddens={f"{HERE}/entries": "green has each"},
    spares=(f"{HERE}/reached", f"{HERE}/first_contact"),
)
def entry_of_nobody(trio: Trio) -> Iterator[None]:
    """green's kernel still has a container behind blue that is gone."""
    with led_astray(trio.lab, trio.green, "joined", NOBODY, address_of(trio.blue.endpoint)):
        yield


@fault(
    site="trio",
    reddens={f"{HERE}/moved": "red has it behind green"},
    spares=(f"{HERE}/reached", f"{HERE}/entries"),
)
def red_does_not_follow(trio: Trio) -> Iterator[None]:
    """red's kernel goes on having a container behind the host that it has left."""
    trio.stale = True
    yield
    trio.stale = False


@fault(
    site="trio",
    reddens={f"{HERE}/first_contact": "blue-in → green-new", f"{HERE}/reached": "blue-in → green-in"},
    spares=(f"{HERE}/entries",),
)
def one_direction_lost(trio: Trio) -> Iterator[None]:
    """The switch drops VXLAN from green to blue, and carries that from blue to green."""
    ends = ("ip saddr", str(address_of(trio.green.endpoint)), "ip daddr", str(address_of(trio.blue.endpoint)))
    with dropped(trio.switch, *ends, "udp dport 4789"):
        yield


def test_entries(trio: Trio, proof: Proof) -> None:
    """Every host has each container of the others behind its host, and nobody else."""
    found = differences(trio.lab, trio.hosts, "joined")

    for one in found:
        proof.fact(f"{one.host} has each container behind its host, and nobody else", not one, one)


def test_reached(trio: Trio, lab_prober: Prober, proof: Proof) -> None:
    """Containers that have stood for a while reach each other from every host to every other."""
    cells = between(trio.members, WAYS)

    proof.concludes(judge(all_of(cells, reached()), lab_prober.sweep(cells)))


def test_first_contact(trio: Trio, lab_prober: Prober, proof: Proof) -> None:
    """A container that has said nothing is reached from either other host, whichever host it is on itself."""
    news = trio.newcomers()
    try:
        cells = [
            cell
            for new in news
            for cell in every([one for one in trio.members if one.node != new.node], [at(new)], WAYS)
        ]
        met = must_become(lab_prober, without_nat(cells, trio.lab.endpoints))
        proof.concludes(met.judgement)
    finally:
        remove(trio.lab, *news)

    proof.measured("reached after their start", met.took, "s")


def test_moved(trio: Trio, lab_prober: Prober, proof: Proof) -> None:
    """A container that has moved to another host with its address is behind that one for all, and reached."""
    mover = trio.mover(trio.blue)
    before = must_become(lab_prober, all_of(every([trio.members[0]], [at(mover)], WAYS), reached()))
    remove(trio.lab, mover)
    mover = trio.mover(trio.green)
    with trio.following():
        found = differences(trio.lab, trio.hosts, "joined")
        cells = every(trio.members[:2], [at(mover)], WAYS)
        after = lab_prober.sweep(cells)
    remove(trio.lab, mover)
    left = differences(trio.lab, trio.hosts, "joined")

    proof.concludes(before.judgement)
    _told(proof, found, "has it behind green, and nobody else")
    proof.concludes(judge(all_of(cells, reached()), after))
    _told(proof, left, "has nobody left once it is gone")


def _told(proof: Proof, found: list[Difference], word: str) -> None:
    for one in found:
        proof.fact(f"{one.host} {word}", not one, one)
