"""A swarm's overlay network joins containers of two Docker hosts, in VXLAN on the wire, and joins nobody else.

    red                                                                    blue
      red-in  198.51.100.11 ── joined ── ‹red-in→blue-in›   ── joined ── blue-in  198.51.100.12
      red-out 203.0.113.11 ─── apart ─── ‹red-out→blue-out› ── apart ─── blue-out 203.0.113.12
      eth0 192.0.2.1 ═══════════════ switch ════════════════════════════ eth0 192.0.2.2
                                       └── stranger 192.0.2.9 ‹stranger→blue-in›

`joined` and `apart` are overlay networks; `stranger` is a machine on the hosts' own network, with a route by red
to `joined`. It fails where the hosts do not hear each other, where UDP 4789 is dropped or large packets are lost
on the way, where somebody is let in, and where a packet goes beside the tunnel. Names that lead nowhere come of a
swarm whose gossip does not arrive.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv4Network

import pytest

from fixtures.probes.capture import rendered
from fixtures.probes.envelope import TunnelEnd, promised, seen_in
from fixtures.probes.kernel import look_at
from fixtures.probes.plan import Destination, address_of, at, between, cell, every
from fixtures.probes.promises import without_nat
from fixtures.probes.runner import Prober
from fixtures.probes.ways import filling, get, lookup, ping, tcp, udp
from fixtures.proof import Proof
from fixtures.verdicts.expectation import Expectation, all_of, blocked, reached, too_big
from fixtures.verdicts.judge import judge
from fixtures.verdicts.observation import Cell, Probe
from fixtures.workloads import swarm
from fixtures.workloads.containers import ContainerEndpoint
from fixtures.workloads.docker_host import DockerHost
from fixtures.workloads.lab import Lab
from fixtures.workloads.machine import Machine
from fixtures.workloads.switch import Switch

pytestmark = [pytest.mark.claim("OVL-1"), pytest.mark.needs("vxlan", "conntrack")]

PORT = 8080
VXLAN = 4789
OVERHEAD = 50
"""Bytes of the outer IP, UDP and VXLAN headers, and of the inner Ethernet one."""
JOINED, APART = IPv4Network("198.51.100.0/24"), IPv4Network("203.0.113.0/24")


@dataclass(frozen=True)
class Swarm:
    """Two hosts with a container in each of two overlay networks, and a machine that has no part in them."""

    red: DockerHost
    blue: DockerHost
    switch: Switch
    stranger: Machine
    inside: tuple[ContainerEndpoint, ContainerEndpoint]
    outside: tuple[ContainerEndpoint, ContainerEndpoint]


@pytest.fixture(scope="module")
def joined(lab: Lab) -> Swarm:
    """A swarm of two hosts on a switch, with two attachable overlay networks."""
    red, blue = lab.hosts("red", "blue")
    switch, stranger = lab.switch("switch"), lab.station("stranger")
    for number, machine in ((1, red), (2, blue), (9, stranger)):
        card = machine.port("eth0", IPv4Interface(f"192.0.2.{number}/24"))
        lab.cable(card, switch.access(f"to-{machine.name}"))
    stranger.configure(f"route add {JOINED} via 192.0.2.1")
    swarm.join(red, blue)
    red.network("joined", "overlay", subnets=[JOINED], attachable=True)
    red.network("apart", "overlay", subnets=[APART], attachable=True)
    with ThreadPoolExecutor(2) as pool:
        (red_in, red_out), (blue_in, blue_out) = pool.map(_containers, (red, blue), (11, 12))
    return Swarm(red, blue, switch, stranger, (red_in, blue_in), (red_out, blue_out))


def _containers(host: DockerHost, number: int) -> tuple[ContainerEndpoint, ContainerEndpoint]:
    """One in either network; the address ends on `number` in both."""
    return (
        host.container(f"{host.name}-in", "joined", JOINED[number]),
        host.container(f"{host.name}-out", "apart", APART[number]),
    )


@pytest.fixture
def ways(lab: Lab) -> list[Probe]:
    """Every protocol, and more than one packet of it."""
    patience = lab.engine.patience
    return [
        tcp(PORT, timeout=patience),
        udp(PORT, timeout=patience),
        ping(timeout=patience),
        get(PORT, size=200_000, timeout=3 * patience),
    ]


def test_joined(lab: Lab, joined: Swarm, ways: list[Probe], lab_prober: Prober, proof: Proof) -> None:
    """Containers of both hosts reach each other in each network, and see each other's overlay addresses."""
    cells = between(joined.inside, ways) + between(joined.outside, ways)

    seen = lab_prober.sweep(cells)

    proof.concludes(judge(without_nat(cells, lab.endpoints), seen))


def test_names(lab: Lab, joined: Swarm, lab_prober: Prober, proof: Proof) -> None:
    """Docker's own DNS tells each container the other's address by its name, and the name leads there."""
    one, other = joined.inside
    promises = _by_name(lab, one, other) | _by_name(lab, other, one)

    seen = lab_prober.sweep(tuple(promises))

    proof.concludes(judge(promises, seen))


def _by_name(lab: Lab, source: ContainerEndpoint, peer: ContainerEndpoint) -> dict[Cell, Expectation]:
    """Ask for the name, and then its bearer by it."""
    name, patience = peer.container, lab.engine.patience
    resolver = Destination("Docker's DNS", "")
    asked = cell(source, resolver, lookup(name, timeout=patience))
    called = cell(
        source, Destination(peer.name, name, frozenset({peer.identity}), peer), tcp(PORT, timeout=patience)
    )
    return {asked: reached(answers=[str(address_of(peer))]), called: reached(seen_as=source.addresses)}


def test_full_size(lab: Lab, joined: Swarm, lab_prober: Prober, proof: Proof) -> None:
    """A packet as large as the containers' MTU passes whole, one byte more is refused at home, and none is cut."""
    kernels = look_at(lab.conversations, [joined.red.endpoint, *joined.inside])
    card = kernels["red"].link("eth0").mtu
    mtus = {end.name: kernels[end.name].holding(address_of(end)).mtu for end in joined.inside}
    full = between(joined.inside, filling(PORT, card - OVERHEAD, timeout=lab.engine.patience))
    over = between(joined.inside, filling(PORT, card - OVERHEAD, over=1, timeout=lab.engine.patience))

    with lab.capture.on([joined.switch.endpoint], [*full, *over]) as taps:
        seen = lab_prober.sweep(full + over)

    cut = [frame for frame in taps.frames if frame.packet is None or frame.packet.fragment]
    proof.concludes(judge(without_nat(full, lab.endpoints) | all_of(over, too_big()), seen))
    proof.fact(f"the containers' MTU is {card} - {OVERHEAD}", set(mtus.values()) == {card - OVERHEAD}, mtus)
    proof.fact(
        f"of {len(taps.frames)} frames on the wire none is a fragment", not cut, rendered(cut[:5]) or "none"
    )


def test_wire(lab: Lab, joined: Swarm, ways: list[Probe], lab_prober: Prober, proof: Proof) -> None:
    """At the switch each packet is a whole Ethernet frame in VXLAN, UDP 4789, with its network's id; none is bare.

        red-in 198.51.100.11                                                    blue-in 198.51.100.12
          │ ‹red-in mac›                                                          │ ‹blue-in mac›
        joined                                                                  joined
          │ VNI ‹vni›                                                             │ VNI ‹vni›
        red 192.0.2.1 ══ 192.0.2.1 > 192.0.2.2 udp ‹port› VNI ‹vni› ═════════════ blue 192.0.2.2
                         [ ‹red-in mac› > ‹blue-in mac› [ 198.51.100.11 > 198.51.100.12 … ] ]

    A packet beside the tunnel still arrives: only a capture tells.
    """
    ids = [swarm.vni(joined.red, network) for network in ("joined", "apart")]
    ends = [_ends(lab, joined, members) for members in (joined.inside, joined.outside)]
    cells = between(joined.inside, ways) + between(joined.outside, ways)

    with lab.capture.on([joined.switch.endpoint], cells) as taps:
        seen = lab_prober.sweep(cells)

    bare = [frame for frame in taps.frames if not frame.encapsulated]
    envelopes = seen_in(taps.frames)
    right = promised(ends[0], VXLAN, ids[0]) | promised(ends[1], VXLAN, ids[1])
    proof.concludes(judge(without_nat(cells, lab.endpoints), seen))
    proof.shows("\n".join(sorted(map(str, envelopes))))
    proof.draws({"red-in mac": ends[0][0].mac, "blue-in mac": ends[0][1].mac, "vni": ids[0], "port": VXLAN})
    proof.fact(f"of {len(taps.frames)} frames on the wire none is bare", not bare, rendered(bare[:5]) or "none")
    proof.fact("the hosts' addresses are outside, the containers' cards inside", envelopes == right, envelopes)


def _ends(lab: Lab, joined: Swarm, members: tuple[ContainerEndpoint, ContainerEndpoint]) -> list[TunnelEnd]:
    """Each container's own card behind its host's address."""
    kernels = look_at(lab.conversations, members)
    macs = [kernels[member.name].holding(address_of(member)).mac for member in members]
    hosts = [address_of(host.endpoint) for host in (joined.red, joined.blue)]
    return [TunnelEnd(address, mac) for address, mac in zip(hosts, macs, strict=True)]


def test_isolation(lab: Lab, joined: Swarm, lab_prober: Prober, proof: Proof) -> None:
    """Neither the other network's containers, nor the hosts, nor a machine beside them get into the network."""
    patience = lab.engine.patience
    ways = [tcp(PORT, timeout=patience), udp(PORT, timeout=patience), ping(timeout=patience)]
    machines = [machine.endpoint for machine in (joined.red, joined.blue, joined.stranger)]
    inside, outside = list(map(at, joined.inside)), list(map(at, joined.outside))
    barred = every([*joined.outside, *machines], inside, ways) + every(joined.inside, outside, ways)
    open_ = between(joined.inside, ways) + between(joined.outside, ways) + between(machines, ways)

    seen = lab_prober.sweep(barred + open_)

    proof.concludes(judge(all_of(barred, blocked()) | all_of(open_, reached()), seen))
