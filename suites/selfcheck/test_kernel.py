"""What iproute2 says of a namespace is read as it is meant."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface, IPv4Network

import pytest

from fixtures.probes.kernel import (
    NetState,
    Route,
    forwarding,
    links,
    neighbours,
    parsed_counters,
    parsed_counters_of_ipv6,
    routes,
)

ADDRESSES = [
    {
        "ifindex": 2,
        "ifname": "flannel.1",
        "flags": ["BROADCAST", "MULTICAST", "UP", "LOWER_UP"],
        "mtu": 1450,
        "address": "06:B1:96:c9:f7:b0",
        "linkinfo": {"info_kind": "vxlan", "info_data": {"id": 1, "local": "172.30.0.3", "port": 8472}},
        "addr_info": [{"family": "inet", "local": "10.244.1.0", "prefixlen": 32}],
    },
    {
        "ifindex": 8,
        "link_index": 3,
        "ifname": "veth1",
        "flags": ["UP"],
        "mtu": 1450,
        "address": "92:42:ac:1e:00:03",
        "master": "cni0",
        "linkinfo": {"info_kind": "veth", "info_slave_kind": "bridge"},
        "addr_info": [{"family": "inet6", "local": "fe80::1", "prefixlen": 64}],
    },
    {},
]


def test_links() -> None:
    found = links(ADDRESSES)
    tunnel, veth = found["flannel.1"], found["veth1"]
    assert (tunnel.kind, tunnel.vni, tunnel.port, tunnel.local) == ("vxlan", 1, 8472, IPv4Address("172.30.0.3"))
    assert (tunnel.mac, tunnel.addresses) == ("06:b1:96:c9:f7:b0", (IPv4Interface("10.244.1.0/32"),))
    assert (veth.master, veth.peer, veth.mtu, veth.addresses) == ("cni0", 3, 1450, ())


def test_the_other_end_of_a_veth_points_back() -> None:
    node = NetState(links(ADDRESSES))
    inside = links([{"ifindex": 3, "link_index": 8, "ifname": "eth0", "flags": [], "mtu": 1450}])["eth0"]
    stranger = links([{"ifindex": 4, "link_index": 8, "ifname": "eth0", "flags": [], "mtu": 1450}])["eth0"]
    assert node.other_end(inside).name == "veth1"
    with pytest.raises(LookupError, match=r"none of flannel\.1, veth1"):
        node.other_end(stranger)


def test_a_missing_link_names_those_that_there_are() -> None:
    with pytest.raises(LookupError, match=r"there are: flannel\.1, veth1"):
        NetState(links(ADDRESSES)).link("cni0")


def test_routes() -> None:
    found = routes(
        [
            {"type": "unicast", "dst": "default", "gateway": "172.30.0.1", "dev": "eth0"},
            {"type": "blackhole", "dst": "10.244.2.0/25"},
            {"dst": "10.244.2.7", "dev": "eth0"},
        ]
    )
    assert found == (
        Route(IPv4Network("0.0.0.0/0"), IPv4Address("172.30.0.1"), "eth0"),
        Route(IPv4Network("10.244.2.0/25"), kind="blackhole"),
        Route(IPv4Network("10.244.2.7/32"), device="eth0"),
    )
    assert [str(route) for route in found[1:]] == ["blackhole 10.244.2.0/25", "10.244.2.7/32 dev eth0"]


def test_neighbours_and_forwarding() -> None:
    known = neighbours(
        [
            {"dst": "10.244.2.0", "dev": "flannel.1", "lladdr": "DA:70:be:3e:f1:33", "state": ["PERMANENT"]},
            {"dst": "172.30.0.9", "dev": "eth0", "state": ["FAILED"]},
        ]
    )
    behind = forwarding(
        [
            {"mac": "da:70:be:3e:f1:33", "ifname": "flannel.1", "dst": "172.30.0.2", "state": "permanent"},
            {"mac": "33:33:00:00:00:01", "ifname": "eth0", "flags": ["self"]},
        ]
    )
    assert [(it.mac, it.permanent) for it in known] == [("da:70:be:3e:f1:33", True)]
    assert [(it.destination, it.permanent) for it in behind] == [(IPv4Address("172.30.0.2"), True), (None, False)]


def test_counters() -> None:
    text = "Ip: Forwarding InReceives\nIp: 1 42\nUdp: InDatagrams InCsumErrors\nUdp: 7 3\n"
    assert parsed_counters(text) == {
        "IpForwarding": 1,
        "IpInReceives": 42,
        "UdpInDatagrams": 7,
        "UdpInCsumErrors": 3,
    }


def test_counters_of_ipv6() -> None:
    text = "Ip6InReceives                   \t42\nUdp6InCsumErrors                \t3\nIcmp6OutType133\t1\n"
    assert parsed_counters_of_ipv6(text) == {"IpInReceives": 42, "UdpInCsumErrors": 3, "IcmpOutType133": 1}
