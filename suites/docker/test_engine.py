"""Docker hosts on a trunk: a VLAN joins machines of both hosts and of the wire, and no machine of another VLAN.

    red                          switch                       blue
    red10 192.0.2.11             ├ to-red   10, 20 tagged     blue10 192.0.2.12
      └ trunk0.10 ─ trunk0 ══════┤                              └ trunk0.10 ─ trunk0
                                 ├ to-blue  10, 20 tagged ══════════════════════┘
    near 192.0.2.21 ── eth0 ─────┤ to-near  20
    far  192.0.2.22 ── eth0 ─────┘ to-far   20

All are of one subnet: nothing but the tags keeps them apart. It fails where a tag is lost or a switch leaks, and
where the engine's kernel only pretends to have 802.1Q.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

import pytest

from fixtures.probes.plan import at, every
from fixtures.probes.runner import Prober
from fixtures.probes.ways import ping, tcp
from fixtures.proof import Proof
from fixtures.verdicts.expectation import blocked, reached
from fixtures.verdicts.judge import judge
from fixtures.verdicts.observation import Cell, Probe
from fixtures.workloads.containers import ContainerEndpoint
from fixtures.workloads.docker_host import WITHOUT_NAT, DockerHost
from fixtures.workloads.lab import Lab
from fixtures.workloads.machine import Machine

pytestmark = pytest.mark.needs("vlan", "macvlan")

SUBNET = IPv4Network("192.0.2.0/24")


@dataclass(frozen=True)
class Wired:
    """A container in VLAN 10 on each host, and two plain machines in VLAN 20."""

    red10: ContainerEndpoint
    blue10: ContainerEndpoint
    near: ContainerEndpoint
    far: ContainerEndpoint
    switch: Machine


@pytest.fixture(scope="module")
def wired(lab: Lab) -> Wired:
    """Two Docker hosts and two stations on a switch."""
    red, blue = lab.hosts("red", "blue", options=WITHOUT_NAT)
    switch = lab.switch("switch")
    for host in (red, blue):
        lab.cable(host.port("trunk0"), switch.trunk(f"to-{host.name}", 10, 20))
    near, far = lab.station("near"), lab.station("far")
    lab.cable(near.port("eth0", IPv4Interface("192.0.2.21/24")), switch.access("to-near", 20))
    lab.cable(far.port("eth0", IPv4Interface("192.0.2.22/24")), switch.access("to-far", 20))
    return Wired(_in_vlan_10(red, 11), _in_vlan_10(blue, 12), near.endpoint, far.endpoint, switch)


def _in_vlan_10(host: DockerHost, number: int) -> ContainerEndpoint:
    """A container on that host in VLAN 10; Docker makes the 802.1Q link itself."""
    host.network("vlan10", "macvlan", subnets=[SUBNET], options={"parent": "trunk0.10"})
    return host.container(f"{host.name}10", "vlan10", IPv4Address(int(SUBNET.network_address) + number))


def _among(
    sources: list[ContainerEndpoint], destinations: list[ContainerEndpoint], ways: list[Probe]
) -> tuple[Cell, ...]:
    return every(sources, [at(destination) for destination in destinations], ways)


def test_a_vlan_joins_what_is_in_it_and_nothing_else(
    lab: Lab, wired: Wired, lab_prober: Prober, proof: Proof
) -> None:
    """Same VLAN: TCP and ICMP arrive; other VLAN, same subnet, hosts and switch: no ARP request is answered."""
    ways = [tcp(8080, timeout=lab.engine.patience), ping(timeout=lab.engine.patience)]
    ten, twenty = [wired.red10, wired.blue10], [wired.near, wired.far]
    same = [cell for group in (ten, twenty) for cell in _among(group, group, ways)]
    other = _among(ten, twenty, ways) + _among(twenty, ten, ways)
    expected = {cell: reached() for cell in same} | {cell: blocked() for cell in other}

    proof.concludes(judge(expected, lab_prober.sweep(tuple(expected))))


def test_frames_carry_their_vlan_on_the_trunk(lab: Lab, wired: Wired, lab_prober: Prober, proof: Proof) -> None:
    """Every frame of a packet from host to host carries tag 10 at both trunk ports of the switch."""
    cells = every([wired.red10], [at(wired.blue10)], [ping(timeout=lab.engine.patience)])
    with lab.capture.on([wired.switch.endpoint], cells) as taps:
        sweep = lab_prober.sweep(cells)

    proof.concludes(judge({cells[0]: reached()}, sweep))
    hops = {(frame.link, frame.ethernet and frame.ethernet.vlan) for frame in taps.hops(cells[0])}
    proof.fact("the switch's trunk ports carry it in VLAN 10", {("to-red", 10), ("to-blue", 10)} == hops, hops)
