"""What a CNI does with packets, as data: how a pod hangs on its node, and how packets get to another node.

Checks of the wire, the diagnosis of a lost packet, faults and their reverts are written against this, so that they
say "the tunnel" or "the bridge" and hold for every CNI. Only a CNI's own file knows the names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from math import ceil
from types import MappingProxyType


class Carrier(StrEnum):
    """What carries a pod's packet from node to node."""

    NONE = "none"
    """The packet itself: the next hop is the other node."""
    VXLAN = "vxlan"
    IPIP = "ipip"
    UDP = "udp"
    """A program takes it from a TUN device, and sends it as the payload of a datagram."""
    WIREGUARD = "wireguard"


@dataclass(frozen=True)
class Tunnel:
    """How packets travel between nodes.

    `device` is on every node, `port` the UDP port and `vni` the VXLAN id where there is one. `overhead` has by
    address family of the nodes the bytes that wrap each packet: a pod's MTU is the nodes' network's less these.
    `holds` are the small packets for which a program that is the tunnel has room while it waits for a processor; a
    full packet takes the room of three. What comes on top is lost. A tunnel in the kernel has room enough: None.
    """

    carrier: Carrier
    device: str = ""
    port: int | None = None
    vni: int | None = None
    overhead: Mapping[int, int] = field(default_factory=lambda: MappingProxyType({}))
    holds: int | None = None

    def burst(self, wanted: int, size: int = 0) -> int:
        """How many datagrams of `size` bytes, of those wanted, may be sent at once without losing some to that."""
        if self.holds is None:
            return wanted
        room = 1 if size <= SMALL else 3 * ceil(size / FULL)
        return min(wanted, self.holds // room)

    def taken_off(self, family: int = 4) -> int:
        """The bytes that are taken off a pod's MTU where nodes speak that family to each other."""
        return self.overhead.get(family, 0)


SMALL, FULL = 500, 1400
"""Bytes of payload in a packet that counts as small, and at least in a full one."""
NO_TUNNEL = Tunnel(Carrier.NONE)


@dataclass(frozen=True)
class Bridge:
    """Pods of one node are ports of a Linux bridge of this name, which has the gateway's address."""

    name: str


@dataclass(frozen=True)
class RoutedVeth:
    """Each pod has a veth of its own with a host route to it; its name on the node begins like this."""

    prefix: str


class Addresses(StrEnum):
    """What says which node an address belongs to."""

    POD_CIDR = "podCIDR"
    """The Node object's podCIDRs."""
    IPAM_BLOCK = "IPAM block"
    """Blocks that the CNI gives nodes itself."""


@dataclass(frozen=True)
class Datapath:
    """A CNI's way of moving packets, as a profile sets it up.

    `daemon` is the process on every node that keeps it up, `enforcer` the one that enforces NetworkPolicy,
    `plugin` the binary in /opt/cni/bin that makes a pod's link, `files` are what it leaves on a node and needs
    to make pods, `chains` how its iptables chains begin, `of_pods` patterns of rules and sets that come and go
    with pods and policies, `harmless` patterns of lines in its logs that are no error of the network, each with
    the reason. Where `follows_the_default_route` is set, a node has no route for its own subnet as a whole, and
    sends packets for a pod that is gone to its default gateway.
    """

    attachment: Bridge | RoutedVeth
    tunnel: Tunnel = NO_TUNNEL
    addresses: Addresses = Addresses.POD_CIDR
    daemon: str = ""
    enforcer: str = ""
    plugin: str = ""
    files: tuple[str, ...] = ()
    chains: tuple[str, ...] = ()
    of_pods: tuple[str, ...] = ()
    harmless: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    follows_the_default_route: bool = False

    @property
    def pod_links(self) -> str:
        """How the names of pods' links on their nodes begin."""
        return self.attachment.prefix if isinstance(self.attachment, RoutedVeth) else "veth"

    @property
    def bridge(self) -> str:
        """The bridge's name; LookupError for a CNI without one."""
        if not isinstance(self.attachment, Bridge):
            raise LookupError("pods hang on no bridge here")
        return self.attachment.name
