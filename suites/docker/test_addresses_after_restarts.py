"""Containers that are started again in another order have addresses of their own, and are reached at once.

    red, a Docker host
      docker0 ‹docker0› ─┬ first   ‹first before›  then ‹first after›
                         ├ second  ‹second before›  then ‹second after›
                         ├ third   ‹third before›  then ‹third after›
                         └ asker   stays, and has talked to all three before
      loud 198.51.100.0/24 ─ crier .11  starts, and says so ‹announcements› times

It fails where two containers get one IP or MAC address, so that the bridge hands frames to the wrong one or to
each in turn, and where those that stayed go on sending to whoever had an address before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from ipaddress import IPv4Network

import pytest

from fixtures.endpoints.containers import ContainerEndpoint
from fixtures.endpoints.together import together
from fixtures.engines.behaviour import Behaviour, expected
from fixtures.faults.fault import fault
from fixtures.faults.lab_levers import packet_rule
from fixtures.lab.docker_host import DockerHost
from fixtures.lab.lab import Lab
from fixtures.lab.lifetime import remove, start_again, stop
from fixtures.plugins.proof import Proof
from fixtures.probes.convergence import must_become
from fixtures.probes.kernel import Link, look, look_at
from fixtures.probes.plan import address_of, at, every
from fixtures.probes.runner import Prober
from fixtures.probes.ways import ping, tcp, udp
from fixtures.verdicts.expectation import all_of, reached
from fixtures.verdicts.judge import judge
from fixtures.verdicts.observation import Cell, IPAddress

pytestmark = pytest.mark.claim("DKR-2")

LOUD = IPv4Network("198.51.100.0/24")
AT_ONCE = 1.0
"""Seconds until all are reached again, on an engine whose probes are that quick."""


@dataclass
class Street:
    """A Docker host and one container that stays.

    `given` are MAC addresses that others are told to have, `further` is what is done to whoever starts on `loud`.
    """

    lab: Lab
    red: DockerHost
    asker: ContainerEndpoint
    given: dict[str, str] = field(default_factory=dict)
    further: Sequence[str] = ()

    def container(self, name: str) -> ContainerEndpoint:
        """A container on docker0."""
        return self.red.container(name, mac_address=self.given.get(name))

    def crier(self) -> ContainerEndpoint:
        """A container on `loud`, started now."""
        made = self.red.container("crier", "loud", LOUD[11])
        for line in self.further:
            self.red.as_root("nsenter", "--target", str(made.pid), "--net", *line.split())
        return made

    def asked(self, trio: Sequence[ContainerEndpoint]) -> tuple[Cell, ...]:
        """Each of the three, asked by those who stay."""
        patience = self.lab.engine.patience
        ways = [tcp(8080, timeout=patience), udp(8080, timeout=patience), ping(timeout=patience)]
        return every([self.red.endpoint, self.asker], [at(one) for one in trio], ways)

    def links(self, trio: Sequence[ContainerEndpoint]) -> list[Link]:
        """The link of each."""
        kernels = look_at(self.lab.conversations, trio)
        return [kernels[one.name].link("eth0") for one in trio]

    def start_anew(self, trio: list[ContainerEndpoint]) -> None:
        """Stop all three, and start them in another order; they are in that order in the list then."""
        stop(self.lab, *trio)
        trio[:] = [start_again(self.lab, one) for one in (*trio[1:], trio[0])]


@pytest.fixture(scope="module")
def street(lab: Lab) -> Street:
    """A Docker host with a second network, and the container that stays."""
    red = lab.host("red")
    red.network("loud", subnets=[LOUD], options={"com.docker.network.bridge.name": "loud"})
    return Street(lab, red, red.container("asker"))


@pytest.fixture
def trio(street: Street) -> Iterator[list[ContainerEndpoint]]:
    """Three containers; the check may put others in their place."""
    made = list(together(*(partial(street.container, name) for name in ("first", "second", "third"))))
    yield made
    remove(street.lab, *made)


@fault(
    site="street",
    reddens={"docker/addresses_after_restarts/own_addresses": "each has a MAC address of its own"},
    spares=("docker/addresses_after_restarts/mac_as_released",),
)
def one_mac_for_two(street: Street) -> Iterator[None]:
    """Two containers are started with the same --mac-address."""
    street.given = dict.fromkeys(("second", "third"), "02:42:c0:00:02:99")
    yield
    street.given = {}


@fault(
    site="street",
    reddens={"docker/addresses_after_restarts/reached_at_once": "red → second"},
    spares=("docker/addresses_after_restarts/own_addresses", "docker/addresses_after_restarts/mac_as_released"),
)
def stale_neighbour(street: Street) -> Iterator[None]:
    """The host holds on to the hardware address of one who had an IP address before."""
    entry = (str(address_of(street.asker) + 1), "dev", "docker0")
    street.red.run("ip", "neigh", "replace", *entry, "lladdr", "02:42:c0:00:02:98", "nud", "permanent")
    yield
    street.red.run("ip", "neigh", "del", *entry)


@fault(
    site="street",
    reddens={"docker/addresses_after_restarts/mac_as_released": "it is made from the IP address"},
    spares=("docker/addresses_after_restarts/own_addresses",),
)
def mac_of_another_release(street: Street) -> Iterator[None]:
    """A container has a hardware address such as releases beyond the change give."""
    random = expected(Behaviour.MAC_RANDOM, street.red.version)
    other = _made_from(address_of(street.asker)) if random else "02:42:c0:00:02:97"
    (link,) = street.links([street.asker])
    inside = ["nsenter", "--target", str(street.asker.pid), "--net", "ip", "link", "set", "eth0", "address"]
    street.red.as_root(*inside, other)
    yield
    street.red.as_root(*inside, link.mac)


@fault(
    site="street",
    reddens={"docker/addresses_after_restarts/announced_as_released": "nobody announces it"},
    spares=("docker/addresses_after_restarts/mac_as_released",),
)
def announced_as_by_another_release(street: Street) -> Iterator[None]:
    """A container's own kernel announces its address where Docker does not; where it does, the host drops that."""
    if expected(Behaviour.ADDRESS_ANNOUNCED, street.red.version):
        with packet_rule(street.red, "bridge", "prerouting", f"arp daddr ip {LOUD[11]} drop"):
            yield
        return
    mac = _made_from(LOUD[11])
    street.further = ("sysctl -qw net.ipv4.conf.eth0.arp_notify=1", f"ip link set eth0 address {mac}")
    yield
    street.further = ()


def test_own_addresses(street: Street, trio: list[ContainerEndpoint], proof: Proof) -> None:
    """Three are stopped and started, the second first: each has an IP and a MAC address that nobody else has."""
    proof.draws({"docker0": street.red.docker0, **_drawn("before", trio, street)})

    street.start_anew(trio)

    links = street.links([*trio, street.asker])
    proof.draws(_drawn("after", trio, street))
    addresses, macs = [own for it in links for own in it.addresses], [it.mac for it in links]
    proof.fact("each has an IP address of its own", len(set(addresses)) == 4, ", ".join(map(str, addresses)))
    proof.fact("each has a MAC address of its own", len(set(macs)) == 4, ", ".join(macs))


def test_reached_at_once(street: Street, trio: list[ContainerEndpoint], lab_prober: Prober, proof: Proof) -> None:
    """Three are stopped and started, the second first: host and neighbour, who knew them, reach all within 1 s."""
    cells = street.asked(trio)
    proof.draws({"docker0": street.red.docker0, **_drawn("before", trio, street)})
    proof.concludes(judge(all_of(cells, reached()), lab_prober.sweep(cells)))

    street.start_anew(trio)
    settled = must_become(lab_prober, all_of(street.asked(trio), reached()))

    proof.draws(_drawn("after", trio, street))
    proof.concludes(settled.judgement)
    bar = max(AT_ONCE, street.lab.engine.patience)
    proof.fact(f"all are reached within {bar:g} s", settled.took <= bar, f"{settled.took:.2f} s")
    known = {it.address: it.mac for it in look(street.lab.conversations.with_(street.red.endpoint)).neighbours}
    believed = {one.name: known.get(address_of(one)) for one in trio}
    actual = {one.name: link.mac for one, link in zip(trio, street.links(trio), strict=True)}
    proof.fact("the host knows each by its hardware address of now", believed == actual, believed)


def test_mac_as_released(street: Street, proof: Proof) -> None:
    """A MAC address is random since Docker 28; before, it is made from the IP address."""
    random = expected(Behaviour.MAC_RANDOM, street.red.version)
    (link,) = street.links([street.asker])

    proof.shows(str(random))
    made = link.mac == _made_from(address_of(street.asker))
    proof.fact(
        "it is random" if random else "it is made from the IP address", made is not bool(random), _ends(link)
    )


def test_announced_as_released(street: Street, lab_prober: Prober, proof: Proof) -> None:
    """A container's start is announced by ARP since Docker 28; before, others are to find out by themselves."""
    announced = expected(Behaviour.ADDRESS_ANNOUNCED, street.red.version)
    red, own = street.red.endpoint, LOUD[11]
    with street.lab.capture.on([red], addresses=[own], links=["loud"]) as taps:
        crier = street.crier()
        cells = every([red], [at(crier)], [tcp(8080, timeout=street.lab.engine.patience)])
        seen = lab_prober.sweep(cells)
    remove(street.lab, crier)

    heard = [frame.arp for frame in taps.arp(own) if frame.arp]
    calls = [arp for arp in heard if arp.other == own]
    proof.shows(str(announced))
    proof.draws({"announcements": len(calls)})
    proof.concludes(judge(all_of(cells, reached()), seen))
    questions = [arp for arp in heard if arp.other == LOUD[1]]
    proof.fact("the host's own question was heard", bool(questions), ", ".join(map(str, heard)))
    said = "it is announced" if announced else "nobody announces it"
    proof.fact(said, bool(calls) is bool(announced), ", ".join(map(str, calls)) or "no announcement")


def _drawn(when: str, trio: Sequence[ContainerEndpoint], street: Street) -> dict[str, object]:
    """What the drawing shows of the three before or after."""
    return {f"{one.name} {when}": _ends(link) for one, link in zip(trio, street.links(trio), strict=True)}


def _ends(link: Link) -> str:
    return f"{', '.join(map(str, link.addresses))} {link.mac}"


def _made_from(address: IPAddress) -> str:
    """The MAC address that releases before 28 give a container of that IP address."""
    return f"02:42:{address.packed.hex(':')}"
