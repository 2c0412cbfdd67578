"""A bridge forgets who is silent and floods again, and learns a station that has moved as soon as it speaks.

    bridge br0, forgets after ‹default›
      ├ to-red     red   192.0.2.11
      ├ to-green   green 192.0.2.13
      ├ to-blue    blue  192.0.2.12, eth0
      └ to-attic   blue, eth1: where its addresses, IP and hardware, move to

It fails where an entry never ages, so that a station that moved in silence stays lost, or where a bridge clings to
the port where it has learned a station first.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from clusters.waiting import TimedOut, poll
from fixtures.faults.fault import fault
from fixtures.lab.lab import Lab
from fixtures.lab.topologies.bridged import Bridged, bridged
from fixtures.plugins.proof import Proof
from fixtures.probes.capture import rendered
from fixtures.probes.plan import at, every
from fixtures.probes.runner import Prober
from fixtures.probes.ways import udp
from fixtures.verdicts.expectation import all_of, blocked, reached
from fixtures.verdicts.judge import judge
from fixtures.verdicts.observation import Cell

pytestmark = pytest.mark.claim("LNX-6")

DEFAULT = 300.0
"""Seconds: what IEEE 802.1D recommends, and what Linux takes unless told otherwise."""
SHORT = 3.0
"""Seconds: long enough to tell from at once, short enough to wait for."""
ATTIC = "to-attic"
NEW_CARD = "02:00:5e:00:53:99"
"""The hardware address of whichever card of blue's is not in use."""


@pytest.fixture(scope="module")
def joined(lab: Lab) -> Bridged:
    """Three stations at one bridge, of which blue has a second cable."""
    made = bridged(lab, "red", "blue", "green")
    lab.cable(made["blue"].machine.port("eth1"), made.bridge.slot(ATTIC))
    made["blue"].machine.configure(f"link set dev eth1 address {NEW_CARD}")
    return made


DEFAULT_TIME = "linux/bridge_forgets/five_minutes_unless_told_otherwise"
SILENCE = "linux/bridge_forgets/silence_is_forgotten_and_flooded"
MOVED = "linux/bridge_forgets/a_station_that_moved_is_found_when_it_speaks"


@fault(site="joined", reddens={DEFAULT_TIME: "it forgets after 300 s"}, spares=(SILENCE, MOVED))
def told_otherwise(joined: Bridged) -> Iterator[None]:
    """Somebody has set the bridge to forget after a minute."""
    with forgetting_after(joined, 60.0):
        yield


@fault(
    site="joined",
    reddens={SILENCE: "blue is forgotten", MOVED: "red → blue"},
    spares=(DEFAULT_TIME,),
)
def nailed(joined: Bridged) -> Iterator[None]:
    """Blue's hardware address is nailed to its first port, never to be forgotten or learned anew."""
    blue = joined["blue"]
    joined.bridge.run("bridge", "fdb", "replace", blue.mac, "dev", blue.port, "master", "static", "sticky")
    yield
    joined.bridge.run("bridge", "fdb", "delete", blue.mac, "dev", blue.port, "master")


def left_known(joined: Bridged, mac: str, *, within: float) -> dict[str, str]:
    """What the bridge has learned once it has forgotten `mac`, or after so many seconds."""
    known: dict[str, str] = {}

    def look() -> dict[str, str]:
        known.clear()
        known.update(joined.bridge.learned())
        return known

    with suppress(TimedOut):
        poll(look, until=lambda it: mac not in it, what=f"{mac} to be forgotten", within=within)
    return known


def ask(joined: Bridged, source: str, destination: str) -> tuple[Cell, ...]:
    """One datagram there, one back."""
    one, other = (joined[name].machine.endpoint for name in (source, destination))
    return every([one], [at(other)], [udp(8080, timeout=joined.lab.engine.patience)])


@contextmanager
def forgetting_after(joined: Bridged, seconds: float) -> Iterator[None]:
    """Another ageing time for as long as this lasts."""
    before = joined.bridge.ageing
    joined.bridge.ageing = seconds
    try:
        yield
    finally:
        joined.bridge.ageing = before


@contextmanager
def moved(joined: Bridged) -> Iterator[None]:
    """Blue's addresses are at its second card while both cables stay plugged, and back at the first afterwards."""
    _settle(joined, "eth0", "eth1")
    try:
        yield
    finally:
        _settle(joined, "eth1", "eth0")


def _settle(joined: Bridged, old: str, new: str) -> None:
    blue = joined["blue"]
    blue.machine.configure(
        f"address delete {blue.address}/24 dev {old}",
        f"link set dev {old} address {NEW_CARD}",
        f"link set dev {new} address {blue.mac}",
        f"address add {blue.address}/24 dev {new}",
    )
    joined.introduce(blue, new)


def test_five_minutes_unless_told_otherwise(joined: Bridged, proof: Proof) -> None:
    """A bridge that nobody has told otherwise forgets after 300 seconds."""
    ageing = joined.bridge.ageing

    proof.draws({"default": f"{ageing:g} s"})
    proof.fact("it forgets after 300 s", ageing == DEFAULT, f"{ageing:g} s")


def test_silence_is_forgotten_and_flooded(joined: Bridged, lab_prober: Prober, proof: Proof) -> None:
    """With a short ageing time blue is forgotten when it has been silent so long; a frame to it is flooded again.

        bridge br0
          ├ to-red     red   192.0.2.11                      blue speaks:      behind ‹known›
          ├ to-green   green 192.0.2.13                      is told to forget after ‹short›
          ├ to-blue    blue  192.0.2.12                      silent for ‹silent›: forgotten
          └ to-attic   blue's other cable                    red → blue leaves by ‹forgotten›

    Blue is seen to be known before the time is shortened, so that no slow look can miss it.
    """
    blue, spoke, cells = joined["blue"], ask(joined, "blue", "red"), ask(joined, "red", "blue")
    began = time.monotonic()
    heard = lab_prober.sweep(spoke)
    at_first = joined.bridge.learned()
    with forgetting_after(joined, SHORT):
        known = left_known(joined, blue.mac, within=4 * SHORT)
        silent = time.monotonic() - began
        with joined.lab.capture.on([joined.bridge.endpoint], cells) as taps:
            seen = lab_prober.sweep(cells)

    left = joined.left_by(taps, cells[0])
    proof.fact("blue is forgotten", blue.mac not in known, known)
    proof.concludes(judge(all_of(spoke, reached()), heard), judge(all_of(cells, reached()), seen))
    proof.shows(rendered(taps.frames))
    proof.draws({"known": at_first.get(blue.mac), "short": f"{SHORT:g} s", "silent": f"{silent:.1f} s"})
    proof.draws({"forgotten": ", ".join(sorted(left))})
    proof.measured("silence until forgotten", silent, "s")
    proof.fact("blue was known behind its port", at_first.get(blue.mac) == blue.port, at_first)
    proof.fact("and not forgotten any earlier", silent >= SHORT, f"{silent:.1f} s")
    proof.fact("a frame to it is flooded", left == {"to-blue", "to-green", ATTIC}, sorted(left))


def test_a_station_that_moved_is_found_when_it_speaks(joined: Bridged, lab_prober: Prober, proof: Proof) -> None:
    """While blue is silent, frames go to its old port and are lost; a word from it, and they go to the new one.

        bridge br0
          ├ to-red     red   192.0.2.11
          ├ to-green   green 192.0.2.13
          ├ to-blue    blue  192.0.2.12 was here             not yet spoken: red → blue leaves by ‹stale›
          └ to-attic   blue  192.0.2.12 is here now          has spoken:     red → blue leaves by ‹spoken›

    Both cables stay plugged, so that no port goes down and makes the bridge forget.
    """
    there, away, again = (ask(joined, "red", "blue") for _ in range(3))
    before = lab_prober.sweep(there + ask(joined, "red", "green"))
    with moved(joined), joined.lab.capture.on([joined.bridge.endpoint], away + again) as taps:
        silent = lab_prober.sweep(away + ask(joined, "red", "green"))
        lab_prober.sweep(ask(joined, "blue", "red"))
        spoken = lab_prober.sweep(again)
        known = joined.bridge.learned()

    stale, fresh = joined.left_by(taps, away[0]), joined.left_by(taps, again[0])
    proof.shows(rendered(taps.frames))
    proof.draws({"stale": ", ".join(sorted(stale)), "spoken": ", ".join(sorted(fresh))})
    proof.concludes(judge(all_of(away, blocked()), silent, [before]), judge(all_of(again, reached()), spoken))
    proof.fact("before it spoke, frames went to its old port", stale == {"to-blue"}, sorted(stale))
    proof.fact("afterwards to its new one alone", fresh == {ATTIC}, sorted(fresh))
    proof.fact("where the bridge has learned it", known.get(joined["blue"].mac) == ATTIC, known)
