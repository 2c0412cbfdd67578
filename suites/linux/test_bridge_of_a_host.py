"""A bridge is also an interface of its host: with an address it answers for itself and is its ports' gateway.

    host
      br0   192.0.2.1      ┬ to-red  ── red  192.0.2.11
                           └ to-blue ── blue 192.0.2.12
      eth0  198.51.100.1   ──────────── outside 198.51.100.9
      card  203.0.113.1    ──────────── friend  203.0.113.2

Red and blue have br0 as their gateway. It fails where the bridge is a switch alone (no address, or its own traffic
filtered), where the host does not forward, and for `card` where an address is left at an interface that has become
a port: frames then come in by br0, and its own address can no longer be answered from.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface

import pytest

from fixtures.faults.fault import fault
from fixtures.lab.bridge import LINK, MAC, Bridge
from fixtures.lab.lab import Lab
from fixtures.lab.machine import Machine, Port
from fixtures.plugins.proof import Proof
from fixtures.probes.capture import rendered
from fixtures.probes.frames import Direction
from fixtures.probes.journey import Hop, in_words, taken
from fixtures.probes.plan import Destination, address_of, at, between, every
from fixtures.probes.runner import Prober
from fixtures.probes.ways import ping, tcp, udp
from fixtures.verdicts.expectation import all_of, blocked, reached, unanswered
from fixtures.verdicts.judge import judge
from fixtures.verdicts.observation import Cell, Observation, Probe
from fixtures.verdicts.spread import of_cells

pytestmark = pytest.mark.claim("LNX-7")

GATEWAY = IPv4Interface("192.0.2.1/24")
CARD = IPv4Interface("203.0.113.1/24")


@dataclass(frozen=True)
class Home:
    """The host with its bridge, two stations at its ports, one beyond it, and one at a card of its own."""

    lab: Lab
    host: Bridge
    red: Machine
    blue: Machine
    outside: Machine
    friend: Machine

    def ways(self) -> list[Probe]:
        """TCP, UDP and ICMP."""
        patience = self.lab.engine.patience
        return [tcp(8080, timeout=patience), udp(8080, timeout=patience), ping(timeout=patience)]

    def host_at(self, address: IPv4Address) -> Destination:
        """The host, by one of its addresses."""
        return Destination("host", str(address), frozenset({"host"}), self.host.endpoint)


@pytest.fixture(scope="module")
def home(lab: Lab) -> Home:
    """A host that forwards, its bridge and its cards."""
    host = lab.bridge("host", sysctls={"net.ipv4.ip_forward": "1"})
    red, blue, outside, friend = lab.stations("red", "blue", "outside", "friend")
    for number, station in enumerate((red, blue), 11):
        cable = station.port("eth0", IPv4Interface(f"192.0.2.{number}/24"))
        lab.cable(cable, host.slot(f"to-{station.name}"))
        station.configure(f"route add default via {GATEWAY.ip}")
    lab.cable(outside.port("eth0", IPv4Interface("198.51.100.9/24")), _card(host, "eth0", "198.51.100.1/24"))
    lab.cable(friend.port("eth0", IPv4Interface("203.0.113.2/24")), _card(host, "card", str(CARD)))
    outside.configure("route add 192.0.2.0/24 via 198.51.100.1")
    host.configure(f"address add {GATEWAY} dev {LINK}")
    return Home(lab, host, red, blue, outside, friend)


ANSWERS = "linux/bridge_of_a_host/it_answers_for_itself"
SWITCHES = "linux/bridge_of_a_host/without_its_address_it_is_a_switch_alone"
FORWARDS = "linux/bridge_of_a_host/it_is_the_gateway_of_its_ports"
ENSLAVED = "linux/bridge_of_a_host/an_enslaved_card_no_longer_answers"


@fault(
    site="home",
    reddens={ANSWERS: "host → red", SWITCHES: "red → host", FORWARDS: "red → outside"},
    spares=(ENSLAVED,),
)
def without_address(home: Home) -> Iterator[None]:
    """The bridge has no address."""
    with changed(home.host, [f"address delete {GATEWAY} dev {LINK}"], [f"address add {GATEWAY} dev {LINK}"]):
        yield


@fault(site="home", reddens=(FORWARDS,), spares=(ANSWERS, SWITCHES, ENSLAVED), says="outside")
def host_not_forwarding(home: Home) -> Iterator[None]:
    """The host does not forward."""
    with home.lab.setting(home.host, "net.ipv4.ip_forward", "0"):
        yield


@fault(site="home", reddens=(SWITCHES,), spares=(ANSWERS, FORWARDS), says="blue")
def ports_apart(home: Home) -> Iterator[None]:
    """The bridge's two ports are kept from each other."""
    for port in ("to-red", "to-blue"):
        home.host.run("bridge", "link", "set", "dev", port, "isolated", "on")
    yield
    for port in ("to-red", "to-blue"):
        home.host.run("bridge", "link", "set", "dev", port, "isolated", "off")


@fault(site="home", reddens=(ENSLAVED,), spares=(ANSWERS, SWITCHES, FORWARDS), says="friend")
def told_the_neighbour(home: Home) -> Iterator[None]:
    """The host was told friend's hardware address behind the card, so that it answers there without asking."""
    (link,) = home.friend.ip("link", "show", "dev", "eth0")
    entry = ["203.0.113.2", "lladdr", link["address"], "dev", "card"]
    home.host.run("ip", "neighbour", "replace", *entry, "nud", "permanent")
    yield
    # It goes with the card's last address, which the check moves to the bridge.
    home.host.run("ip", "neighbour", "delete", *entry, check=False)


def _card(host: Bridge, link: str, address: str) -> Port:
    return host.port(link, IPv4Interface(address))


@contextmanager
def changed(host: Bridge, there: Sequence[str], back: Sequence[str]) -> Iterator[None]:
    """A change of the host's links for as long as this lasts."""
    host.configure(*there)
    try:
        yield
    finally:
        host.configure(*back)


def to_host(home: Home, *stations: Machine) -> tuple[Cell, ...]:
    """Stations to the host at the address of its bridge."""
    return every([it.endpoint for it in stations], [home.host_at(GATEWAY.ip)], home.ways())


def test_it_answers_for_itself(home: Home, lab_prober: Prober, proof: Proof) -> None:
    """Red and blue reach the host at br0's address and it reaches them; what they learn of it is br0's own MAC.

        host br0 192.0.2.1     ┬ to-red  ── red  192.0.2.11   ‹red→host›   back: ‹host→red›
        at ‹br0 mac›           └ to-blue ── blue 192.0.2.12   ‹blue→host›  back: ‹host→blue›

    Its ports have hardware addresses of their own, which nobody learns.
    """
    cells = to_host(home, home.red, home.blue)
    back = every([home.host.endpoint], [at(home.red.endpoint), at(home.blue.endpoint)], home.ways())

    seen = lab_prober.sweep(cells + back)

    proof.concludes(judge(all_of(cells + back, reached()), seen))
    macs = {
        entry["lladdr"] for it in (home.red, home.blue) for entry in it.ip("neighbour", "show", str(GATEWAY.ip))
    }
    proof.draws({"br0 mac": ", ".join(sorted(macs))})
    proof.fact("its hardware address is br0's", macs == {MAC}, macs)


def test_without_its_address_it_is_a_switch_alone(home: Home, lab_prober: Prober, proof: Proof) -> None:
    """While the address is taken from br0 the host is not reached, and red and blue reach each other as before.

        host br0 192.0.2.1           ┬ to-red  ── red  192.0.2.11   ‹with it›
        host br0, without address    ┤                              ‹without it›
                                     └ to-blue ── blue 192.0.2.12   ‹blue→red› from there to red

    The bridge stays up all the while.
    """
    cells, among = to_host(home, home.red), between([home.red.endpoint, home.blue.endpoint], home.ways())
    before = lab_prober.sweep(cells)
    proof.concludes(judge(all_of(cells, reached()), before))
    with changed(home.host, [f"address delete {GATEWAY} dev {LINK}"], [f"address add {GATEWAY} dev {LINK}"]):
        seen = lab_prober.sweep(cells + among)

    proof.draws({"with it": in_short(before), "without it": in_short(of_cells(seen, cells))})
    proof.concludes(judge(all_of(cells, blocked()) | all_of(among, reached()), seen, [before]))


def test_it_is_the_gateway_of_its_ports(home: Home, lab_prober: Prober, proof: Proof) -> None:
    """Red and blue reach outside with their own addresses; a packet goes from port to br0 to card, and back.

        red  192.0.2.11 ── to-red  ┐                                      ‹red→outside›
        blue 192.0.2.12 ── to-blue ┴ br0 192.0.2.1 ┐                      ‹blue→outside›
        outside 198.51.100.9 ─── eth0 198.51.100.1 ┘

        there: ‹there›
        back:  ‹back›

    The capture is at every link of the host.
    """
    red, blue, outside = (it.endpoint for it in (home.red, home.blue, home.outside))
    cells = every([red, blue], [at(outside)], [tcp(8080, timeout=home.lab.engine.patience)])
    (one,) = every([red], [at(outside)], [udp(8080, timeout=home.lab.engine.patience)])
    with home.lab.capture.on([home.host.endpoint], [one]) as taps:
        seen = lab_prober.sweep((*cells, one))

    own = {"red": reached(seen_as=red.addresses), "blue": reached(seen_as=blue.addresses)}
    there, back = (taken(taps.hops(one), address_of(it)) for it in (red, outside))
    proof.concludes(judge({cell: own[cell.source] for cell in (*cells, one)}, seen))
    proof.shows(rendered(taps.hops(one)))
    proof.draws({"there": in_words(there), "back": in_words(back)})
    by_br0 = [hop("to-red", Direction.PASSING), hop(LINK, Direction.IN), hop("eth0", Direction.OUT)]
    proof.fact("the packet went from port to br0 to card", there == by_br0, in_words(there))
    back_again = [hop("eth0", Direction.IN), hop(LINK, Direction.OUT), hop("to-red", Direction.OUT)]
    proof.fact("the answer the same way back", back == back_again, in_words(back))


def hop(link: str, direction: Direction) -> Hop:
    """A hop at the host."""
    return Hop("host", link, direction)


def test_an_enslaved_card_no_longer_answers(home: Home, lab_prober: Prober, proof: Proof) -> None:
    """Friend reaches the host at the card's address, not while the card is a port, and again once br0 has it.

        friend 203.0.113.2 ── card 203.0.113.1                      ‹alone›
        friend 203.0.113.2 ── card 203.0.113.1, a port of br0       ‹enslaved›
        friend 203.0.113.2 ── card, a port of br0 203.0.113.1       ‹at the bridge›

    Everybody asks anew who has which address after each change.
    """
    cells = every([home.friend.endpoint], [home.host_at(CARD.ip)], home.ways())
    join, leave = f"link set dev card master {LINK}", "link set dev card nomaster"
    to_bridge = [f"address delete {CARD} dev card", f"address add {CARD} dev {LINK}"]
    to_card = [f"address delete {CARD} dev {LINK}", f"address add {CARD} dev card"]

    before = lab_prober.sweep(cells)
    with changed(home.host, [join], [leave]):
        asking_anew(home.friend, home.host)
        enslaved = lab_prober.sweep(cells)
        with changed(home.host, to_bridge, to_card):
            asking_anew(home.friend, home.host)
            moved = lab_prober.sweep(cells)
    asking_anew(home.friend, home.host)

    proof.draws({"alone": in_short(before), "enslaved": in_short(enslaved), "at the bridge": in_short(moved)})
    proof.concludes(
        judge(all_of(cells, reached()), before),
        judge(all_of(cells, unanswered()), enslaved, [before]),
        judge(all_of(cells, reached()), moved),
    )


def asking_anew(*machines: Machine) -> None:
    """Have them ask again who has which address: a known neighbour hides for a while that nobody can be asked."""
    for machine in machines:
        machine.run("ip", "neighbour", "flush", "all")


def in_short(sweep: Iterable[Observation]) -> str:
    """The outcomes of a sweep, each once."""
    return ", ".join(sorted({seen.outcome for seen in sweep}))
