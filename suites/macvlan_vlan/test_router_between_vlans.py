"""Containers of two VLANs talk by a router with an address in both, and no longer once it does not forward.

    red, Docker host                              switch                  router, forwards
    red10 192.0.2.11 ───── trunk0.10 ┬ trunk0 ════╡ to-red                ┌ eth0.10 192.0.2.1     ‹router 10›
    red20 198.51.100.11 ── trunk0.20 ┘            ╞ to-router ═════ eth0 ─┴ eth0.20 198.51.100.1  ‹router 20›
    (the router is their gateway)                 │
                                                  │                       back, does not forward
                                                  │                       ┌ eth0.10 192.0.2.2
                                                  ╞ to-back ═══════ eth0 ─┴ eth0.20 198.51.100.2

    red10 ‹red10→red20› red20, by the router          red10 ‹red10→back› back, without it

Both containers are on one card of one host, and still the only way between them is out to the router and back. It
fails where the router does not forward or is bypassed, and where neighbours in one VLAN take a detour by it. The
lab is one with that of the other modules about VLANs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

import pytest

from fixtures.endpoints.containers import ContainerEndpoint
from fixtures.evidence.drawing import way_in_words
from fixtures.faults.fault import fault
from fixtures.lab.docker_host import DockerHost
from fixtures.lab.lab import Lab
from fixtures.lab.machine import Machine
from fixtures.lab.topologies.trunk import SUBNET_OF_10, Trunk, in_vlan
from fixtures.plugins.proof import Proof
from fixtures.probes.capture import rendered
from fixtures.probes.convergence import must_become
from fixtures.probes.frames import Direction, Frame
from fixtures.probes.plan import at, between, every, virtual
from fixtures.probes.runner import Prober
from fixtures.probes.ways import ping, tcp, udp
from fixtures.verdicts.expectation import all_of, blocked, reached
from fixtures.verdicts.judge import judge
from fixtures.verdicts.observation import Cell, Probe

pytestmark = pytest.mark.needs("vlan", "macvlan")

VLANS = {10: SUBNET_OF_10, 20: IPv4Network("198.51.100.0/24")}
ROUTER, BACK, CONTAINER = 1, 2, 11
"""The last number of each one's addresses."""
FORWARDING = "net.ipv4.ip_forward"
TTL = 64
"""What a packet starts with."""


@dataclass(frozen=True)
class Routed:
    """A container in each VLAN, the router between them, and a machine in both that does not forward."""

    lab: Lab
    red: DockerHost
    red10: ContainerEndpoint
    red20: ContainerEndpoint
    router: Machine
    back: Machine


def address(vlan: int, number: int) -> IPv4Address:
    """The address with that last number in a VLAN's subnet."""
    return VLANS[vlan].network_address + number


@pytest.fixture(scope="module")
def lab(trunk: Trunk) -> Lab:
    """The trunk's, in place of one of the module's own."""
    return trunk.lab


@pytest.fixture(scope="module")
def routed(lab: Lab, trunk: Trunk) -> Routed:
    """One Docker host, and two machines that are in both VLANs."""
    router, back = lab.station("router", sysctls={FORWARDING: "1"}), lab.station("back", sysctls={FORWARDING: "0"})
    for machine, number in ((router, ROUTER), (back, BACK)):
        trunk.plug(machine, "eth0")
        for vlan in VLANS:
            machine.sub_interface("eth0", vlan, IPv4Interface(f"{address(vlan, number)}/24"))
    red20 = in_vlan(trunk.red, 20, VLANS[20], address(20, CONTAINER), gateway=address(20, ROUTER))
    return Routed(lab, trunk.red, trunk.red10, red20, router, back)


@contextmanager
def forwarding_off(routed: Routed) -> Iterator[None]:
    """The router keeps its addresses and answers at them, and forwards nothing."""
    with routed.lab.setting(routed.router, FORWARDING, "0"):
        yield


@contextmanager
def unplugged(routed: Routed) -> Iterator[None]:
    """The router's only card is down."""
    routed.router.configure("link set dev eth0 down")
    try:
        yield
    finally:
        routed.router.configure("link set dev eth0 up")


@contextmanager
def route(routed: Routed, container: ContainerEndpoint, *words: str) -> Iterator[None]:
    """One more route in a container, laid by its host's root."""
    inside = ("nsenter", f"--net=/proc/{container.pid}/ns/net", "ip", "route")
    routed.red.as_root(*inside, "add", *words)
    try:
        yield
    finally:
        routed.red.as_root(*inside, "del", *words)


@fault(
    site="routed",
    reddens={
        "macvlan_vlan/router_between_vlans/talk_by_the_router": "red10 → red20",
        "macvlan_vlan/router_between_vlans/stop_with_the_router": "red10 → red20",
    },
    spares=("macvlan_vlan/router_between_vlans/neighbours_need_no_router",),
)
def router_does_not_forward(routed: Routed) -> Iterator[None]:
    """The router has its addresses and answers at them, and does not forward."""
    with forwarding_off(routed):
        yield


@fault(
    site="routed",
    reddens={
        "macvlan_vlan/router_between_vlans/talk_by_the_router": "in by one VLAN, out by the other",
        "macvlan_vlan/router_between_vlans/stop_with_the_router": "red10 → red20",
    },
    spares=("macvlan_vlan/router_between_vlans/neighbours_need_no_router",),
)
def back_door(routed: Routed) -> Iterator[None]:
    """The other machine in both VLANs forwards as well, and the containers have routes by it."""
    with (
        routed.lab.setting(routed.back, FORWARDING, "1"),
        route(routed, routed.red10, str(VLANS[20]), "via", str(address(10, BACK))),
        route(routed, routed.red20, str(VLANS[10]), "via", str(address(20, BACK))),
    ):
        yield


@fault(
    site="routed",
    reddens={
        "macvlan_vlan/router_between_vlans/neighbours_need_no_router": "on the neighbour's card alone",
        "macvlan_vlan/router_between_vlans/stop_with_the_router": "red10 → back",
    },
    spares=("macvlan_vlan/router_between_vlans/talk_by_the_router",),
)
def detour(routed: Routed) -> Iterator[None]:
    """The containers have a route by the router to a neighbour in their own VLAN."""
    with ExitStack() as routes:
        for vlan, container in ((10, routed.red10), (20, routed.red20)):
            way = (str(address(vlan, BACK)), "via", str(address(vlan, ROUTER)))
            routes.enter_context(route(routed, container, *way))
        yield


@pytest.mark.claim("MVL-8")
def test_talk_by_the_router(routed: Routed, lab_prober: Prober, proof: Proof) -> None:
    """TCP, UDP and ICMP arrive without NAT, each packet into the router by one VLAN and out by the other."""
    *telling, silent = _ways(routed)  # an echo reply does not tell as whom the source was seen
    told, pings = (between([routed.red10, routed.red20], ways) for ways in (telling, [silent]))
    cells = told + pings

    with routed.lab.capture.on([routed.router.endpoint], cells, links=["eth0"]) as taps:
        sweep = lab_prober.sweep(cells)

    frames = [frame for cell in cells for frame in taps.hops(cell)]
    proof.evidence("router.txt", rendered(frames))
    proof.draws({f"router {vlan}": _passed(frames, vlan) for vlan in VLANS})
    sources = {container.name: container.addresses for container in (routed.red10, routed.red20)}
    themselves = {cell: reached(seen_as=sources[cell.source]) for cell in told}
    proof.concludes(judge(themselves | all_of(pings, reached()), sweep))
    promised = {("in", vlan, TTL) for vlan in VLANS} | {("out", vlan, TTL - 1) for vlan in VLANS}
    seen = {_passage(frame) for frame in frames}
    proof.fact("in by one VLAN, out by the other, and one hop less to live", seen == promised, sorted(seen))


@pytest.mark.claim("MVL-8")
@pytest.mark.parametrize("stopped", [forwarding_off, unplugged], ids=["forwarding-off", "unplugged"])
def test_stop_with_the_router(
    routed: Routed, stopped: Callable[[Routed], AbstractContextManager[None]], lab_prober: Prober, proof: Proof
) -> None:
    """While the router stands still neither reaches the other, only its own VLAN; before and after they talk.

        red10 192.0.2.11 ─ VLAN 10 ─ router ─ VLAN 20 ─ red20 198.51.100.11

        before:             red10 → red20 ‹before›
        it stands still:    red10 → red20 ‹during›,  red10 → back in VLAN 10 ‹red10→back›
        ‹seconds› s after:  red10 → red20 ‹after›

    Nothing is changed in the containers.
    """
    between_vlans = between([routed.red10, routed.red20], _ways(routed))
    beside = _beside(routed)

    before = lab_prober.sweep(between_vlans)
    proof.concludes(judge(all_of(between_vlans, reached()), before))
    with stopped(routed):
        during = lab_prober.sweep(between_vlans + beside)
    after = must_become(lab_prober, all_of(between_vlans, reached()))

    without = all_of(between_vlans, blocked()) | all_of(beside, reached())
    proof.concludes(judge(without, during), after.judgement)
    sweeps = {"before": before, "during": during, "after": after.judgement.sweep}
    proof.draws({when: way_in_words(seen, "red10", "red20") for when, seen in sweeps.items()})
    proof.draws({"seconds": f"{after.took:.2f}"})
    proof.measured("until they talk again", after.took, "s")


@pytest.mark.claim("MVL-8")
def test_neighbours_need_no_router(routed: Routed, lab_prober: Prober, proof: Proof) -> None:
    """Within a VLAN packets go from card to card: they arrive with all their hops, and the router sees none."""
    cells = _beside(routed)

    with routed.lab.capture.on([routed.router.endpoint, routed.back.endpoint], cells, links=["eth0"]) as taps:
        sweep = lab_prober.sweep(cells)

    proof.concludes(judge(all_of(cells, reached()), sweep))
    frames = [frame for cell in cells for frame in taps.hops(cell)]
    proof.evidence("frames.txt", rendered(frames))
    seen = {(frame.place, frame.packet.ttl) for frame in frames if frame.packet}
    proof.fact("on the neighbour's card alone, with all hops to live", seen == {("back", TTL)}, sorted(seen))


def _ways(routed: Routed) -> list[Probe]:
    patience = routed.lab.engine.patience
    return [tcp(8080, timeout=patience), udp(8080, timeout=patience), ping(timeout=patience)]


def _beside(routed: Routed) -> tuple[Cell, ...]:
    """Each container to the machine `back` in its own VLAN, and back."""
    back, ways = routed.back.endpoint, _ways(routed)
    here, there = (virtual("back", address(vlan, BACK), [back]) for vlan in VLANS)
    from_back = every([back], [at(routed.red10), at(routed.red20)], ways)
    return every([routed.red10], [here], ways) + every([routed.red20], [there], ways) + from_back


def _passage(frame: Frame) -> tuple[str, int | None, int]:
    """Which way a frame passed the router's card, in which VLAN, and how many hops it has to live."""
    assert frame.ethernet
    assert frame.packet
    return "out" if frame.direction is Direction.OUT else "in", frame.ethernet.vlan, frame.packet.ttl


def _passed(frames: Iterable[Frame], vlan: int) -> str:
    """For the drawing: "9 in with TTL 64, 9 out with TTL 63"."""
    passages = Counter(_passage(frame) for frame in frames)
    there = ((way, ttl, count) for (way, found, ttl), count in sorted(passages.items()) if found == vlan)
    return ", ".join(f"{count} {way} with TTL {ttl}" for way, ttl, count in there) or "nothing"
