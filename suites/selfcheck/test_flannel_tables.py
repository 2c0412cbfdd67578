"""A node's tables are flannel's exactly when every other lease has its route, neighbour and forwarding entry."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any

import pytest

from fixtures.cni.flannel.hosts import docker_options
from fixtures.cni.flannel.lease import Lease, NoLease, SubnetFile
from fixtures.cni.flannel.registry import read
from fixtures.cni.flannel.tunnel import differences
from fixtures.probes.kernel import Forwarding, Link, Neighbour, NetState, Route

POOL = IPv4Network("10.244.0.0/16")


def lease(number: int) -> Lease:
    return Lease(
        node=f"node{number}",
        subnet=IPv4Network(f"10.244.{number}.0/24"),
        vtep=IPv4Address(f"192.0.2.{number}"),
        backend="vxlan",
        mac=f"02:00:00:00:00:{number:02x}",
        vni=1,
    )


LEASES = [lease(0), lease(1), lease(2)]
OWN = LEASES[0]


def whole() -> NetState:
    others = LEASES[1:]
    return NetState(
        links={"flannel.1": Link("flannel.1", 2, OWN.mac, 1450, up=True)},
        routes=(
            Route(IPv4Network("0.0.0.0/0"), IPv4Address("192.0.2.254"), "eth0"),
            Route(OWN.subnet, device="cni0"),
            *(Route(it.subnet, it.gateway, "flannel.1") for it in others),
        ),
        neighbours=tuple(Neighbour(it.gateway, "flannel.1", it.mac, permanent=True) for it in others),
        forwarding=tuple(Forwarding(it.mac, "flannel.1", it.vtep, permanent=True) for it in others),
    )


def told(state: NetState) -> list[str]:
    return differences(OWN, LEASES, state, POOL)


def test_a_whole_node_has_no_differences() -> None:
    assert told(whole()) == []


@pytest.mark.parametrize("table", ["routes", "neighbours", "forwarding"])
def test_a_missing_entry_is_told(table: str) -> None:
    state = whole()
    changed: dict[str, Any] = {table: getattr(state, table)[:-1]}
    (line,) = told(replace(state, **changed))
    assert line.startswith("node0 lacks ")


@pytest.mark.parametrize(
    ("table", "stale"),
    [
        ("routes", Route(IPv4Network("10.244.77.0/24"), IPv4Address("10.244.77.0"), "flannel.1")),
        ("routes", Route(IPv4Network("10.244.2.7/32"), IPv4Address("192.0.2.2"), "eth0")),
        ("routes", Route(IPv4Network("10.244.2.0/25"), kind="blackhole")),
        ("neighbours", Neighbour(IPv4Address("10.244.77.0"), "flannel.1", "02:00:00:00:00:77", permanent=True)),
        ("forwarding", Forwarding("02:00:00:00:00:77", "flannel.1", IPv4Address("192.0.2.77"), permanent=True)),
    ],
)
def test_a_stale_entry_is_told(table: str, stale: object) -> None:
    state = whole()
    changed: dict[str, Any] = {table: (*getattr(state, table), stale)}
    (line,) = told(replace(state, **changed))
    assert line.startswith("node0 has ")


def test_a_tunnel_with_another_hardware_address_is_told() -> None:
    state = replace(whole(), links={"flannel.1": Link("flannel.1", 2, "02:00:00:00:00:99", 1450, up=True)})
    assert told(state) == ["node0: flannel.1 has 02:00:00:00:00:99, its lease says 02:00:00:00:00:00"]


@pytest.mark.parametrize("version", [4, 6])
def test_a_lease_is_read_as_it_was_written(version: int) -> None:
    six = replace(OWN, subnet=IPv6Network("fd00:10:244::/64"), vtep=IPv6Address("2001:db8::1"))
    own = OWN if version == 4 else six
    item = {
        "metadata": {"name": own.node, "annotations": OWN.annotations() | six.annotations()},
        "spec": {"podCIDR": str(OWN.subnet), "podCIDRs": [str(OWN.subnet), str(six.subnet)]},
    }
    assert Lease.read(item, version) == own


def test_a_node_without_lease_is_told_with_what_it_has() -> None:
    annotations = {"flannel.alpha.coreos.com/public-ip": "192.0.2.1", "other": "x"}
    with pytest.raises(NoLease, match=r"node1.*public-ip"):
        Lease.read(
            {"metadata": {"name": "node1", "annotations": annotations}, "spec": {"podCIDRs": ["10.244.1.0/24"]}}
        )


def test_the_subnet_file() -> None:
    text = "FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.1.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n"
    own = IPv4Network("10.244.1.0/24")
    assert SubnetFile.read(text) == SubnetFile(POOL, own, IPv4Address("10.244.1.1"), 1450, masquerade=True)
    text += "FLANNEL_IPV6_NETWORK=fd00:10:244::/56\nFLANNEL_IPV6_SUBNET=fd00:10:244:1::1/64\n"
    six = SubnetFile.read(text, 6)
    assert (six.pool, six.subnet) == (IPv6Network("fd00:10:244::/56"), IPv6Network("fd00:10:244:1::/64"))


def test_a_lease_is_read_from_etcd() -> None:
    value = (
        '{"PublicIP":"192.0.2.1","PublicIPv6":null,"BackendType":"vxlan",'
        '"BackendData":{"VNI":1,"VtepMAC":"BA:DF:66:67:45:D3"}}'
    )
    found = read("/coreos.com/network/subnets/198.18.20.0-24", value)
    assert (found.subnet, found.vtep) == (IPv4Network("198.18.20.0/24"), IPv4Address("192.0.2.1"))
    assert (found.backend, found.mac, found.vni) == ("vxlan", "ba:df:66:67:45:d3", 1)


def test_a_lease_of_host_gw_has_no_tunnel_end() -> None:
    value = '{"PublicIP":"192.0.2.1","BackendType":"host-gw","BackendData":null}'
    assert read("subnets/198.18.20.0-24", value).mac == ""


def test_docker_is_started_by_the_lease() -> None:
    file = SubnetFile.read(
        "FLANNEL_NETWORK=198.18.0.0/16\nFLANNEL_SUBNET=198.18.7.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n"
    )
    assert docker_options(file) == ("--bip=198.18.7.1/24", "--mtu=1450", "--ip-masq=false")
