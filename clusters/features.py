"""What a profile can support, by name. A check asks for features; nothing asks which CNI it is."""

from __future__ import annotations

import re
from enum import StrEnum


class Feature(StrEnum):
    """One thing that a CNI or a profile may or may not support."""

    KNOWN_PROFILE = "known-profile"
    """netproof stood the cluster up from a profile: it says how packets travel, what the cluster was like before
    its CNI came is known, and nodes may be changed. Of a cluster of somebody else's none of that holds."""
    NETWORK_POLICY = "network-policy"
    """NetworkPolicy objects are enforced."""
    POLICY_FOR_ICMP = "policy-for-icmp"
    """They are enforced for ICMP as well, which the API leaves open."""
    BRIDGE = "bridge"
    """Pods of one node hang on a Linux bridge."""
    ROUTED_PODS = "routed-pods"
    """Each pod hangs on a veth pair of its own, and its node has a route to it; there is no bridge."""
    ENCAPSULATION = "encapsulation"
    """Packets between nodes are wrapped."""
    PROGRAM_TUNNEL = "program-tunnel"
    """A program wraps them, which takes them from a TUN device."""
    VXLAN = "vxlan"
    """They are wrapped in VXLAN by the kernel."""
    IP_POOLS = "ip-pools"
    """The CNI gives addresses from pools of its own, of which nodes get blocks."""
    BGP = "bgp"
    """Nodes tell each other their pods' subnets by BGP."""
    FLANNEL_LEASES = "flannel-leases"
    """flanneld leases each node its subnet, and writes that down in the Node objects and on the nodes."""
    BANDWIDTH = "bandwidth"
    """Pods' bandwidth annotations are heeded: a plugin behind the CNI's own lays a queue at the pod's link."""
    HOST_PORT = "host-port"
    """Pods may bind a port of their node."""
    LOAD_BALANCER = "load-balancer"
    """Services of type LoadBalancer are given an address of the nodes' network, and a node answers for it."""
    KUBE_PROXY_IPTABLES = "kube-proxy-iptables"
    """Services are carried by kube-proxy's iptables rules."""
    KUBE_PROXY_NFTABLES = "kube-proxy-nftables"
    """Services are carried by the maps of kube-proxy's own nftables table."""
    KUBE_PROXY_IPVS = "kube-proxy-ipvs"
    """Services are carried by virtual servers in the kernel."""
    UDP_FORGOTTEN_AT_ZERO = "udp-forgotten-at-zero"
    """kube-proxy wipes what is remembered of UDP clients also when a Service loses its last endpoint. Releases of
    Kubernetes from 1.32 to 1.36 do not (kubernetes/kubernetes#139628): `forgets_udp_at_zero`."""
    SEVERAL_RELEASES = "several-releases"
    """More than one release of the CNI is known, so that a cluster can go from one to another."""
    IPV4 = "ipv4"
    """Pods and Services have IPv4 addresses."""
    DUAL_STACK = "dual-stack"
    """Pods and Services have an address of each family."""


def forgets_udp_at_zero(kubernetes: str) -> bool:
    """Whether a release ("v1.37.2") has UDP_FORGOTTEN_AT_ZERO: v1.36.3 was seen without it, v1.37.2 with it."""
    found = re.match(r"v1\.(\d+)", kubernetes)
    return found is None or int(found[1]) not in range(32, 37)
