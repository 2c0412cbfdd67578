"""The machines of a cluster, as its API server knows them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from clusters.api import NODE, Api, Object


class Role(StrEnum):
    """What a node is for."""

    CONTROL_PLANE = "control-plane"
    WORKER = "worker"


@dataclass(frozen=True)
class Node:
    """One machine. `name` is also the name of its container, `pod_cidrs` has one entry per address family."""

    name: str
    role: Role
    addresses: tuple[IPv4Address | IPv6Address, ...]
    pod_cidrs: tuple[IPv4Network | IPv6Network, ...]


def nodes(api: Api) -> tuple[Node, ...]:
    """All nodes: the control plane first, then the workers by name."""
    found = [parsed(item) for item in api.list(NODE).values()]
    return tuple(sorted(found, key=lambda node: (node.role is not Role.CONTROL_PLANE, node.name)))


def parsed(item: Object) -> Node:
    """One Node object, read."""
    labels = item["metadata"].get("labels", {})
    control = "node-role.kubernetes.io/control-plane" in labels
    addresses = item["status"].get("addresses", [])
    return Node(
        name=item["metadata"]["name"],
        role=Role.CONTROL_PLANE if control else Role.WORKER,
        addresses=tuple(ip_address(it["address"]) for it in addresses if it["type"] == "InternalIP"),
        pod_cidrs=tuple(ip_network(cidr) for cidr in item["spec"].get("podCIDRs", [])),
    )
