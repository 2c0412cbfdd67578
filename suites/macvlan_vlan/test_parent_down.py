"""Containers of a macvlan network go off the air with their parent, and come back with it by themselves.

    red, Docker host                                       switch
      one 192.0.2.11 ┬ macvlan                             │
      two 192.0.2.12 ┴ card0 192.0.2.10 ══════════ to-red ─┼─ to-peer ══ eth0 192.0.2.21 peer

    card0 is set down, or loses its carrier because the switch sets the port down

Nothing is done to the containers: their links follow the card's. They stay on the air where they are on another
card than one thinks, and come back late where the switch holds back a port that came up, as spanning tree does.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum

import pytest

from fixtures.evidence.drawing import way_in_words
from fixtures.faults.fault import fault
from fixtures.faults.lab_levers import configured
from fixtures.lab.lab import Lab
from fixtures.lab.topologies.segment import PARENT, Segment, segment
from fixtures.plugins.proof import Proof
from fixtures.probes.convergence import must_become
from fixtures.probes.plan import between
from fixtures.probes.promises import without_nat
from fixtures.probes.runner import Prober
from fixtures.probes.ways import ping, tcp
from fixtures.verdicts.expectation import all_of, blocked
from fixtures.verdicts.observation import Cell

pytestmark = [pytest.mark.claim("MVL-1"), pytest.mark.needs("macvlan")]

BACK_WITHIN = 10.0
"""Seconds in which all must have been reached again; it takes milliseconds where nothing is in the way."""
TALKING_WITHIN = 60.0
"""The same before a card is set down, where a switch may still hold its port back for what was done before."""
OTHER = "card1"


class Cut(StrEnum):
    """How the card goes down."""

    SET_DOWN = "set down"
    UNPLUGGED = "unplugged"


@pytest.fixture(scope="module")
def aired(lab: Lab) -> Segment:
    """A host, its containers, and a peer that looks for them."""
    return segment(lab)


@fault(
    site="aired",
    reddens={"macvlan_vlan/parent_down/comes_back": "peer → one"},
    spares=("macvlan_vlan/parent_down/goes_off",),
)
def spanning_tree(aired: Segment) -> Iterator[None]:
    """The switch runs the spanning tree protocol: a port that came up is listened at for 20 s."""
    (port,) = aired.switch.ip("link", "show", "to-red")
    bridge = f"link set dev {port['master']} type bridge"
    with configured(
        aired.switch,
        [f"{bridge} forward_delay 1000 stp_state 1"],
        [f"{bridge} stp_state 0 forward_delay 1500 ageing_time 30000"],
    ):
        yield


@fault(
    site="aired",
    reddens={"macvlan_vlan/parent_down/goes_off": "peer → one"},
    spares=("macvlan_vlan/parent_down/comes_back",),
)
def network_on_a_spare_card(aired: Segment) -> Iterator[None]:
    """The network was made on another card by mistake."""
    lab, red = aired.macvlan.lab, aired.red
    lab.cable(red.port(OTHER), aired.switch.access("to-red-too"))
    with aired.macvlan.otherwise(parent=OTHER):
        yield
    red.configure(f"link del {OTHER}")


@contextmanager
def down(aired: Segment, cut: Cut) -> Iterator[None]:
    """The card is down for as long as this lasts."""
    machine, link = {Cut.SET_DOWN: (aired.red, PARENT), Cut.UNPLUGGED: (aired.switch, "to-red")}[cut]
    with configured(machine, [f"link set dev {link} down"], [f"link set dev {link} up"]):
        yield


def among(aired: Segment) -> tuple[Cell, ...]:
    """Containers and peer to each other."""
    return between([*aired.children, aired.peer.endpoint], [tcp(8080), ping()])


@pytest.mark.parametrize("cut", Cut)
def test_goes_off(lab: Lab, aired: Segment, lab_prober: Prober, proof: Proof, cut: Cut) -> None:
    """While the card is down nobody reaches anybody: neither containers and peer nor the containers each other.

        card0: up                   peer → one: ‹before›
               down for a moment    peer → one: ‹peer to one›,  one → two: ‹one to two›

    Without a carrier below it a container's link has none.
    """
    cells = among(aired)
    before = must_become(lab_prober, without_nat(cells, lab.endpoints), within=TALKING_WITHIN)

    with down(aired, cut):
        lost = must_become(lab_prober, all_of(cells, blocked()), witnesses=[before.judgement.sweep])

    heard, silence = before.judgement.sweep, lost.judgement.sweep
    ways = ("peer", "one"), ("one", "two")
    proof.draws({"before": way_in_words(heard, "peer", "one")})
    proof.draws({f"{one} to {other}": way_in_words(silence, one, other) for one, other in ways})
    proof.concludes(before.judgement, lost.judgement)


@pytest.mark.parametrize("cut", Cut)
def test_comes_back(lab: Lab, aired: Segment, lab_prober: Prober, proof: Proof, cut: Cut) -> None:
    """Once the card is up again all reach each other, and nobody has touched the containers.

        card0: down for a moment
               up                   after ‹seconds› s peer → one: ‹peer→one tcp›,  one → two: ‹one→two tcp›

    The probes that failed while it was down have the neighbour tables forget whom they knew.
    """
    cells = among(aired)
    with down(aired, cut):
        lab_prober.sweep(cells)

    back = must_become(lab_prober, without_nat(cells, lab.endpoints), within=BACK_WITHIN)

    proof.concludes(back.judgement)
    proof.draws({"seconds": f"{back.took:.2f}"})
    proof.measured("until all are reached again", back.took, "s")
