"""A VLAN joins what is in it, on two hosts, and nothing else; on the trunk its frames carry its tag alone.

    red, Docker host                 switch                         blue, Docker host
    red10 192.0.2.11                 ├ to-red   10, 20 tagged       blue10 192.0.2.12
      └ trunk0.10 ─ trunk0 ══════════┤   ‹to-red tags›                └ trunk0.10 ┐
                                     ├ to-blue  10, 20 tagged ═══════════════════ trunk0
                                     │   ‹to-blue tags›               ┌ trunk0.20 ┘
    ten    192.0.2.21 ── eth0 ───────┤ to-ten     10                blue20 192.0.2.140
    twenty 192.0.2.141 ─ eth0 ───────┘ to-twenty  20  ‹to-twenty tags›

    in one VLAN      red10 ‹red10→blue10› blue10      twenty ‹twenty→blue20› blue20
    in two           red10 ‹red10→blue20› blue20      twenty ‹twenty→red10› red10

All are of one subnet (blue has its halves): nothing but the tags keeps them apart. It fails where a switch leaks,
where the two ends of a trunk disagree about a VLAN (not carried, or untagged as the native one), and where an
access port is in the wrong VLAN or tags its frames. The lab is one with that of the other modules about VLANs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from ipaddress import IPv4Interface, ip_address

import pytest

from fixtures.endpoints.containers import ContainerEndpoint
from fixtures.faults.fault import fault
from fixtures.faults.lab_levers import mtu
from fixtures.faults.switch_levers import joined, native, not_carried, tagged
from fixtures.lab.docker_host import WITHOUT_NAT
from fixtures.lab.lab import Lab
from fixtures.lab.switch import Switch
from fixtures.lab.topologies.trunk import SUBNET_OF_10, Trunk, in_vlan
from fixtures.plugins.proof import Proof
from fixtures.probes.capture import rendered
from fixtures.probes.frames import Direction, Frame
from fixtures.probes.kernel import look_at, quiet
from fixtures.probes.plan import Destination, at, between, every
from fixtures.probes.runner import Prober
from fixtures.probes.ways import filling, ping, tcp, udp
from fixtures.verdicts.expectation import all_of, blocked, reached
from fixtures.verdicts.judge import judge
from fixtures.verdicts.observation import IPAddress, Probe

pytestmark = pytest.mark.needs("vlan", "macvlan")

LOWER, UPPER = SUBNET_OF_10.subnets()
NOBODY_IN_10, NOBODY_IN_20 = Destination("nobody", "192.0.2.99"), Destination("nobody", "192.0.2.199")
"""Addresses that nobody has: who asks for them asks by broadcast, and gets no answer."""
PORTS = {"to-red": (10, 20), "to-blue": (10, 20), "to-ten": (10,), "to-twenty": (20,)}
TRUNKS = ("to-red", "to-blue")
MTU = 1500
SOURCE_PORT = 40010
"""Of the TCP connection whose bare segments (handshake, acknowledgements, end) are to be seen as well."""

Place = tuple[str, tuple[int, ...]]
"""A link of the switch, and the tags that a frame had there."""


@dataclass(frozen=True)
class Wired:
    """Containers in VLAN 10 on both hosts, one in VLAN 20 on blue, and a plain machine in each VLAN."""

    red10: ContainerEndpoint
    blue10: ContainerEndpoint
    blue20: ContainerEndpoint
    ten: ContainerEndpoint
    twenty: ContainerEndpoint
    switch: Switch


@pytest.fixture(scope="module")
def lab(trunk: Trunk) -> Lab:
    """The trunk's, in place of one of the module's own."""
    return trunk.lab


@pytest.fixture(scope="module")
def wired(lab: Lab, trunk: Trunk) -> Wired:
    """Two Docker hosts and two stations on a switch."""
    blue = lab.host("blue", options=WITHOUT_NAT)
    trunk.plug(blue)
    return Wired(
        red10=trunk.red10,
        blue10=in_vlan(blue, 10, LOWER, LOWER[12]),
        blue20=in_vlan(blue, 20, UPPER, UPPER[12]),
        ten=trunk.access("ten", 10, IPv4Interface("192.0.2.21/24")).endpoint,
        twenty=trunk.access("twenty", 20, IPv4Interface("192.0.2.141/24")).endpoint,
        switch=trunk.switch,
    )


@fault(
    site="wired",
    reddens={
        "macvlan_vlan/vlans_on_a_trunk/joins_what_is_in_it_and_nothing_else": "red10 → blue20",
        "macvlan_vlan/vlans_on_a_trunk/not_even_arp": "red10 knows no hardware address of blue20",
        "macvlan_vlan/vlans_on_a_trunk/access_port": "alone hears who asks for",
    },
    spares=("macvlan_vlan/vlans_on_a_trunk/every_frame_has_its_tag",),
)
def leaking_switch(wired: Wired) -> Iterator[None]:
    """A patch cable on the switch joins VLAN 10 to VLAN 20."""
    with joined(wired.switch, 10, 20):
        yield


@fault(
    site="wired",
    reddens={
        "macvlan_vlan/vlans_on_a_trunk/joins_what_is_in_it_and_nothing_else": "blue10",
        "macvlan_vlan/vlans_on_a_trunk/every_frame_has_its_tag": "every frame on a trunk has tag 10 alone",
    },
    spares=("macvlan_vlan/vlans_on_a_trunk/access_port",),
)
def native_vlan_mismatch(wired: Wired) -> Iterator[None]:
    """The switch's trunk port to blue has VLAN 10 as its native VLAN, untagged, and blue expects a tag."""
    with native(wired.switch, "to-blue", 10):
        yield


@fault(
    site="wired",
    reddens={
        "macvlan_vlan/vlans_on_a_trunk/joins_what_is_in_it_and_nothing_else": "blue10",
        "macvlan_vlan/vlans_on_a_trunk/every_frame_has_its_tag": "every frame on a trunk has tag 10 alone",
    },
    spares=("macvlan_vlan/vlans_on_a_trunk/not_even_arp", "macvlan_vlan/vlans_on_a_trunk/access_port"),
)
def vlan_not_on_the_trunk(wired: Wired) -> Iterator[None]:
    """The switch's trunk port to blue does not carry VLAN 10."""
    with not_carried(wired.switch, "to-blue", 10):
        yield


@fault(
    site="wired",
    reddens=(
        "macvlan_vlan/vlans_on_a_trunk/joins_what_is_in_it_and_nothing_else",
        "macvlan_vlan/vlans_on_a_trunk/access_port",
    ),
    spares=("macvlan_vlan/vlans_on_a_trunk/every_frame_has_its_tag",),
    says="twenty",
)
def access_port_that_tags(wired: Wired) -> Iterator[None]:
    """The port of a plain machine in VLAN 20 was set up as a trunk."""
    with tagged(wired.switch, "to-twenty", 20):
        yield


@fault(
    site="wired",
    reddens={"macvlan_vlan/vlans_on_a_trunk/full_frames": "red10"},
    spares=("macvlan_vlan/vlans_on_a_trunk/not_even_arp", "macvlan_vlan/vlans_on_a_trunk/every_frame_has_its_tag"),
)
def no_room_for_the_tag(wired: Wired) -> Iterator[None]:
    """The switch's port to red takes frames that are five bytes shorter than full ones."""
    with mtu(wired.switch, "to-red", MTU - 5):
        yield


@pytest.mark.claim("MVL-5")
def test_joins_what_is_in_it_and_nothing_else(lab: Lab, wired: Wired, lab_prober: Prober, proof: Proof) -> None:
    """In one VLAN TCP and ICMP arrive, over trunk and access port; in two, of one subnet, nothing does."""
    ways = [tcp(8080, timeout=lab.engine.patience), ping(timeout=lab.engine.patience)]
    same = between([wired.red10, wired.blue10, wired.ten], ways) + between([wired.twenty, wired.blue20], ways)
    other = every([wired.red10, wired.ten], _each(wired.blue20, wired.twenty), ways)
    other += every([wired.twenty], _each(wired.red10, wired.blue10, wired.ten), ways)
    expected = all_of(same, reached()) | all_of(other, blocked())

    proof.concludes(judge(expected, lab_prober.sweep(tuple(expected))))


@pytest.mark.claim("MVL-5")
def test_not_even_arp(lab: Lab, wired: Wired, lab_prober: Prober, proof: Proof) -> None:
    """Who asks for an address of the other VLAN is heard in its own alone, and is told no hardware address."""
    ways = [ping(timeout=lab.engine.patience)]
    pairs = [(wired.red10, wired.blue20, 10), (wired.ten, wired.twenty, 10), (wired.twenty, wired.red10, 20)]
    other = tuple(cell for one, two, _ in pairs for cell in every([one], [at(two)], ways))
    same = between([wired.red10, wired.ten], ways) + between([wired.twenty, wired.blue20], ways)
    quiet(lab.conversations, [one for one, _, _ in pairs])

    with lab.capture.on([wired.switch.endpoint], addresses=[_ip(two) for _, two, _ in pairs], links=PORTS) as taps:
        sweep = lab_prober.sweep(other + same)
    tables = look_at(lab.conversations, [one for one, _, _ in pairs])

    for one, two, vlan in pairs:
        asked = [frame for frame in taps.arp(_ip(two)) if frame.arp and frame.arp.other == _ip(one)]
        proof.evidence(f"{one.name}-asks-for-{two.name}.txt", rendered(asked))
        heard, answers = _places(asked), [frame for frame in asked if frame.arp and frame.arp.answer]
        known = [entry for entry in tables[one.name].neighbours if entry.address == _ip(two)]
        proof.fact(f"{one.name} knows no hardware address of {two.name}", not known, known or "none")
        proof.fact(f"{one.name} asks who has {_ip(two)}", bool(heard), _in_words(heard))
        proof.fact(f"it is heard in VLAN {vlan} alone", heard <= _of_vlan(vlan), _in_words(heard))
        proof.fact("nobody answers", not answers, f"{len(asked)} questions, {len(answers)} answers")
    proof.concludes(judge(all_of(other, blocked()) | all_of(same, reached()), sweep))


@pytest.mark.claim("MVL-6")
def test_every_frame_has_its_tag(lab: Lab, wired: Wired, lab_prober: Prober, proof: Proof) -> None:
    """On both trunks each frame of TCP, UDP and ICMP, there and back, carries its VLAN's tag and no second one."""
    ways = _three_ways(lab)
    cells = between([wired.red10, wired.blue10], ways)
    cells += every([wired.red10], [at(wired.blue10)], [replace(ways[0], source_port=SOURCE_PORT)])

    with lab.capture.on([wired.switch.endpoint], cells, ports=[SOURCE_PORT], links=PORTS) as taps:
        sweep = lab_prober.sweep(cells)

    frames = [frame for cell in cells for frame in taps.hops(cell)] + taps.using(SOURCE_PORT)
    proof.evidence("frames.txt", rendered(frames))
    proof.draws({f"{link} tags": _tags(frames, link) for link in TRUNKS})
    seen = _passages(frames)
    told = _in_words((f"{link} {way}", tags) for link, way, tags in seen)
    proof.fact("every frame on a trunk has tag 10 alone", {tags for _, _, tags in seen} == {(10,)}, told)
    proof.concludes(judge(all_of(cells, reached()), sweep))
    promised = {(link, way, (10,)) for link in TRUNKS for way in ("in", "out")}
    proof.fact("they went both ways on both trunks, and nowhere else", seen == promised, told)


@pytest.mark.claim("MVL-6")
def test_access_port(lab: Lab, wired: Wired, lab_prober: Prober, proof: Proof) -> None:
    """An access port has the frames of its VLAN without tag, and none of the other VLAN, not even broadcasts."""
    cells = between([wired.twenty, wired.blue20], _three_ways(lab))
    shouts = every([wired.red10], [NOBODY_IN_10], [ping()]) + every([wired.blue20], [NOBODY_IN_20], [ping()])
    addresses = [ip_address(shout.address) for shout in shouts]
    quiet(lab.conversations, [wired.red10, wired.blue20])

    with lab.capture.on([wired.switch.endpoint], cells, addresses=addresses, links=PORTS) as taps:
        sweep = lab_prober.sweep(cells + shouts)

    frames = [frame for cell in cells for frame in taps.hops(cell)]
    proof.evidence("frames.txt", rendered(frames))
    proof.draws({f"{link} tags": _tags(frames, link) for link in ("to-blue", "to-twenty")})
    for address, port in zip(addresses, ("to-ten", "to-twenty"), strict=True):
        heard = {place for place in _places(taps.arp(address)) if place[0] not in TRUNKS}
        claim = f"of the access ports {port} alone hears who asks for {address}, without tag"
        proof.fact(claim, heard == {(port, ())}, _in_words(heard))
    proof.concludes(judge(all_of(cells, reached()), sweep))
    way, seen = {("to-twenty", ()), ("to-blue", (20,))}, _places(frames)
    proof.fact("untagged on the access port, VLAN 20 on the trunk", seen == way, _in_words(seen))


@pytest.mark.claim("MVL-6")
def test_full_frames(lab: Lab, wired: Wired, lab_prober: Prober, proof: Proof) -> None:
    """UDP and ICMP in packets of 1500 bytes pass the trunk both ways, and 20 kB by TCP: none is cut.

    A card or a switch that counts the tag as part of the frame drops what is full, and nothing else: handshakes
    and small answers pass, and transfers stand still.
    """
    patience = lab.engine.patience
    ways = [*filling(8080, MTU, timeout=patience), tcp(8080, size=20_000, timeout=patience)]
    cells = between([wired.red10, wired.ten], ways)

    with lab.capture.on([wired.switch.endpoint], cells, links=["to-red"]) as taps:
        seen = lab_prober.sweep(cells)

    # Segments of TCP are cut by the card, where one is: these show as one long packet.
    packets = [it.packet for it in taps.frames if it.packet and it.packet.protocol != "tcp"]
    longest, cut = max((it.length for it in packets), default=0), [str(it) for it in packets if it.fragment]
    proof.concludes(judge(all_of(cells, reached()), seen))
    proof.fact(f"the longest of {len(packets)} datagrams has the whole MTU", longest == MTU, longest)
    proof.fact("none is cut", not cut, cut[:5] or "none")


def _three_ways(lab: Lab) -> list[Probe]:
    patience = lab.engine.patience
    return [tcp(8080, timeout=patience), udp(8080, timeout=patience), ping(timeout=patience)]


def _each(*endpoints: ContainerEndpoint) -> list[Destination]:
    return [at(endpoint) for endpoint in endpoints]


def _ip(endpoint: ContainerEndpoint) -> IPAddress:
    return endpoint.addresses[0]


def _places(frames: Iterable[Frame]) -> frozenset[Place]:
    return frozenset((frame.link, frame.ethernet.tags) for frame in frames if frame.ethernet)


def _passages(frames: Iterable[Frame]) -> set[tuple[str, str, tuple[int, ...]]]:
    """Where frames were, whether they came into the switch there or went out of it, and their tags."""
    ways = {Direction.OUT: "out"}
    return {(it.link, ways.get(it.direction, "in"), it.ethernet.tags) for it in frames if it.ethernet}


def _of_vlan(vlan: int) -> frozenset[Place]:
    """Where frames of that VLAN may be, and with which tags there."""
    ports = [link for link, vlans in PORTS.items() if vlan in vlans]
    return frozenset((link, (vlan,) if link in TRUNKS else ()) for link in ports)


def _in_words(places: Iterable[Place]) -> str:
    words = (f"{link} {'tagged ' + ', '.join(map(str, tags)) if tags else 'untagged'}" for link, tags in places)
    return "; ".join(sorted(words)) or "nowhere"


def _tags(frames: Iterable[Frame], link: str) -> str:
    """For the drawing: "12 frames: 10", "4 frames: untagged"."""
    there = [frame.ethernet.tags for frame in frames if frame.link == link and frame.ethernet]
    kinds = sorted({"+".join(map(str, tags)) or "untagged" for tags in there})
    return f"{len(there)} frames: {', '.join(kinds) or 'none'}"
