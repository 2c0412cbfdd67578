"""What carries Services on a node, mode by mode: the one place that knows kube-proxy's own words."""

from __future__ import annotations

import re
from dataclasses import dataclass

from clusters.model import KubeProxy


@dataclass(frozen=True)
class IptablesRules:
    """kube-proxy's chains of iptables.

    `of_a_service` matches the chain of one Service, of one of its endpoints or of its external traffic, and gives
    its kind; `entrances` are the chains that packets come to first. `marking` and `masquerading` are chain and
    target of the rules that mark a packet for masquerade, and that masquerade it for that mark. `rewritten`
    matches rules that come and go with Services.
    """

    of_a_service: re.Pattern[str] = re.compile(r"(KUBE-(?:SVC|SVL|EXT|SEP))-[A-Z2-7]{16}")
    entrances: tuple[str, ...] = ("KUBE-SERVICES", "KUBE-NODEPORTS")
    marking: tuple[str, str] = ("KUBE-MARK-MASQ", "MARK")
    masquerading: tuple[str, str] = ("KUBE-POSTROUTING", "MASQUERADE")
    mark: int = 0x4000
    rewritten: re.Pattern[str] = re.compile(r"KUBE-(SVC|SEP|EXT|FW|SVL|SERVICES|NODEPORTS)")
    from_a_pod: tuple[str, ...] = ("KUBE-SERVICES → KUBE-SVC", "KUBE-SVC → KUBE-SEP", "KUBE-SEP → DNAT")
    """The steps that the first packet to a ClusterIP takes."""
    from_elsewhere: tuple[str, ...] = (*from_a_pod, "KUBE-SVC → KUBE-MARK-MASQ")
    """The same for who is no pod."""
    by_node_port: tuple[str, ...] = (
        "KUBE-NODEPORTS → KUBE-EXT",
        "KUBE-EXT → KUBE-MARK-MASQ",
        "KUBE-EXT → KUBE-SVC",
        "KUBE-SVC → KUBE-SEP",
        "KUBE-SEP → DNAT",
    )


IPTABLES = IptablesRules()


@dataclass(frozen=True)
class NftablesMaps:
    """kube-proxy's own table of nftables: the maps that packets to a Service's address or node port look into."""

    table: str = "kube-proxy"
    by_address: str = "service-ips"
    by_node_port: str = "service-nodeports"


NFTABLES = NftablesMaps()

IPVS_LINK = "kube-ipvs0"
"""The link that holds every ClusterIP in ipvs mode."""


@dataclass(frozen=True)
class IpvsSets:
    """kube-proxy's ipsets in ipvs mode: ways to Services, and endpoints of the node's own that ask themselves."""

    by_address: str = "KUBE-CLUSTER-IP"
    by_node_port_tcp: str = "KUBE-NODE-PORT-TCP"
    by_node_port_udp: str = "KUBE-NODE-PORT-UDP"
    hairpin: str = "KUBE-LOOP-BACK"


IPVS_SETS = IpvsSets()


@dataclass(frozen=True)
class ServiceProxy:
    """One mode: the nftables table that it keeps for itself ("" for none)."""

    mode: KubeProxy
    table: str = ""


PROXIES = {
    KubeProxy.IPTABLES: ServiceProxy(KubeProxy.IPTABLES),
    KubeProxy.NFTABLES: ServiceProxy(KubeProxy.NFTABLES, table=NFTABLES.table),
    KubeProxy.IPVS: ServiceProxy(KubeProxy.IPVS),
}
