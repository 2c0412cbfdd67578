"""flannel's vxlan joins the bridges of two Docker hosts: no NAT on the way, and VXLAN 1 on UDP 8472 on the wire.

    red-app ‹red app›                       ‹red-app→blue-app›                       blue-app ‹blue app›
      │ docker0                                                                        │ docker0
    flannel.1 ‹red tunnel›                                                           flannel.1 ‹blue tunnel›
      │ eth0 192.0.2.1 ═════ switch ═════ udp 8472, VNI 1 ═════ switch ═════ eth0 192.0.2.2 │

It fails where a host masquerades what stays among containers (Docker does so unless told not to), where UDP 8472
is dropped or large packets are lost, and where a route leads past the tunnel: then all is reached, in clear.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from clusters.cni.flannel import VXLAN
from fixtures.cni.flannel.hosts import BRIDGE, FlannelHosts, Images, stand
from fixtures.faults.fault import fault
from fixtures.faults.lab_levers import dropped, mtu, routed
from fixtures.lab.lab import Lab
from fixtures.plugins.proof import Proof
from fixtures.probes.capture import rendered
from fixtures.probes.kernel import look_at
from fixtures.probes.plan import address_of, between
from fixtures.probes.promises import without_nat
from fixtures.probes.runner import Prober
from fixtures.probes.tunnel_header import TunnelEnd, promised, seen_in
from fixtures.probes.ways import every_way, filling
from fixtures.verdicts.expectation import all_of, reached, too_big
from fixtures.verdicts.judge import judge
from fixtures.verdicts.observation import Probe

pytestmark = [pytest.mark.claim("OVL-2"), pytest.mark.needs("vxlan", "bridge-netfilter", "conntrack")]

HERE = "overlay/flannel_etcd_vxlan"
PORT = 8080
OVERHEAD = 50
"""Bytes of the outer IP, UDP and VXLAN headers, and of the inner Ethernet one."""


@pytest.fixture(scope="module")
def tunnelled(lab: Lab, flannel_images: Images) -> FlannelHosts:
    """Two hosts with flannel's vxlan."""
    return stand(lab, flannel_images, "vxlan")


@pytest.fixture
def ways(lab: Lab) -> list[Probe]:
    """The ways to ask, patient enough for the engine."""
    return every_way(PORT, timeout=lab.engine.patience)


@fault(
    site="tunnelled",
    reddens={
        f"{HERE}/reach": "blue-app → red-app",
        f"{HERE}/full_size": "blue-app → red-app",
        f"{HERE}/wire": "blue-app → red-app",
    },
    spares=(f"{HERE}/device",),
)
def udp_8472_blocked(tunnelled: FlannelHosts) -> Iterator[None]:
    """The switch drops UDP 8472."""
    with dropped(tunnelled.switch, "ip protocol udp", f"udp dport {VXLAN.port}"):
        yield


@fault(
    site="tunnelled", reddens={f"{HERE}/reach": "red-app → blue-app"}, spares=(f"{HERE}/wire", f"{HERE}/device")
)
def docker_masquerades(tunnelled: FlannelHosts) -> Iterator[None]:
    """red masquerades what leaves its bridge, as Docker does without --ip-masq=false."""
    red = tunnelled.red
    words = ("-s", str(red.file.subnet), "!", "-o", BRIDGE, "-j", "MASQUERADE")
    with red.docker.rule("nat", "POSTROUTING", *words):
        yield


@fault(
    site="tunnelled",
    reddens={f"{HERE}/wire": "frames on the wire none is bare"},
    spares=(f"{HERE}/reach", f"{HERE}/device"),
)
def past_the_tunnel(tunnelled: FlannelHosts) -> Iterator[None]:
    """red has a route to blue's container that is more specific than flannel's, by blue's own address."""
    app, via = str(address_of(tunnelled.blue.app)), str(address_of(tunnelled.blue.docker.endpoint))
    with routed(tunnelled.lab, tunnelled.red.docker.endpoint, app, "via", via):
        yield


@fault(
    site="tunnelled",
    reddens={f"{HERE}/device": "it is 50 bytes smaller than the card"},
    spares=(f"{HERE}/reach", f"{HERE}/wire"),
)
def smaller_tunnel(tunnelled: FlannelHosts) -> Iterator[None]:
    """red's flannel.1 has 100 bytes less than the card would leave it."""
    with mtu(tunnelled.red.docker, VXLAN.device, 1350):
        yield


@fault(
    site="tunnelled",
    reddens={f"{HERE}/full_size": "blue-app → red-app", f"{HERE}/reach": "blue-app → red-app"},
    spares=(f"{HERE}/device",),
)
def full_frames_lost(tunnelled: FlannelHosts) -> Iterator[None]:
    """The switch drops frames that are nearly full, and says so to nobody."""
    with dropped(tunnelled.switch, "meta length > 1400"):
        yield


def test_device(tunnelled: FlannelHosts, proof: Proof) -> None:
    """On both hosts flannel.1 is VXLAN 1 on UDP 8472 from the host's own address, smaller by its headers."""
    hosts = [host.docker.endpoint for host in tunnelled.hosts]
    kernels = look_at(tunnelled.lab.conversations, hosts)

    links = {name: state.link(VXLAN.device) for name, state in kernels.items()}

    seen = {name: (it.kind, it.up, it.vni, it.port, it.local) for name, it in links.items()}
    right = {host.name: ("vxlan", True, VXLAN.vni, VXLAN.port, address_of(host)) for host in hosts}
    proof.draws({f"{name} tunnel": links[name].mac for name in ("red", "blue")})
    proof.draws({f"{host.name} app": address_of(host.app) for host in tunnelled.hosts})
    proof.fact("flannel.1 is VXLAN 1 on UDP 8472 from the host's address", seen == right, seen)
    sizes = {name: (state.link("eth0").mtu, links[name].mtu) for name, state in kernels.items()}
    fits = all(tunnel == card - OVERHEAD for card, tunnel in sizes.values())
    proof.fact(f"it is {OVERHEAD} bytes smaller than the card", fits, sizes)


def test_reach(tunnelled: FlannelHosts, ways: list[Probe], lab_prober: Prober, proof: Proof) -> None:
    """The hosts' containers reach each other, and each sees the other's own address."""
    cells = between(tunnelled.apps, ways)

    seen = lab_prober.sweep(cells)

    proof.concludes(judge(without_nat(cells, tunnelled.lab.endpoints), seen))


def test_full_size(tunnelled: FlannelHosts, lab_prober: Prober, proof: Proof) -> None:
    """A packet as large as the containers' MTU passes whole, the kernel rejects one byte more, and none is cut."""
    size, patience = tunnelled.red.file.mtu, tunnelled.lab.engine.patience
    full = between(tunnelled.apps, filling(PORT, size, timeout=patience))
    over = between(tunnelled.apps, filling(PORT, size, over=1, timeout=patience))

    with tunnelled.lab.capture.on([tunnelled.switch.endpoint], [*full, *over]) as taps:
        seen = lab_prober.sweep(full + over)

    cut = [frame for frame in taps.frames if frame.packet is None or frame.packet.fragment]
    proof.concludes(judge(all_of(full, reached()) | all_of(over, too_big()), seen))
    proof.fact(
        f"of {len(taps.frames)} frames on the wire none is a fragment", not cut, rendered(cut[:5]) or "none"
    )


def test_wire(tunnelled: FlannelHosts, ways: list[Probe], lab_prober: Prober, proof: Proof) -> None:
    """At the switch each packet is a whole Ethernet frame from flannel.1 to flannel.1, in VXLAN; none is bare."""
    hosts = [host.docker.endpoint for host in tunnelled.hosts]
    kernels = look_at(tunnelled.lab.conversations, hosts)
    cells = between(tunnelled.apps, ways)

    with tunnelled.lab.capture.on([tunnelled.switch.endpoint], cells) as taps:
        seen = lab_prober.sweep(cells)

    bare = [frame for frame in taps.frames if not frame.encapsulated]
    ends = [TunnelEnd(address_of(host), kernels[host.name].link(VXLAN.device).mac) for host in hosts]
    headers = seen_in(taps.frames)
    right = promised(ends, VXLAN)
    proof.concludes(judge(all_of(cells, reached()), seen))
    proof.draws({f"{host.name} tunnel": end.mac for host, end in zip(hosts, ends, strict=True)})
    proof.shows("\n".join(sorted(map(str, headers))))
    proof.fact(f"of {len(taps.frames)} frames on the wire none is bare", not bare, rendered(bare[:5]) or "none")
    proof.fact("they go from flannel.1 to flannel.1", headers == right, sorted(map(str, headers)))
