"""flannel's host-gw joins the bridges of two Docker hosts by plain routes: no NAT, and nothing around a packet.

    red-app ‹red app›                       ‹red-app→blue-app›                       blue-app ‹blue app›
      │ docker0 ‹red lease›                                                            │ docker0 ‹blue lease›
    red eth0 192.0.2.1 ‹red card› ════════════ switch ════════════ blue eth0 192.0.2.2 ‹blue card›
      ‹blue lease› via 192.0.2.2                                     ‹red lease› via 192.0.2.1

It fails where a host masquerades what stays among containers, where the hosts' network filters addresses that it
does not know, and where a tunnel of an earlier backend is left behind: its routes are more specific, all is
reached, and packets still travel wrapped.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fixtures.cni.flannel.hosts import BRIDGE, CARD, POOL, FlannelHosts, Images, stand
from fixtures.cni.flannel.tunnel import held
from fixtures.faults.fault import fault
from fixtures.faults.lab_levers import dropped, leftover_tunnel
from fixtures.lab.lab import Lab
from fixtures.plugins.proof import Proof
from fixtures.probes.capture import rendered
from fixtures.probes.kernel import Route, look_at
from fixtures.probes.plan import address_of, between
from fixtures.probes.promises import without_nat
from fixtures.probes.runner import Prober
from fixtures.probes.ways import every_way, filling
from fixtures.verdicts.expectation import all_of, reached, too_big
from fixtures.verdicts.judge import judge
from fixtures.verdicts.observation import Probe

pytestmark = [pytest.mark.claim("OVL-2"), pytest.mark.needs("bridge-netfilter", "conntrack")]

HERE = "overlay/flannel_etcd_host_gw"
PORT = 8080


@pytest.fixture(scope="module")
def bare(lab: Lab, flannel_images: Images) -> FlannelHosts:
    """Two hosts with flannel's host-gw."""
    return stand(lab, flannel_images, "host-gw")


@pytest.fixture
def ways(lab: Lab) -> list[Probe]:
    """The ways to ask, patient enough for the engine."""
    return every_way(PORT, timeout=lab.engine.patience)


@fault(
    site="bare",
    reddens={
        f"{HERE}/reach": "red-app → blue-app",
        f"{HERE}/wire": "they go from card to card, in the containers' names",
    },
    spares=(f"{HERE}/routes", f"{HERE}/full_size"),
)
def bridge_masquerades(bare: FlannelHosts) -> Iterator[None]:
    """red masquerades what leaves its bridge, as Docker does without --ip-masq=false."""
    red = bare.red
    words = ("-s", str(red.file.subnet), "!", "-o", BRIDGE, "-j", "MASQUERADE")
    with red.docker.rule("nat", "POSTROUTING", *words):
        yield


@fault(
    site="bare",
    reddens={
        f"{HERE}/reach": "blue-app → red-app",
        f"{HERE}/full_size": "blue-app → red-app",
        f"{HERE}/wire": "blue-app → red-app",
    },
    spares=(f"{HERE}/routes",),
)
def foreign_addresses_filtered(bare: FlannelHosts) -> Iterator[None]:
    """The switch lets only the hosts' own addresses pass, as clouds do."""
    with dropped(bare.switch, f"ip saddr {POOL}"):
        yield


@fault(
    site="bare",
    reddens={
        f"{HERE}/routes": "the routes are those of the leases",
        f"{HERE}/wire": "frames on the wire none is wrapped",
    },
    spares=(f"{HERE}/reach",),
)
def tunnel_left_behind(bare: FlannelHosts) -> Iterator[None]:
    """A VXLAN device between the hosts, with more specific routes, is left of an earlier backend."""
    red, blue = (host.docker for host in bare.hosts)
    with (
        leftover_tunnel(red, 1, address_of(blue.endpoint), address_of(bare.blue.app)),
        leftover_tunnel(blue, 2, address_of(red.endpoint), address_of(bare.red.app)),
    ):
        yield


def test_routes(bare: FlannelHosts, proof: Proof) -> None:
    """Each host has two routes into the pool: its own subnet at docker0, the other's by that host's address."""
    leases = bare.leases()
    kernels = look_at(bare.lab.conversations, [host.docker.endpoint for host in bare.hosts])

    found = {name: held(state, POOL).routes for name, state in kernels.items()}

    right = {
        name: frozenset(
            Route(it.subnet, device=BRIDGE) if it.node == name else Route(it.subnet, it.vtep, CARD)
            for it in leases.values()
        )
        for name in kernels
    }
    proof.draws({f"{name} lease": it.subnet for name, it in leases.items()})
    proof.draws({f"{host.name} app": address_of(host.app) for host in bare.hosts})
    seen = {name: sorted(map(str, routes)) for name, routes in found.items()}
    proof.fact("the routes are those of the leases", found == right, seen)
    backends = {name: it.backend for name, it in leases.items()}
    proof.fact("the leases say host-gw", set(backends.values()) == {"host-gw"}, backends)


def test_reach(bare: FlannelHosts, ways: list[Probe], lab_prober: Prober, proof: Proof) -> None:
    """The hosts' containers reach each other, and each sees the other's own address."""
    cells = between(bare.apps, ways)

    seen = lab_prober.sweep(cells)

    proof.concludes(judge(without_nat(cells, bare.lab.endpoints), seen))


def test_full_size(bare: FlannelHosts, lab_prober: Prober, proof: Proof) -> None:
    """A packet as large as the hosts' own MTU passes whole, and the sender's kernel rejects one byte more."""
    card = look_at(bare.lab.conversations, [bare.red.docker.endpoint])["red"].link(CARD).mtu
    patience = bare.lab.engine.patience
    full = between(bare.apps, filling(PORT, card, timeout=patience))
    over = between(bare.apps, filling(PORT, card, over=1, timeout=patience))

    seen = lab_prober.sweep(full + over)

    proof.concludes(judge(all_of(full, reached()) | all_of(over, too_big()), seen))


def test_wire(bare: FlannelHosts, ways: list[Probe], lab_prober: Prober, proof: Proof) -> None:
    """At the switch each packet goes bare from container to container, in frames from card to card."""
    kernels = look_at(bare.lab.conversations, [host.docker.endpoint for host in bare.hosts])
    cells = between(bare.apps, ways)

    with bare.lab.capture.on([bare.switch.endpoint], cells) as taps:
        seen = lab_prober.sweep(cells)

    ends = [(kernels[host.name].link(CARD).mac, address_of(host.app)) for host in bare.hosts]
    wrapped = [frame for frame in taps.frames if frame.encapsulated]
    lines = {
        (frame.ethernet.source, frame.packet.source, frame.ethernet.destination, frame.packet.destination)
        for frame in taps.frames
        if frame.ethernet is not None and frame.packet is not None
    }
    proof.concludes(judge(all_of(cells, reached()), seen))
    proof.draws({f"{host.name} card": mac for host, (mac, _) in zip(bare.hosts, ends, strict=True)})
    none = rendered(wrapped[:5]) or "none"
    proof.fact(f"of {len(taps.frames)} frames on the wire none is wrapped", not wrapped, none)
    right = {(*ends[0], *ends[1]), (*ends[1], *ends[0])}
    proof.fact("they go from card to card, in the containers' names", lines == right, lines)
