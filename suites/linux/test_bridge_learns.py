"""A bridge learns who is behind each port: what it does not know it floods, what it knows goes to one port alone.

    bridge br0
      ├ to-red    behind it ‹to-red›             red   192.0.2.11
      ├ to-blue   behind it ‹to-blue›            blue  192.0.2.12
      ├ to-green  behind it ‹to-green›           green 192.0.2.13
      └ to-grey   behind it ‹to-grey›            grey  192.0.2.14

The stations know each other's hardware addresses, so that no ARP teaches the bridge anything. It fails where a
port does not learn (a hub), does not flood (an unknown station stays unreachable), or is kept from its neighbours.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fixtures.faults.fault import fault
from fixtures.lab.lab import Lab
from fixtures.lab.topologies.bridged import Bridged, bridged
from fixtures.plugins.proof import Proof
from fixtures.probes.capture import rendered
from fixtures.probes.plan import at, between, every
from fixtures.probes.runner import Prober
from fixtures.probes.ways import ping, tcp, udp
from fixtures.verdicts.expectation import all_of, reached
from fixtures.verdicts.judge import judge
from fixtures.verdicts.observation import Cell, Probe

pytestmark = pytest.mark.claim("LNX-5")


@pytest.fixture(scope="module")
def joined(lab: Lab) -> Bridged:
    """Four stations at one bridge."""
    return bridged(lab, "red", "blue", "green", "grey")


REACH = "linux/bridge_learns/ports_reach_each_other"
LEARNS = "linux/bridge_learns/it_learns_who_speaks_behind_which_port"
UNKNOWN = "linux/bridge_learns/unknown_is_flooded"
KNOWN = "linux/bridge_learns/known_goes_to_its_port_alone"


@fault(site="joined", reddens=(REACH,), spares=(LEARNS, UNKNOWN, KNOWN), says="grey")
def isolated(joined: Bridged) -> Iterator[None]:
    """Green's port and grey's are kept from each other."""
    for port in ("to-green", "to-grey"):
        joined.bridge.run("bridge", "link", "set", "dev", port, "isolated", "on")
    yield
    for port in ("to-green", "to-grey"):
        joined.bridge.run("bridge", "link", "set", "dev", port, "isolated", "off")


@fault(
    site="joined",
    reddens={LEARNS: "then red and blue alone", KNOWN: "each left by its own port alone"},
    spares=(REACH, UNKNOWN),
)
def deaf(joined: Bridged) -> Iterator[None]:
    """Blue's port learns nothing."""
    joined.bridge.forget()
    joined.bridge.run("bridge", "link", "set", "dev", "to-blue", "learning", "off")
    yield
    joined.bridge.run("bridge", "link", "set", "dev", "to-blue", "learning", "on")


@fault(site="joined", reddens={UNKNOWN: "it left by all ports but red's"}, spares=(LEARNS, KNOWN))
def dry(joined: Bridged) -> Iterator[None]:
    """Green's port is left out when a frame is flooded."""
    joined.bridge.run("bridge", "link", "set", "dev", "to-green", "flood", "off")
    yield
    joined.bridge.run("bridge", "link", "set", "dev", "to-green", "flood", "on")


def ask(joined: Bridged, *names: str) -> tuple[Cell, ...]:
    """The first asks each of the others over UDP: one datagram there, one back."""
    source, *others = (joined[name].machine.endpoint for name in names)
    return every([source], [at(other) for other in others], [udp(8080, timeout=joined.lab.engine.patience)])


def test_ports_reach_each_other(joined: Bridged, lab_prober: Prober, proof: Proof) -> None:
    """Every station reaches every other by TCP, UDP and ICMP.

        red   192.0.2.11 ─┐       ┌→ blue 192.0.2.12   ‹red→blue›
        blue  192.0.2.12 ─┤       ├→ green 192.0.2.13  ‹blue→green›
        green 192.0.2.13 ─┼─ br0 ─┼→ grey 192.0.2.14   ‹green→grey›
        grey  192.0.2.14 ─┘       └→ red 192.0.2.11    ‹grey→red›

    And so the other eight pairs.
    """
    patience = joined.lab.engine.patience
    ways: list[Probe] = [tcp(8080, timeout=patience), udp(8080, timeout=patience), ping(timeout=patience)]
    cells = between([station.machine.endpoint for station in joined.stations], ways)

    proof.concludes(judge(all_of(cells, reached()), lab_prober.sweep(cells)))


def test_it_learns_who_speaks_behind_which_port(joined: Bridged, lab_prober: Prober, proof: Proof) -> None:
    """From nothing: after red has asked blue it knows the two of them, each behind its port, and no others."""
    red, blue = joined["red"], joined["blue"]
    joined.bridge.forget()
    at_first = joined.bridge.learned()

    cells = ask(joined, "red", "blue")
    seen = lab_prober.sweep(cells)

    known = joined.bridge.learned()
    proof.concludes(judge(all_of(cells, reached()), seen))
    proof.draws({it.port: next((m for m, p in known.items() if p == it.port), "nobody") for it in joined.stations})
    proof.fact("at first it knows nobody", at_first == {}, at_first)
    proof.fact("then red and blue alone", known == {red.mac: red.port, blue.mac: blue.port}, known)


def test_unknown_is_flooded(joined: Bridged, lab_prober: Prober, proof: Proof) -> None:
    """A frame to a station of which the bridge knows nothing leaves by every port but the one it came in by.

        red 192.0.2.11 ── to-red ─┐
                                  br0, which knows nobody
                                  └─ ‹unknown›  ──→ blue 192.0.2.12

    Blue answers, as it would not if its port had been left out.
    """
    (cell,) = ask(joined, "red", "blue")
    joined.bridge.forget()
    with joined.lab.capture.on([joined.bridge.endpoint], [cell]) as taps:
        seen = lab_prober.sweep([cell])

    left = joined.left_by(taps, cell)
    proof.concludes(judge(all_of([cell], reached()), seen))
    proof.shows(rendered(taps.hops(cell)))
    proof.draws({"unknown": ", ".join(sorted(left))})
    proof.fact("it left by all ports but red's", left == {"to-blue", "to-green", "to-grey"}, sorted(left))


def test_known_goes_to_its_port_alone(joined: Bridged, lab_prober: Prober, proof: Proof) -> None:
    """Once each has spoken, a frame to it leaves by its own port and by no other one.

        red 192.0.2.11 ── to-red ─┐
                                  br0, which knows all
                                  ├─ ‹to blue›   ──→ blue  192.0.2.12
                                  ├─ ‹to green›  ──→ green 192.0.2.13
                                  └─ ‹to grey›   ──→ grey  192.0.2.14

    The capture is at all of the bridge's ports.
    """
    stations = [joined[name] for name in ("blue", "green", "grey")]
    for station in stations:
        lab_prober.sweep(ask(joined, station.machine.name, "red"))
    cells = ask(joined, "red", "blue", "green", "grey")
    with joined.lab.capture.on([joined.bridge.endpoint], cells) as taps:
        seen = lab_prober.sweep(cells)

    left = {cell.destination: joined.left_by(taps, cell) for cell in cells}
    proof.concludes(judge(all_of(cells, reached()), seen))
    proof.shows(rendered(taps.frames))
    proof.draws({f"to {name}": ", ".join(sorted(ports)) for name, ports in left.items()})
    alone = {station.machine.name: {station.port} for station in stations}
    proof.fact("each left by its own port alone", left == alone, left)
