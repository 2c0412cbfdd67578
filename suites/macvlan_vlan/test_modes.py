"""The modes of macvlan differ in who may talk with whom on one card: bridge, private, vepa, passthru.

    red, Docker host                                          switch
      bridge1  192.0.2.11,  bridge2  192.0.2.12  ─ card0 ═════╪═ eth0 192.0.2.1, .65, .129, .193 peer
      private1 192.0.2.75,  private2 192.0.2.76  ─ card1 ═════╡
      vepa1    192.0.2.139, vepa2    192.0.2.140 ─ card2 ═════╡
      alone    192.0.2.203                       ─ card3 ═════╛

    bridge:   the card joins its containers itself        bridge1 → bridge2: ‹bridge1→bridge2›
    private:  it never does, nor does it take them back   private1 → private2: ‹private1→private2›
    vepa:     a switch may, if it sends frames back       vepa1 → vepa2: ‹vepa1→vepa2›
    passthru: the one container has the card              peer → alone: ‹peer→alone›

In every mode all of them reach the peer. Who is joined where is seen at the switch's ports, and not at the cards:
the kernel shows those who listen at a card also what it hands from container to container. A check fails where a
network has another mode than was asked for, and where the switch sends frames back that it should not.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

import pytest

from fixtures.endpoints.containers import ContainerEndpoint
from fixtures.endpoints.together import together
from fixtures.faults.fault import fault
from fixtures.faults.lab_levers import configured_inside
from fixtures.lab import attempts
from fixtures.lab.docker_host import WITHOUT_NAT, DockerHost
from fixtures.lab.lab import Lab
from fixtures.lab.machine import Machine
from fixtures.lab.macvlan import MacvlanNetwork
from fixtures.lab.switch import Switch
from fixtures.plugins.proof import Proof
from fixtures.probes.convergence import must_become
from fixtures.probes.frames import Direction
from fixtures.probes.journey import Hop, in_words
from fixtures.probes.kernel import look_at
from fixtures.probes.plan import Destination, at, between, every
from fixtures.probes.promises import without_nat
from fixtures.probes.runner import Prober
from fixtures.probes.ways import ping, udp
from fixtures.verdicts.expectation import all_of, blocked
from fixtures.verdicts.judge import judge
from fixtures.verdicts.observation import Cell

pytestmark = [pytest.mark.claim("MVL-9"), pytest.mark.needs("macvlan")]

SUBNETS = list(IPv4Network("192.0.2.0/24").subnets(new_prefix=26))
MEMBERS = {
    "bridge": {"bridge1": IPv4Address("192.0.2.11"), "bridge2": IPv4Address("192.0.2.12")},
    "private": {"private1": IPv4Address("192.0.2.75"), "private2": IPv4Address("192.0.2.76")},
    "vepa": {"vepa1": IPv4Address("192.0.2.139"), "vepa2": IPv4Address("192.0.2.140")},
    "passthru": {"alone": IPv4Address("192.0.2.203")},
}
"""By mode, each on the card of its place in this list."""
HOSTS = {"bridge": (IPv4Interface("192.0.2.10/26"),), "passthru": (IPv4Interface("192.0.2.200/26"),)}
"""The host's own addresses, by the mode of their card."""
WAYS = (udp(8080), ping())


@dataclass(frozen=True)
class Modes:
    """The host's networks by mode, with their containers."""

    red: DockerHost
    switch: Switch
    peer: Machine
    networks: dict[str, MacvlanNetwork]
    containers: dict[str, tuple[ContainerEndpoint, ...]]

    def link(self, mode: str) -> str:
        """The switch's port to that mode's card."""
        return f"to-{self.networks[mode].parent}"

    def joined(self, mode: str) -> tuple[Cell, ...]:
        """Cells of that mode's containers to each other."""
        return between(self.containers[mode], WAYS)

    def with_peer(self, mode: str) -> tuple[Cell, ...]:
        """Cells of that mode's containers and the peer, at the peer's address in their subnet."""
        containers = self.containers[mode]
        peer = self.peer.endpoint
        there = Destination("peer", str(self.networks[mode].subnet[1]), frozenset({peer.identity}), peer)
        return every(containers, [there], WAYS) + every([peer], map(at, containers), WAYS)


@pytest.fixture(scope="module")
def modes(lab: Lab) -> Modes:
    """A card and a network for each mode; the host has an address on the first card and on the last."""
    red, switch, peer = lab.host("red", options=WITHOUT_NAT), lab.switch("switch"), lab.station("peer")
    lab.cable(peer.port("eth0", *(IPv4Interface(f"{net[1]}/26") for net in SUBNETS)), switch.access("to-peer"))
    # Or the host would answer for the address of one card at another: they are all on one segment here.
    red.as_root("sysctl", "-qw", "net.ipv4.conf.all.arp_ignore=1")
    networks = {}
    for number, (mode, members) in enumerate(MEMBERS.items()):
        addresses = HOSTS.get(mode, ())
        lab.cable(red.port(f"card{number}", *addresses), switch.access(f"to-card{number}"))
        options = {"macvlan_mode": mode}
        networks[mode] = MacvlanNetwork(
            lab, red, f"flat-{mode}", f"card{number}", SUBNETS[number], members, options
        )
    made = together(*(one.make for one in networks.values()))
    return Modes(red, switch, peer, networks, dict(zip(networks, made, strict=True)))


@contextmanager
def changed(modes: Modes, mode: str, to: str) -> Iterator[None]:
    """The links of that mode's containers are in another mode for as long as this lasts."""
    with ExitStack() as links:
        for container in modes.containers[mode]:
            link = "link set dev eth0 type macvlan mode"
            links.enter_context(configured_inside(modes.red, container, f"{link} {to}", f"{link} {mode}"))
        yield


@fault(
    site="modes",
    reddens={"macvlan_vlan/modes/bridge": "no frame between the containers was on the wire"},
    spares=("macvlan_vlan/modes/private", "macvlan_vlan/modes/vepa_behind_a_reflecting_switch"),
)
def bridge_by_way_of_the_switch(modes: Modes) -> Iterator[None]:
    """The containers of mode bridge are in mode vepa, and the switch sends back what they say to each other."""
    with changed(modes, "bridge", "vepa"), modes.switch.reflecting(modes.link("bridge")):
        yield


@fault(
    site="modes",
    reddens={"macvlan_vlan/modes/private": "private1 → private2"},
    spares=("macvlan_vlan/modes/bridge", "macvlan_vlan/modes/vepa"),
)
def bridge_instead_of_private(modes: Modes) -> Iterator[None]:
    """The containers of mode private are in mode bridge."""
    with changed(modes, "private", "bridge"):
        yield


@fault(
    site="modes",
    reddens={"macvlan_vlan/modes/vepa_behind_a_reflecting_switch": "vepa1 → vepa2"},
    spares=("macvlan_vlan/modes/private", "macvlan_vlan/modes/bridge", "macvlan_vlan/modes/vepa"),
)
def private_instead_of_vepa(modes: Modes) -> Iterator[None]:
    """The containers of mode vepa are in mode private."""
    with changed(modes, "vepa", "private"):
        yield


@fault(
    site="modes",
    reddens={"macvlan_vlan/modes/vepa": "vepa1 → vepa2"},
    spares=(
        "macvlan_vlan/modes/private",
        "macvlan_vlan/modes/bridge",
        "macvlan_vlan/modes/vepa_behind_a_reflecting_switch",
    ),
)
def switch_that_reflects(modes: Modes) -> Iterator[None]:
    """The switch sends frames back to the card of mode vepa all the time."""
    with modes.switch.reflecting(modes.link("vepa")):
        yield


@fault(
    site="modes",
    reddens={"macvlan_vlan/modes/passthru": "the container has the card's MAC address"},
    spares=("macvlan_vlan/modes/bridge",),
)
def bridge_instead_of_passthru(modes: Modes) -> Iterator[None]:
    """The network of mode passthru was made in mode bridge."""
    with modes.networks["passthru"].otherwise(macvlan_mode="bridge"):
        yield


def test_bridge(lab: Lab, modes: Modes, lab_prober: Prober, proof: Proof) -> None:
    """Mode bridge: containers reach each other without a frame of it on the wire; the peer they reach over it.

        bridge1 ┬ card0 ══ to-card0 switch          bridge1 → bridge2: ‹bridge1→bridge2›
        bridge2 ┘                                   bridge1 → peer:    ‹bridge1→peer›

        between the two, frames at to-card0: ‹inside›
        with the peer, frames at to-card0:   ‹outside›

    Only frames of the probes themselves count.
    """
    inside, outside = modes.joined("bridge"), modes.with_peer("bridge")

    with lab.capture.on([modes.switch.endpoint], inside + outside, links=[modes.link("bridge")]) as taps:
        seen = lab_prober.sweep(inside + outside)

    frames = [[frame for it in cells for frame in taps.hops(it)] for cells in (inside, outside)]
    proof.draws({"inside": len(frames[0]), "outside": len(frames[1])})
    proof.concludes(judge(without_nat(inside + outside, lab.endpoints), seen))
    proof.fact("no frame between the containers was on the wire", not frames[0], len(frames[0]))
    unseen = [it for it in outside if not taps.hops(it)]
    proof.fact("all that went to the peer and back was", not unseen, f"{len(unseen)} probes were not seen")


def test_private(lab: Lab, modes: Modes, lab_prober: Prober, proof: Proof) -> None:
    """Mode private: containers never reach each other, not even by a switch that sends their frames back.

        private1 ┬ card1 ══ switch                  private1 → private2: ‹private1→private2›
        private2 ┘                                  private1 → peer:     ‹private1→peer›

    Of what comes back, the kernel drops broadcasts: ARP is not answered. A container that knew the other's MAC
    address by other means would get through such a switch.
    """
    joined, outside = modes.joined("private"), modes.with_peer("private")
    promised = all_of(joined, blocked()) | without_nat(outside, lab.endpoints)

    plain = lab_prober.sweep(tuple(promised))
    with modes.switch.reflecting(modes.link("private")):
        reflected = lab_prober.sweep(tuple(promised))

    proof.concludes(judge(promised, plain), judge(promised, reflected))


def test_vepa(lab: Lab, modes: Modes, lab_prober: Prober, proof: Proof) -> None:
    """Mode vepa at a common switch: containers reach the peer and not each other, for a switch sends nothing back.

        vepa1 ┬ card2 ══ switch                     vepa1 → vepa2: ‹vepa1→vepa2›
        vepa2 ┘                                     vepa1 → peer:  ‹vepa1→peer›

    The card hands every frame to the switch, whomever it is for.
    """
    joined, outside = modes.joined("vepa"), modes.with_peer("vepa")
    promised = all_of(joined, blocked()) | without_nat(outside, lab.endpoints)

    seen = lab_prober.sweep(tuple(promised))

    proof.concludes(judge(promised, seen))


def test_vepa_behind_a_reflecting_switch(lab: Lab, modes: Modes, lab_prober: Prober, proof: Proof) -> None:
    """Mode vepa at a port that sends frames back: containers reach each other by way of the switch, all of it.

        vepa1 ┬ card2 ══ to-card2 switch            vepa1 → vepa2: ‹vepa1→vepa2›
        vepa2 ┘                                     the packet: ‹there›

    In and out at one port: that is what the standard calls reflective relay.
    """
    joined, link = modes.joined("vepa"), modes.link("vepa")

    promised = without_nat(joined, lab.endpoints)

    with modes.switch.reflecting(link):
        settled = must_become(lab_prober, promised)
        with lab.capture.on([modes.switch.endpoint], joined) as taps:
            seen = lab_prober.sweep(joined)

    proof.concludes(settled.judgement, judge(promised, seen))
    turned = [Hop("switch", link, Direction.PASSING), Hop("switch", link, Direction.OUT)]
    ways = [[Hop.of(frame) for frame in taps.hops(it)] for it in joined]
    proof.draws({"there": in_words(ways[0][:2])})
    proof.fact(
        "each packet and its answer turned round at the switch's port",
        all(it == turned * 2 for it in ways),
        in_words(ways[0]),
    )


def test_passthru(lab: Lab, modes: Modes, lab_prober: Prober, proof: Proof) -> None:
    """Mode passthru: one container takes the card with its MAC address; there is no second, and not even the host.

        alone 192.0.2.203 ‹alone mac›         ─ card3 192.0.2.200 ‹card mac›         ══ switch
        peer → alone: ‹peer→alone›
        peer → 192.0.2.200: ‹cut off›
        a second container: ‹second›

    The host is reached at its address on another card at the same time.
    """
    red, (alone,), peer = modes.red.endpoint, modes.containers["passthru"], modes.peer.endpoint
    outside = modes.with_peer("passthru")
    cut_off, elsewhere = (
        every([peer], [Destination("red", str(HOSTS[mode][0].ip), frozenset({"red"}), red)], WAYS)
        for mode in ("passthru", "bridge")
    )
    promised = all_of(cut_off, blocked()) | without_nat(outside + elsewhere, lab.endpoints)

    seen = lab_prober.sweep(tuple(promised))
    second = attempts.container(modes.red, "second", modes.networks["passthru"].network)

    kernels = look_at(lab.conversations, [alone, red])
    macs = {"alone mac": kernels["alone"].link("eth0").mac, "card mac": kernels["red"].link("card3").mac}
    silent = {it.outcome.value for it in seen if it.cell in cut_off}
    proof.draws(macs | {"second": second, "cut off": ", ".join(silent)})
    proof.fact("the container has the card's MAC address", len(set(macs.values())) == 1, macs)
    proof.fact("a second container is refused", bool(second.refusal), second)
    proof.concludes(judge(promised, seen))
