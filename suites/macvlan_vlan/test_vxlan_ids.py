"""VXLAN ids have 24 bits where VLAN ids have 12: two above 4096 that differ in the upper bits alone stay apart.

    left  192.0.2.11 ─ vx ─ eth0 198.51.100.11 ┐          ┌ eth0 198.51.100.13 ─ vx ─ 192.0.2.13 near
                                               ├─ switch ─┤
    right 192.0.2.12 ─ vx ─ eth0 198.51.100.12 ┘          └ eth0 198.51.100.14 ─ vx ─ 192.0.2.14 far
       VXLAN 5000 = 0x1388                                   VXLAN 9096 = 0x2388

    left → right: ‹left→right tcp›          near → far: ‹near→far tcp›

All four are of one subnet and of one multicast group, to which they send everything: each gets the frames of both
networks, and has to tell them apart by the id. A check fails where an id is cut to 12 bits: both are 904 then.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Address, IPv4Interface

import pytest

from fixtures.endpoints.together import together
from fixtures.evidence.drawing import in_words
from fixtures.faults.fault import fault
from fixtures.faults.lab_levers import configured
from fixtures.lab.lab import Lab
from fixtures.lab.machine import Machine
from fixtures.plugins.proof import Proof
from fixtures.probes.capture import rendered
from fixtures.probes.frames import Frame
from fixtures.probes.plan import Destination, between, cell
from fixtures.probes.promises import seen_as, without_nat
from fixtures.probes.runner import Prober
from fixtures.probes.ways import ping, tcp
from fixtures.verdicts.expectation import all_of, blocked, reached
from fixtures.verdicts.judge import judge
from fixtures.verdicts.observation import Cell, Observation

pytestmark = [pytest.mark.claim("MVL-7"), pytest.mark.needs("vxlan")]

LOW, HIGH = 5000, 9096
TWELVE_BITS = 0xFFF
NETWORKS = {"left": LOW, "right": LOW, "near": HIGH, "far": HIGH}
INNER = {name: IPv4Address(f"192.0.2.{number}") for number, name in enumerate(NETWORKS, 11)}
WAYS = (tcp(8080), ping())
ARP = 0x0806


@dataclass(frozen=True)
class Tunnelled:
    """Four stations by name, each with a VXLAN link `vx`."""

    stations: dict[str, Machine]

    def inside(self, *pairs: tuple[str, str]) -> tuple[Cell, ...]:
        """Cells from one to the other at its address within VXLAN."""
        ends = [(self.stations[one].endpoint, self.stations[other].endpoint) for one, other in pairs]
        places = [
            (one, Destination(it.name, str(INNER[it.name]), frozenset({it.identity}), it)) for one, it in ends
        ]
        return tuple(cell(one, place, way) for one, place in places for way in WAYS)

    def outside(self) -> tuple[Cell, ...]:
        """Cells between all of them at their addresses on the switch."""
        return between([station.endpoint for station in self.stations.values()], WAYS)


def tunnel(station: Machine, number: int) -> list[str]:
    """Lines for `ip -batch` that make a link into that VXLAN, which sends all it has to all of the group."""
    mac = f"02:00:00:00:00:{INNER[station.name].packed[-1]:02x}"
    return [
        f"link add vx address {mac} type vxlan id {number} group 239.1.1.1 dev eth0 dstport 4789 nolearning",
        f"address add {INNER[station.name]}/24 dev vx",
        "link set dev vx up",
    ]


@pytest.fixture(scope="module")
def tunnelled(lab: Lab) -> Tunnelled:
    """Two stations in each of two VXLANs, all on one switch and in one group."""
    switch = lab.switch("switch")
    stations = dict(zip(NETWORKS, together(*(partial(lab.station, name) for name in NETWORKS)), strict=True))
    for number, station in enumerate(stations.values(), 11):
        port = station.port("eth0", IPv4Interface(f"198.51.100.{number}/24"))
        lab.cable(port, switch.access(f"to-{station.name}"))
        station.configure(*tunnel(station, NETWORKS[station.name]))
    return Tunnelled(stations)


@contextmanager
def renumbered(tunnelled: Tunnelled, ids: dict[str, int]) -> Iterator[None]:
    """The links of these stations have these ids, for as long as this lasts."""
    with ExitStack() as links:
        for name, number in ids.items():
            station, undone = tunnelled.stations[name], tunnel(tunnelled.stations[name], NETWORKS[name])
            done = tunnel(station, number)
            links.enter_context(configured(station, ["link del vx", *done], ["link del vx", *undone]))
        yield


@fault(
    site="tunnelled",
    reddens={
        "macvlan_vlan/vxlan_ids/apart": "left → near",
        "macvlan_vlan/vxlan_ids/told_apart_by_the_id": "left → near",
    },
    spares=("macvlan_vlan/vxlan_ids/joined",),
)
def ids_cut_to_12_bits(tunnelled: Tunnelled) -> Iterator[None]:
    """The stations use the lower 12 bits of their ids alone, as a field for VLAN ids would hold them."""
    with renumbered(tunnelled, {name: number & TWELVE_BITS for name, number in NETWORKS.items()}):
        yield


@fault(
    site="tunnelled",
    reddens={"macvlan_vlan/vxlan_ids/joined": "left → right"},
    spares=("macvlan_vlan/vxlan_ids/apart",),
)
def mistyped_id(tunnelled: Tunnelled) -> Iterator[None]:
    """One station has the next id."""
    with renumbered(tunnelled, {"right": LOW + 1}):
        yield


def test_joined(tunnelled: Tunnelled, lab_prober: Prober, proof: Proof) -> None:
    """Stations with the same id reach each other at their inner addresses."""
    cells = tunnelled.inside(("left", "right"), ("right", "left"), ("near", "far"), ("far", "near"))

    seen = lab_prober.sweep(cells)

    proof.concludes(judge(seen_as(cells, {name: [address] for name, address in INNER.items()}), seen))


def test_apart(lab: Lab, tunnelled: Tunnelled, lab_prober: Prober, proof: Proof) -> None:
    """Stations with ids that are the same in their lower 12 bits do not, though all reach each other outside.

        left → near at 192.0.2.13 in VXLAN 5000: ‹inside›
        left → near at 198.51.100.13:            ‹outside›

    The lower 12 bits of 5000 and of 9096 are 904.
    """
    pairs = [(one, other) for one, low in NETWORKS.items() for other, high in NETWORKS.items() if low != high]
    inside, outside = tunnelled.inside(*pairs), tunnelled.outside()

    seen = lab_prober.sweep(inside + outside)

    proof.draws({"inside": in_words(of(seen, inside[0])), "outside": in_words(of(seen, outside[2]))})
    proof.fact("the lower 12 bits are the same", LOW & TWELVE_BITS == HIGH & TWELVE_BITS, LOW & TWELVE_BITS)
    proof.concludes(judge(all_of(inside, blocked()) | without_nat(outside, lab.endpoints), seen))


def test_told_apart_by_the_id(lab: Lab, tunnelled: Tunnelled, lab_prober: Prober, proof: Proof) -> None:
    """The question who has near's address comes to near's card in the other VXLAN, and no further.

        left ─ vx ─ eth0 ═ who has 192.0.2.13? in VXLAN 5000 ═ eth0 ─ vx ─ near

        came to eth0: ‹at the card›
        came to vx:   ‹within›

    Nothing but the id is different from a question that near answers.
    """
    near = tunnelled.stations["near"].endpoint
    asked = tunnelled.inside(("left", "near"), ("far", "near"))

    tunnelled.stations["left"].run("ip", "neigh", "flush", "dev", "vx")  # or it may be tired of asking

    with lab.capture.on([near], addresses=[INNER["near"], INNER["left"]]) as taps:
        seen = lab_prober.sweep(asked)

    questions = [it for it in taps.frames if it.link == "eth0" and it.vni == LOW and is_question(it)]
    within = [it for it in taps.frames if it.link == "vx" and it.arp and it.arp.other == INNER["left"]]
    proof.draws({"at the card": len(questions), "within": len(within)})
    promised = {it: reached() if it.source == "far" else blocked() for it in asked}
    witness = lab_prober.sweep(tunnelled.outside())
    proof.concludes(judge(promised, seen, [witness]))
    proof.fact("the questions came to the card in VXLAN 5000", bool(questions), len(questions))
    proof.fact("none came out of the tunnel", not within, rendered(within) or "none")


def of(seen: Iterable[Observation], cell: Cell) -> list[Observation]:
    """What was seen of one cell."""
    return [one for one in seen if one.cell == cell]


def is_question(frame: Frame) -> bool:
    """Whether what it carries in VXLAN is ARP."""
    return frame.inner_ethernet is not None and frame.inner_ethernet.kind == ARP
