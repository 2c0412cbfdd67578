"""A swarm's containers find each other from the first packet on, and again after their hosts were parted.

    red                                                               blue
      red-in 198.51.100.11 ── joined ── ‹red-in→blue-in› ── joined ── blue-in 198.51.100.12
      eth0 192.0.2.1 ════════════════ switch ════════════════════════ eth0 192.0.2.2
                                        └── names 192.0.2.53, a DNS server that knows no name

    parted: red-in knows no blue-in after ‹gone› s.  Joined again: name and packets both ways after ‹back› s.

Names, neighbours and forwarding entries are not learned from packets: the hosts tell each other by gossip (port
7946). It fails where a container is reached only after it has spoken first, and where hosts that lost each other
keep what they knew, or do not tell it anew: names, and behind which host each container is.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv4Network
from itertools import permutations

import pytest

from fixtures.endpoints.containers import ContainerEndpoint
from fixtures.faults.fault import fault
from fixtures.faults.lab_levers import dropped, unplugged
from fixtures.lab import swarm
from fixtures.lab.docker_host import DockerHost
from fixtures.lab.lab import Lab
from fixtures.lab.lifetime import remove
from fixtures.lab.overlay_peers import differences, led_astray, left_behind
from fixtures.lab.switch import Switch
from fixtures.plugins.proof import Proof
from fixtures.probes.convergence import must_become
from fixtures.probes.plan import address_of, at, between, cell, every
from fixtures.probes.promises import without_nat
from fixtures.probes.runner import Prober
from fixtures.probes.ways import lookup, ping, tcp, udp
from fixtures.verdicts.expectation import Expectation, all_of, no_such_name, reached
from fixtures.verdicts.judge import judge
from fixtures.verdicts.observation import Cell
from fixtures.world.ways_in import RESOLVER

pytestmark = [pytest.mark.claim("OVL-1"), pytest.mark.needs("vxlan", "conntrack")]

HERE = "overlay/swarm_partition"
JOINED = IPv4Network("198.51.100.0/24")
NAMES = IPv4Interface("192.0.2.53/24")
WAYS = [tcp(8080), udp(8080), ping()]
NOBODY = "02:42:c6:33:64:c8"
"""A hardware address that no container has; Docker would make it of .200."""
PARTED_WITHIN, JOINED_WITHIN = 90.0, 120.0
"""Seconds: a host is given up once several questions had no answer, and is asked again from time to time."""


@dataclass(frozen=True)
class Pair:
    """Two hosts of a swarm, and a container on either."""

    lab: Lab
    red: DockerHost
    blue: DockerHost
    switch: Switch
    members: tuple[ContainerEndpoint, ContainerEndpoint]

    def names(self) -> dict[Cell, Expectation]:
        """Each finds the other's name."""
        return {
            cell(source, RESOLVER, lookup(peer.container)): reached(answers=[str(address_of(peer))])
            for source, peer in permutations(self.members, 2)
        }


@pytest.fixture(scope="module")
def pair(lab: Lab) -> Pair:
    """A swarm of two hosts on a switch, with one network."""
    red, blue = lab.hosts("red", "blue", options=[f"--dns={NAMES.ip}"])
    switch, names = lab.switch("switch"), lab.station("names")
    for number, machine in ((1, red), (2, blue), (53, names)):
        card = machine.port("eth0", IPv4Interface(f"192.0.2.{number}/24"))
        lab.cable(card, switch.access(f"to-{machine.name}"))
    lab.name_server(names, NAMES.ip, {})
    swarm.join(red, blue)
    red.network("joined", "overlay", subnets=[JOINED], attachable=True)
    with ThreadPoolExecutor(2) as pool:
        one, two = pool.map(_inside, (red, blue), (11, 12))
    return Pair(lab, red, blue, switch, (one, two))


def _inside(host: DockerHost, number: int) -> ContainerEndpoint:
    return swarm.container(host, f"{host.name}-in", "joined", JOINED[number])


@fault(
    site="pair",
    reddens={f"{HERE}/first_contact": "newcomer", f"{HERE}/after_a_partition": "red-in"},
    spares=(f"{HERE}/known_already", f"{HERE}/names_already"),
)
def gossip_stopped(pair: Pair) -> Iterator[None]:
    """The switch carries everything but the hosts' gossip."""
    with dropped(pair.switch, "ip protocol { tcp, udp }", "th dport 7946"):
        yield


@fault(
    site="pair",
    reddens={f"{HERE}/known_already": "blue-in → red-in", f"{HERE}/first_contact": "red-in → newcomer"},
    spares=(f"{HERE}/names_already",),
)
def tunnel_stopped(pair: Pair) -> Iterator[None]:
    """The switch drops VXLAN, and leaves the hosts' gossip alone."""
    with dropped(pair.switch, "ip protocol udp", "udp dport 4789"):
        yield


@fault(
    site="pair",
    reddens={f"{HERE}/after_a_partition": "parted, red has nobody behind blue"},
    spares=(f"{HERE}/known_already", f"{HERE}/names_already"),
)
def one_too_many_stays(pair: Pair) -> Iterator[None]:
    """red's kernel has a container behind blue that nobody has told it of, and nobody takes back."""
    with led_astray(pair.lab, pair.red, "joined", NOBODY, address_of(pair.blue.endpoint)):
        yield


@fault(
    site="pair",
    reddens={f"{HERE}/names_already": "red-in → resolver"},
    spares=(f"{HERE}/known_already",),
)
def blues_name_taken(pair: Pair) -> Iterator[None]:
    """Another container of the network has the name of blue's for an alias."""
    squatter = pair.red.container("squatter", "joined", aliases=[pair.members[1].container])
    yield
    remove(pair.lab, squatter)


def test_known_already(pair: Pair, lab_prober: Prober, proof: Proof) -> None:
    """Two that have stood for a while reach each other both ways."""
    cells = between(pair.members, WAYS)

    proof.concludes(judge(all_of(cells, reached()), lab_prober.sweep(cells)))


def test_names_already(pair: Pair, lab_prober: Prober, proof: Proof) -> None:
    """Two that have stood for a while have each other's names."""
    names = pair.names()

    proof.concludes(judge(names, lab_prober.sweep(tuple(names))))


def test_first_contact(lab: Lab, pair: Pair, lab_prober: Prober, proof: Proof) -> None:
    """A container that has just been started, and says nothing itself, is reached from the other host by name."""
    newcomer = swarm.container(pair.blue, "newcomer", "joined", JOINED[21])
    try:
        cells = every([pair.members[0]], [at(newcomer)], WAYS)
        name = cell(pair.members[0], RESOLVER, lookup("newcomer"))
        found = reached(answers=[str(address_of(newcomer))])
        met = must_become(lab_prober, without_nat(cells, lab.endpoints) | {name: found})
    finally:
        remove(lab, newcomer)

    proof.concludes(met.judgement)
    proof.measured("reached after its start", met.took, "s")


def test_after_a_partition(pair: Pair, lab_prober: Prober, proof: Proof) -> None:
    """Parted until given up, the hosts forget each other's containers; joined they know and reach them again."""
    one, two = pair.members
    unknown = every([one], [RESOLVER], [lookup(two.container)])
    with unplugged(pair.switch, "to-blue"):
        gone = must_become(lab_prober, all_of(unknown, no_such_name()), within=PARTED_WITHIN, in_a_row=1)
        left = left_behind(pair.lab, pair.red, "joined")
    again = all_of(between(pair.members, WAYS), reached()) | pair.names()

    back = must_become(lab_prober, again, within=JOINED_WITHIN)
    entries = differences(pair.lab, (pair.red, pair.blue), "joined")

    proof.concludes(gone.judgement, back.judgement)
    proof.fact("parted, red has nobody behind blue any more", not left, sorted(map(str, left)) or "nobody")
    for found in entries:
        proof.fact(f"joined, {found.host} has each container behind its host, and nobody else", not found, found)
    proof.draws({"gone": f"{gone.took:.0f}", "back": f"{back.took:.1f}"})
    proof.measured("name forgotten after", gone.took, "s")
    proof.measured("reached again after", back.took, "s")
