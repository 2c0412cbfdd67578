"""What the engine's kernel can do, by name. A check asks for capabilities with `@pytest.mark.needs(...)`.

Each is found by doing it: `clusters.probing` makes the link, the table or the socket in a throw-away network
namespace. Here stands what is done, and for a person what it costs to lack it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Capability(StrEnum):
    """One thing that a kernel or an engine may or may not be able to do."""

    PRIVILEGED = "privileged"
    """A privileged container with network administration rights."""
    BRIDGE = "bridge"
    VETH = "veth"
    VXLAN = "vxlan"
    MACVLAN = "macvlan"
    IPVLAN = "ipvlan"
    VLAN = "vlan"
    """802.1Q links."""
    BRIDGE_VLAN_FILTERING = "bridge-vlan-filtering"
    DUMMY = "dummy"
    IPIP = "ipip"
    GENEVE = "geneve"
    WIREGUARD = "wireguard"
    ESP = "esp"
    """IPsec's encryption of packets, by AES in GCM."""
    TUN = "tun"
    BRIDGE_NETFILTER = "bridge-netfilter"
    """br_netfilter, with its settings in each network namespace."""
    NFTABLES = "nftables"
    IPTABLES_LEGACY = "iptables-legacy"
    CONNTRACK = "conntrack"
    IPSET = "ipset"
    IPVS = "ipvs"
    SCTP = "sctp"
    NETEM = "netem"
    SHAPING = "shaping"
    """The token bucket filter."""
    IPV6 = "ipv6"


@dataclass(frozen=True)
class Found:
    """Whether a capability was found. `able` is None where it could not be tried; `detail` says why not."""

    able: bool | None
    detail: str = ""


@dataclass(frozen=True)
class Probe:
    """How one capability is tried, and what lacking it means.

    `commands` run one after the other and must all succeed; the first word of the first is in the Debian package
    `package`. `module` is the kernel module that has it, `costs` what is not checked without it.
    """

    commands: tuple[tuple[str, ...], ...]
    package: str
    module: str
    costs: str


def _link(name: str, *kind: str) -> tuple[tuple[str, ...], ...]:
    return (("ip", "link", "add", "name", name, *kind),)


def _on_a_veth(*kind: str) -> tuple[tuple[str, ...], ...]:
    """A link that needs another one below it."""
    return (
        ("ip", "link", "add", "name", "below", "type", "veth", "peer", "name", "far"),
        ("ip", "link", "add", "name", "above", "link", "below", *kind),
    )


_CONNTRACK = "iptables -A INPUT -m conntrack --ctstate NEW"

PROBES: Mapping[Capability, Probe] = {
    Capability.BRIDGE: Probe(_link("b0", "type", "bridge"), "iproute2", "bridge", "nearly everything"),
    Capability.VETH: Probe(
        _link("v0", "type", "veth", "peer", "name", "v1"), "iproute2", "veth", "nearly everything"
    ),
    Capability.VXLAN: Probe(
        _link("x0", "type", "vxlan", "id", "1", "dstport", "4789"),
        "iproute2",
        "vxlan",
        "flannel-vxlan, canal, calico in VXLAN mode, Docker overlay networks",
    ),
    Capability.MACVLAN: Probe(_on_a_veth("type", "macvlan"), "iproute2", "macvlan", "macvlan networks"),
    Capability.IPVLAN: Probe(_on_a_veth("type", "ipvlan"), "iproute2", "ipvlan", "ipvlan networks"),
    Capability.VLAN: Probe(
        _on_a_veth("type", "vlan", "id", "10"), "iproute2", "8021q", "macvlan networks on 802.1Q trunks"
    ),
    Capability.BRIDGE_VLAN_FILTERING: Probe(
        _link("f0", "type", "bridge", "vlan_filtering", "1"), "iproute2", "bridge", "switches with VLANs"
    ),
    Capability.DUMMY: Probe(_link("d0", "type", "dummy"), "iproute2", "dummy", "kube-proxy in ipvs mode"),
    Capability.IPIP: Probe(
        _link("t0", "type", "ipip", "remote", "192.0.2.1"),
        "iproute2",
        "ipip",
        "calico in IPIP mode, LVS by tunnelling",
    ),
    Capability.GENEVE: Probe(
        _link("g0", "type", "geneve", "id", "1", "remote", "192.0.2.1"), "iproute2", "geneve", "geneve links"
    ),
    Capability.WIREGUARD: Probe(
        _link("w0", "type", "wireguard"), "iproute2", "wireguard", "encrypted backends of flannel and calico"
    ),
    Capability.ESP: Probe(
        (
            (
                *("ip", "xfrm", "state", "add", "src", "192.0.2.1", "dst", "192.0.2.2", "proto", "esp"),
                *("spi", "0x100", "mode", "transport", "aead", "rfc4106(gcm(aes))", f"0x{'5a' * 20}", "64"),
            ),
        ),
        "iproute2",
        "esp4",
        "encrypted overlay networks",
    ),
    Capability.TUN: Probe(
        (("ip", "tuntap", "add", "dev", "tun7", "mode", "tun"),), "iproute2", "tun", "flannel's udp backend"
    ),
    Capability.BRIDGE_NETFILTER: Probe(
        (*_link("n0", "type", "bridge"), ("test", "-e", "/proc/sys/net/bridge/bridge-nf-call-iptables")),
        "iproute2",
        "br_netfilter",
        "flannel, Services between pods of one node",
    ),
    Capability.NFTABLES: Probe(
        (("nft", "add", "table", "inet", "netproof"),),
        "nftables",
        "nf_tables",
        "kube-proxy in nftables mode, injected loss",
    ),
    Capability.IPTABLES_LEGACY: Probe(
        (("iptables-legacy", "-t", "nat", "-N", "NETPROOF"),),
        "iptables",
        "ip_tables",
        "clusters whose images bring only this iptables",
    ),
    Capability.CONNTRACK: Probe(
        (("iptables", "--version"), ("sh", "-c", f"{_CONNTRACK} || {_CONNTRACK.replace(' ', '-legacy ', 1)}")),
        "iptables",
        "nf_conntrack",
        "Docker's published ports, every Kubernetes Service",
    ),
    Capability.IPSET: Probe(
        (("ipset", "create", "s0", "hash:ip"),), "ipset", "ip_set", "network policy of calico"
    ),
    Capability.IPVS: Probe(
        (("ipvsadm", "-A", "-t", "192.0.2.1:80"),), "ipvsadm", "ip_vs", "kube-proxy in ipvs mode, LVS by hand"
    ),
    Capability.SCTP: Probe(
        (("python3", "-c", "import socket; socket.socket(socket.AF_INET, socket.SOCK_STREAM, 132)"),),
        "python3",
        "sctp",
        "probes over SCTP",
    ),
    Capability.NETEM: Probe(
        (("tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms"),),
        "iproute2",
        "sch_netem",
        "added delay",
    ),
    Capability.SHAPING: Probe(
        (("tc", "qdisc", "add", "dev", "lo", "root", "tbf", "rate", "1mbit", "burst", "10k", "limit", "10k"),),
        "iproute2",
        "sch_tbf",
        "narrow links",
    ),
    Capability.IPV6: Probe(
        (("ip", "address", "add", "2001:db8::1/128", "dev", "lo"),), "iproute2", "ipv6", "dual-stack clusters"
    ),
}
"""Every capability but PRIVILEGED, which is found by the container that tries the others."""
