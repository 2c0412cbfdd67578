"""Two Docker hosts on a trunk: a VLAN joins its containers on both hosts, and no others.

    red                             switch                            blue
    ├ red10  192.0.2.11 ─┐                                    ┌─ blue10  192.0.2.12 ┤
    │              trunk0.10 ─ trunk0 ══ to-red  to-blue ══ trunk0 ─ trunk0.10      │
    └ red20  198.51.100.11 ─ trunk0.20                   trunk0.20 ─ blue20  198.51.100.12

It fails where a tag is lost or a switch leaks, and where the engine's kernel only pretends to have 802.1Q.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

import pytest

from fixtures.probes.plan import at, every
from fixtures.probes.runner import Prober
from fixtures.probes.ways import ping, tcp
from fixtures.proof import Proof
from fixtures.verdicts.expectation import blocked, reached
from fixtures.verdicts.judge import judge
from fixtures.workloads.containers import ContainerEndpoint
from fixtures.workloads.docker_host import WITHOUT_NAT, DockerHost
from fixtures.workloads.lab import Lab

pytestmark = pytest.mark.needs("vlan", "macvlan")

NETWORKS = {10: IPv4Network("192.0.2.0/24"), 20: IPv4Network("198.51.100.0/24")}


@dataclass(frozen=True)
class Vlans:
    """A container of each VLAN on each host."""

    red10: ContainerEndpoint
    red20: ContainerEndpoint
    blue10: ContainerEndpoint
    blue20: ContainerEndpoint


@pytest.fixture(scope="module")
def vlans(lab: Lab) -> Vlans:
    """Two hosts on a switch, each with a container in either VLAN."""
    red, blue = lab.hosts("red", "blue", options=WITHOUT_NAT)
    switch = lab.switch("switch")
    lab.cable(red.port("trunk0"), switch.trunk("to-red", 10, 20))
    lab.cable(blue.port("trunk0"), switch.trunk("to-blue", 10, 20))
    return Vlans(_station(red, 10, 11), _station(red, 20, 11), _station(blue, 10, 12), _station(blue, 20, 12))


def _station(host: DockerHost, vlan: int, number: int) -> ContainerEndpoint:
    """A container on that VLAN; Docker makes the 802.1Q link itself."""
    subnet = NETWORKS[vlan]
    host.network(f"vlan{vlan}", "macvlan", subnets=[subnet], options={"parent": f"trunk0.{vlan}"})
    address = IPv4Address(int(subnet.network_address) + number)
    return host.container(f"{host.name}{vlan}", f"vlan{vlan}", address)


def test_a_vlan_joins_two_hosts_and_no_other(lab: Lab, vlans: Vlans, lab_prober: Prober, proof: Proof) -> None:
    """Same VLAN on two hosts: TCP and ICMP arrive; the other VLAN on the same hosts and switch: nothing does."""
    wait = lab.engine.patience
    same = every([vlans.red10], [at(vlans.blue10)], [tcp(8080, timeout=wait), ping(timeout=wait)])
    same += every([vlans.blue20], [at(vlans.red20)], [tcp(8080, timeout=wait), ping(timeout=wait)])
    other = every([vlans.red10], [at(vlans.red20), at(vlans.blue20)], [ping(timeout=wait)])
    expected = {cell: reached() for cell in same} | {cell: blocked() for cell in other}

    proof.concludes(judge(expected, lab_prober.sweep(tuple(expected))))
