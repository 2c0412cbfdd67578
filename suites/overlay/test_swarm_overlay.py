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

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv4Network
from itertools import permutations

import pytest

from clusters.datapath import Carrier, Tunnel
from fixtures.endpoints.containers import NODE_CAPABILITIES, ContainerEndpoint
from fixtures.faults.fault import fault
from fixtures.faults.lab_levers import dropped, routed
from fixtures.lab import swarm
from fixtures.lab.docker_host import DockerHost
from fixtures.lab.lab import Lab
from fixtures.lab.machine import Machine
from fixtures.lab.switch import Switch
from fixtures.plugins.proof import Proof
from fixtures.probes.capture import rendered
from fixtures.probes.kernel import look_at
from fixtures.probes.plan import Destination, address_of, at, between, cell, every
from fixtures.probes.promises import without_nat
from fixtures.probes.runner import Prober
from fixtures.probes.tunnel_header import TunnelEnd, promised, seen_in
from fixtures.probes.ways import every_way, filling, lookup, ping, tcp, udp
from fixtures.verdicts.expectation import all_of, blocked, never_sent, reached, too_big
from fixtures.verdicts.judge import judge
from fixtures.verdicts.observation import Probe

pytestmark = [pytest.mark.claim("OVL-1"), pytest.mark.needs("vxlan", "conntrack")]

HERE = "overlay/swarm_overlay"
PORT = 8080
VXLAN = 4789
OVERHEAD = 50
"""Bytes of the outer IP, UDP and VXLAN headers, and of the inner Ethernet one."""
JOINED, APART = IPv4Network("198.51.100.0/24"), IPv4Network("203.0.113.0/24")


@dataclass(frozen=True)
class Swarm:
    """Two hosts with a container in each of two overlay networks, and a machine that has no part in them."""

    lab: Lab
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
    return Swarm(lab, red, blue, switch, stranger, (red_in, blue_in), (red_out, blue_out))


def _containers(host: DockerHost, number: int) -> tuple[ContainerEndpoint, ContainerEndpoint]:
    """One in either network; the address ends on `number` in both."""
    return (
        swarm.container(host, f"{host.name}-in", "joined", JOINED[number], capabilities=NODE_CAPABILITIES),
        swarm.container(host, f"{host.name}-out", "apart", APART[number]),
    )


@pytest.fixture
def ways(lab: Lab) -> list[Probe]:
    """The ways to ask, patient enough for the engine."""
    return every_way(PORT, timeout=lab.engine.patience)


@fault(
    site="joined",
    reddens={
        f"{HERE}/*ed": "blue-in → red-in",
        f"{HERE}/full_size": "blue-in → red-in",
        f"{HERE}/wire": "blue-in → red-in",
    },
    spares=(f"{HERE}/names",),
)
def tunnel_blocked(joined: Swarm) -> Iterator[None]:
    """The switch drops UDP 4789, and leaves the swarm's own talk alone."""
    with dropped(joined.switch, "ip protocol udp", f"udp dport {VXLAN}"):
        yield


@fault(
    site="joined",
    reddens={
        f"{HERE}/full_size": "blue-in → red-in",
        f"{HERE}/joined": "blue-in → red-in",
        f"{HERE}/wire": "blue-in → red-in",
    },
    spares=(f"{HERE}/names", f"{HERE}/isolated"),
)
def large_packets_lost(joined: Swarm) -> Iterator[None]:
    """The switch drops what is longer than 1400 bytes, and says so to nobody."""
    with dropped(joined.switch, "meta length > 1400"):
        yield


@fault(
    site="joined",
    reddens={f"{HERE}/wire": "frames on the wire none is bare", f"{HERE}/isolated": "red-out → blue-in"},
    spares=(f"{HERE}/joined", f"{HERE}/names"),
)
def beside_the_tunnel(joined: Swarm) -> Iterator[None]:
    """Routes by the hosts lead to blue-in, who answers through the tunnel."""
    one, other = joined.inside
    target, bridge = str(address_of(other)), "docker_gwbridge"
    (pool,) = joined.red.docker.api.inspect_network(bridge)["IPAM"]["Config"]
    with (
        routed(joined.lab, joined.blue.endpoint, target, "dev", bridge),
        routed(joined.lab, joined.red.endpoint, target, "via", str(address_of(joined.blue.endpoint))),
        routed(joined.lab, one, target, "via", pool["Gateway"], "src", str(address_of(one))),
    ):
        yield


@fault(
    site="joined",
    reddens={f"{HERE}/names": "red-in → Docker's DNS", f"{HERE}/joined": "red-in → blue-in"},
    spares=(f"{HERE}/full_size", f"{HERE}/wire", f"{HERE}/isolated"),
)
def deaf_to_names(joined: Swarm) -> Iterator[None]:
    """red-in has no way to the address at which Docker's DNS answers."""
    with routed(joined.lab, joined.inside[0], "blackhole", "127.0.0.11", "table", "local"):
        yield


@fault(
    site="joined",
    reddens={f"{HERE}/isolated": "red-out → red-in"},
    spares=(f"{HERE}/joined", f"{HERE}/names", f"{HERE}/wire"),
)
def let_in(joined: Swarm) -> Iterator[None]:
    """A container of the other network is connected to this one as well."""
    network = joined.red.docker.networks.get("joined")
    network.connect("red-out")
    yield
    network.disconnect("red-out")


def test_joined(lab: Lab, joined: Swarm, ways: list[Probe], lab_prober: Prober, proof: Proof) -> None:
    """Containers of both hosts reach each other, by name too, and see each other's overlay addresses."""
    called = [cell(source, by_name(peer), ways[0]) for source, peer in permutations(joined.inside, 2)]
    cells = (*between(joined.inside, ways), *between(joined.outside, ways), *called)

    seen = lab_prober.sweep(cells)

    proof.concludes(judge(without_nat(cells, lab.endpoints), seen))


def by_name(peer: ContainerEndpoint) -> Destination:
    """A container at the name that it has in Docker."""
    return Destination(peer.name, peer.container, frozenset({peer.identity}), peer)


def test_names(lab: Lab, joined: Swarm, lab_prober: Prober, proof: Proof) -> None:
    """Docker's own DNS has the other host's containers under their names, at their overlay addresses."""
    resolver, patience = Destination("Docker's DNS", ""), lab.engine.patience
    promises = {
        cell(source, resolver, lookup(peer.container, timeout=patience)): reached(answers=[str(address_of(peer))])
        for members in (joined.inside, joined.outside)
        for source, peer in permutations(members, 2)
    }

    seen = lab_prober.sweep(tuple(promises))

    proof.concludes(judge(promises, seen))


def test_full_size(lab: Lab, joined: Swarm, lab_prober: Prober, proof: Proof) -> None:
    """A packet as large as the containers' MTU passes whole, the kernel rejects one byte more, and none is cut."""
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
    headers = seen_in(taps.frames)
    right = promised(ends[0], tunnel(ids[0])) | promised(ends[1], tunnel(ids[1]))
    proof.concludes(judge(without_nat(cells, lab.endpoints), seen))
    proof.shows("\n".join(sorted(map(str, headers))))
    proof.draws({"red-in mac": ends[0][0].mac, "blue-in mac": ends[0][1].mac, "vni": ids[0], "port": VXLAN})
    proof.fact(f"of {len(taps.frames)} frames on the wire none is bare", not bare, rendered(bare[:5]) or "none")
    proof.fact("the hosts' addresses are outside, the containers' cards inside", headers == right, headers)


def _ends(lab: Lab, joined: Swarm, members: tuple[ContainerEndpoint, ContainerEndpoint]) -> list[TunnelEnd]:
    """Each container's own card behind its host's address."""
    kernels = look_at(lab.conversations, members)
    macs = [kernels[member.name].holding(address_of(member)).mac for member in members]
    hosts = [address_of(host.endpoint) for host in (joined.red, joined.blue)]
    return [TunnelEnd(address, mac) for address, mac in zip(hosts, macs, strict=True)]


def test_isolated(lab: Lab, joined: Swarm, lab_prober: Prober, proof: Proof) -> None:
    """Containers of the other network and a machine beside get no way in, and the hosts have no route there."""
    patience = lab.engine.patience
    ways = [tcp(PORT, timeout=patience), udp(PORT, timeout=patience), ping(timeout=patience)]
    hosts, stranger = [joined.red.endpoint, joined.blue.endpoint], joined.stranger.endpoint
    inside, outside = list(map(at, joined.inside)), list(map(at, joined.outside))
    barred = every([*joined.outside, stranger], inside, ways) + every(joined.inside, outside, ways)
    unrouted = every(hosts, inside, ways)
    open_ = between(joined.inside, ways) + between(joined.outside, ways) + between([*hosts, stranger], ways)

    seen = lab_prober.sweep(barred + unrouted + open_)

    apart = all_of(barred, blocked()) | all_of(unrouted, never_sent())
    proof.concludes(judge(apart | all_of(open_, reached()), seen))


def tunnel(vni: int) -> Tunnel:
    """How Docker carries the network of that id between the hosts."""
    return Tunnel(Carrier.VXLAN, port=VXLAN, vni=vni)
