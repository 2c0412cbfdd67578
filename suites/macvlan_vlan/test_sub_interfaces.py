"""Sub-interfaces give one card many macvlan networks, one for each VLAN, and Docker makes those that are missing.

    red, Docker host                                          wire, a plain machine
      in10    198.18.10.11  ─ trunk1.10   ┐                 ┌ trunk1.10   198.18.10.1
      in20    198.18.20.11  ─ trunk1.20   ├ trunk1 ═ trunk1 ┼ trunk1.20   198.18.20.1
      lowest  203.0.113.11  ─ trunk1.1    │                 ├ trunk1.1    203.0.113.1
      highest 203.0.113.139 ─ trunk1.4094 ┘                 └ trunk1.4094 203.0.113.129

It is a second card of the host that the other modules about VLANs use. The wire's links were made by hand. VLAN
ids have 12 bits, of which 0 and 4095 are reserved. A check fails where a name says another id than its link has,
where one end takes a VLAN for untagged, and where Docker removes what others made or leaves behind what it made.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network
from itertools import chain
from typing import Any

import pytest

from fixtures.endpoints.containers import ContainerEndpoint
from fixtures.engines.behaviour import Behaviour, expected
from fixtures.faults.fault import fault
from fixtures.faults.lab_levers import configured
from fixtures.lab import attempts
from fixtures.lab.docker_host import DockerHost
from fixtures.lab.lab import Lab
from fixtures.lab.machine import Machine
from fixtures.lab.macvlan import MacvlanNetwork
from fixtures.lab.topologies.trunk import Trunk
from fixtures.plugins.proof import Proof
from fixtures.probes.plan import Destination, at, every
from fixtures.probes.runner import Prober
from fixtures.probes.ways import ping, tcp
from fixtures.verdicts.expectation import all_of, reached
from fixtures.verdicts.judge import judge
from fixtures.verdicts.observation import Cell, Sweep

pytestmark = pytest.mark.needs("vlan", "macvlan")

TRUNK = "trunk1"
SUBNETS = {
    10: IPv4Network("198.18.10.0/24"),
    20: IPv4Network("198.18.20.0/24"),
    1: IPv4Network("203.0.113.0/25"),
    4094: IPv4Network("203.0.113.128/25"),
}
NAMES = {10: "in10", 20: "in20", 1: "lowest", 4094: "highest"}
MISSING, THERE_BEFORE = f"{TRUNK}.30", f"{TRUNK}.40"
SPARE = IPv4Network("198.18.0.0/24"), IPv4Network("198.18.1.0/24")
"""For networks that nobody is on."""
BEYOND = ("0", "4095", "4096", "65546", "-1", "abc")
"""No VLAN ids; of 65546 the lower 12 bits are 10."""


@dataclass(frozen=True)
class Tagged:
    """The host with a container in each VLAN, by VLAN, and the wire at the other end of its card."""

    red: DockerHost
    wire: Machine
    containers: dict[int, ContainerEndpoint]

    def ids(self) -> dict[str, int]:
        """The VLAN ids of the host's 802.1Q links on its card, by their names."""
        links = [it for it in self.red.ip("-d", "link") if it.get("link") == TRUNK]
        return {it["ifname"]: it["linkinfo"]["info_data"]["id"] for it in links if kind(it) == "vlan"}


def kind(link: Mapping[str, Any]) -> str:
    """What a link is, in iproute2's word."""
    return str(link.get("linkinfo", {}).get("info_kind", ""))


def sub_interface(name: str, vlan: int) -> list[str]:
    """Lines for `ip -batch` that make one by hand."""
    return [f"link add link {TRUNK} name {name} type vlan id {vlan}", f"link set dev {name} up"]


@pytest.fixture(scope="module")
def lab(trunk: Trunk) -> Lab:
    """The trunk's, in place of one of the module's own."""
    return trunk.lab


@pytest.fixture(scope="module")
def tagged(lab: Lab, trunk: Trunk) -> Tagged:
    """One cable; the host has one sub-interface made by hand, and Docker makes the others."""
    red, wire = trunk.red, lab.station("wire")
    lab.cable(red.port(TRUNK), wire.port(TRUNK))
    for vlan, subnet in SUBNETS.items():
        name = f"{TRUNK}.{vlan}"
        wire.configure(*sub_interface(name, vlan), f"address add {subnet[1]}/{subnet.prefixlen} dev {name}")
    red.configure(*sub_interface(THERE_BEFORE, 40))
    made = {}
    for vlan, subnet in SUBNETS.items():
        macvlan = MacvlanNetwork(lab, red, f"tagged{vlan}", f"{TRUNK}.{vlan}", subnet, {NAMES[vlan]: subnet[11]})
        (made[vlan],) = macvlan.make()
    return Tagged(red, wire, made)


@fault(
    site="tagged",
    reddens={"macvlan_vlan/sub_interfaces/side_by_side": "in10 → wire"},
    spares=("macvlan_vlan/sub_interfaces/first_and_last_id",),
)
def tags_swapped(tagged: Tagged) -> Iterator[None]:
    """On the wire's side the addresses of VLAN 10 and VLAN 20 are on each other's link."""
    ten, twenty = (f"address {{}} {SUBNETS[vlan][1]}/24 dev {TRUNK}.{{}}" for vlan in (10, 20))
    right = [ten.format("{}", 10), twenty.format("{}", 20)]
    wrong = [ten.format("{}", 20), twenty.format("{}", 10)]
    done, undone = (
        [*(it.format("del") for it in old), *(it.format("add") for it in new)]
        for old, new in ((right, wrong), (wrong, right))
    )
    with configured(tagged.wire, done, undone):
        yield


@fault(
    site="tagged",
    reddens={"macvlan_vlan/sub_interfaces/first_and_last_id": "lowest → wire"},
    spares=("macvlan_vlan/sub_interfaces/side_by_side",),
)
def native_vlan(tagged: Tagged) -> Iterator[None]:
    """The wire takes VLAN 1 for its native one, whose frames have no tag."""
    address = f"{SUBNETS[1][1]}/25"
    with configured(
        tagged.wire,
        [f"address del {address} dev {TRUNK}.1", f"address add {address} dev {TRUNK}"],
        [f"address del {address} dev {TRUNK}", f"address add {address} dev {TRUNK}.1"],
    ):
        yield


@fault(
    site="tagged",
    reddens={"macvlan_vlan/sub_interfaces/made_and_removed": "it is there with its networks, and only then"},
    spares=("macvlan_vlan/sub_interfaces/one_that_was_there_stays",),
)
def somebody_made_it(tagged: Tagged) -> Iterator[None]:
    """The sub-interface that Docker is to make is there already."""
    with configured(tagged.red, sub_interface(MISSING, 30), [f"link del {MISSING}"]):
        yield


@fault(
    site="tagged",
    reddens={"macvlan_vlan/sub_interfaces/one_that_was_there_stays": "the link is there, and the same one"},
    spares=("macvlan_vlan/sub_interfaces/made_and_removed",),
)
def nobody_made_it(tagged: Tagged) -> Iterator[None]:
    """The sub-interface that was there before is gone, so that Docker makes it."""
    with configured(tagged.red, [f"link del {THERE_BEFORE}"], sub_interface(THERE_BEFORE, 40)):
        yield


@fault(
    site="tagged",
    reddens={"macvlan_vlan/sub_interfaces/other_ids_are_refused": "none is accepted"},
    spares=("macvlan_vlan/sub_interfaces/made_and_removed",),
)
def name_without_a_vlan(tagged: Tagged) -> Iterator[None]:
    """A bridge is called like a sub-interface with id 4095: Docker takes the name for what it says."""
    with configured(tagged.red, [f"link add {TRUNK}.4095 type bridge"], [f"link del {TRUNK}.4095"]):
        yield


@dataclass(frozen=True)
class Looked:
    """What was asked by VLAN, what was seen of it, and which tags the wire had on it."""

    cells: dict[int, tuple[Cell, ...]]
    seen: Sweep
    tags: dict[int, list[tuple[int, ...]]]


def look(lab: Lab, tagged: Tagged, prober: Prober, *vlans: int) -> Looked:
    """Ask the wire and the containers of these VLANs for each other, and listen at the wire's card."""
    ways, wire = [tcp(8080, timeout=lab.engine.patience), ping(timeout=lab.engine.patience)], tagged.wire.endpoint
    cells = {}
    for vlan in vlans:
        there = Destination("wire", str(SUBNETS[vlan][1]), frozenset({wire.identity}), wire)
        container = tagged.containers[vlan]
        cells[vlan] = every([container], [there], ways) + every([wire], [at(container)], ways)
    with lab.capture.on([wire], chain(*cells.values()), links=[TRUNK]) as taps:
        seen = prober.sweep(tuple(chain(*cells.values())))
    frames = {vlan: [frame for it in some for frame in taps.hops(it)] for vlan, some in cells.items()}
    return Looked(
        cells,
        seen,
        {vlan: sorted({it.ethernet.tags for it in some if it.ethernet}) for vlan, some in frames.items()},
    )


@pytest.mark.claim("MVL-4")
def test_side_by_side(lab: Lab, tagged: Tagged, lab_prober: Prober, proof: Proof) -> None:
    """Networks on trunk1.10 and trunk1.20, which Docker made, live on one card, each in its own VLAN on the wire.

        in10 ─ trunk1.10 ┬ trunk1 ═ wire      in10 → wire: ‹in10→wire tcp›         tags ‹tags 10›
        in20 ─ trunk1.20 ┘                    in20 → wire: ‹in20→wire tcp›         tags ‹tags 20›

    The names are Docker's word for the ids; the tags are the wire's.
    """
    looked = look(lab, tagged, lab_prober, 10, 20)

    ids = tagged.ids()
    proof.draws({f"tags {vlan}": found for vlan, found in looked.tags.items()})
    proof.concludes(judge(all_of(chain(*looked.cells.values()), reached()), looked.seen))
    proof.fact("both are 802.1Q links on the card", (ids.get("trunk1.10"), ids.get("trunk1.20")) == (10, 20), ids)
    proof.fact("each network's frames have its tag alone", looked.tags == {10: [(10,)], 20: [(20,)]}, looked.tags)


@pytest.mark.claim("MVL-7")
def test_first_and_last_id(lab: Lab, tagged: Tagged, lab_prober: Prober, proof: Proof) -> None:
    """VLAN ids 1 and 4094 are accepted, and are on the wire what they are called.

        lowest  ─ trunk1.1    ┬ trunk1 ═ wire   lowest → wire:  ‹lowest→wire tcp›        tags ‹tags 1›
        highest ─ trunk1.4094 ┘                 highest → wire: ‹highest→wire tcp›        tags ‹tags 4094›

    VLAN 1 is the one that many switches send without a tag.
    """
    looked = look(lab, tagged, lab_prober, 1, 4094)

    proof.draws({f"tags {vlan}": found for vlan, found in looked.tags.items()})
    proof.concludes(judge(all_of(chain(*looked.cells.values()), reached()), looked.seen))
    proof.fact(
        "each network's frames have its tag alone", looked.tags == {1: [(1,)], 4094: [(4094,)]}, looked.tags
    )


@pytest.mark.claim("MVL-7")
def test_other_ids_are_refused(tagged: Tagged, proof: Proof) -> None:
    """Parents trunk1.0, .4095, .4096, .65546, .-1 and .abc are refused with the id in the message, and not made.

        trunk1.0:    ‹0›
        trunk1.4095: ‹4095›
        trunk1.abc:  ‹abc›

    Of 65546 the lower 12 bits are 10: cut to a VLAN id it would be another network's.
    """
    before = tagged.ids()
    said = {}
    for number, vlan in enumerate(BEYOND):
        with attempts.network(tagged.red, f"beyond{number}", SPARE[0], parent=f"{TRUNK}.{vlan}") as attempt:
            said[vlan] = attempt

    accepted = [vlan for vlan, attempt in said.items() if attempt.made]
    unclear = [attempt.refusal for vlan, attempt in said.items() if vlan not in attempt.refusal]
    proof.draws({vlan: said[vlan] for vlan in ("0", "4095", "abc")})
    proof.shows("\n".join(f"{TRUNK}.{vlan}: {attempt}" for vlan, attempt in said.items()))
    proof.fact("none is accepted", not accepted, accepted or "none")
    proof.fact("every refusal names the id", not unclear, unclear or "all do")
    proof.fact("no link was made for them", tagged.ids() == before, tagged.ids())


@pytest.mark.claim("MVL-4")
def test_made_and_removed(tagged: Tagged, proof: Proof) -> None:
    """A sub-interface that is missing is made with its first network, and goes with its last.

        before the network:    ‹before›
        with it:               ‹with›
        without its first:     ‹first gone›
        without its last:      ‹last gone›

    From Docker 27 on a sub-interface may have two networks; until then the first is the last.
    """
    shared = expected(Behaviour.MACVLAN_PARENT_SHARED, tagged.red.version)
    proof.shows(str(shared))

    ids = [tagged.ids().get(MISSING)]
    with attempts.network(tagged.red, "last", SPARE[0], parent=MISSING) as last:
        ids.append(tagged.ids().get(MISSING))
        with attempts.network(tagged.red, "first", SPARE[1], parent=MISSING) as first:
            pass
        ids.append(tagged.ids().get(MISSING))
    ids.append(tagged.ids().get(MISSING))

    shown = [f"802.1Q {vlan}" if vlan else "none" for vlan in ids]
    proof.draws(dict(zip(("before", "with", "first gone", "last gone"), shown, strict=True)))
    proof.fact("its network was made", bool(last.made), last)
    proof.fact("a second one as this release has it", bool(first.made) == bool(shared), first)
    proof.fact("it is there with its networks, and only then", ids == [None, 30, 30, None], shown)


@pytest.mark.claim("MVL-4")
def test_one_that_was_there_stays(tagged: Tagged, proof: Proof) -> None:
    """A sub-interface that was made by hand is used as it is, and outlives its network.

        with the network: ‹with›
        after it:         ‹after›

    It is the same link: its index has not changed.
    """
    with attempts.network(tagged.red, "guest", SPARE[0], parent=THERE_BEFORE) as attempt:
        used = index(tagged, THERE_BEFORE)
    left = index(tagged, THERE_BEFORE)

    proof.draws({"with": used, "after": left})
    proof.fact("its network was made", bool(attempt.made), attempt)
    proof.fact("the link is there, and the same one", left == used, left)


def index(tagged: Tagged, name: str) -> str:
    """The index of one of the host's links, "none" where there is no such link."""
    return next((f"link {it['ifindex']}" for it in tagged.red.ip("link") if it["ifname"] == name), "none")
