"""flannel: one subnet per node, packets between nodes by VXLAN, by plain routes, or by flanneld itself.

Upstream's own kube-flannel.yml, with the changes below and no other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from clusters import manifests
from clusters.capabilities import Capability
from clusters.datapath import NO_TUNNEL, Bridge, Carrier, Datapath, Tunnel
from clusters.features import Feature
from clusters.manifests import container, find
from clusters.model import Change, Cni, ManifestImage, Objects, Profile, UsageError, chosen_options, chosen_version
from clusters.upstream import Document


@dataclass(frozen=True)
class Release:
    """One release: the digest of its manifest, and the two images that the manifest names."""

    manifest: str
    flannel: str
    plugin: str


_RELEASES = MappingProxyType(
    {
        "v0.28.10": Release(
            "944a3c1f925f117727a1b7272a323c80965da642498397ec7e6ea9bef0f9e6c5",
            "ghcr.io/flannel-io/flannel:v0.28.10",
            "ghcr.io/flannel-io/flannel-cni-plugin:v1.9.1-flannel3",
        ),
        "v0.28.4": Release(
            "0bd380eb4954227c903bdea96dc9254650badd2d45ebe31978a47c3ffe2e9727",
            "ghcr.io/flannel-io/flannel:v0.28.4",
            "ghcr.io/flannel-io/flannel-cni-plugin:v1.9.1-flannel1",
        ),
        "v0.27.4": Release(
            "2242ee218f3c3e724e4efe5f31826a3e38cfdabf334de41aee2b12b48fd4818d",
            "ghcr.io/flannel-io/flannel:v0.27.4",
            "ghcr.io/flannel-io/flannel-cni-plugin:v1.8.0-flannel1",
        ),
        "v0.27.0": Release(
            "c5d2031c3bbf568480bb2baed8a4f051983417b56384b2bc6e3679abca4d9906",
            "ghcr.io/flannel-io/flannel:v0.27.0",
            "ghcr.io/flannel-io/flannel-cni-plugin:v1.7.1-flannel1",
        ),
        "v0.26.7": Release(
            "d3f539ef073032bdbd2d32900719400e0050a8ae1d00a9fef75d9d0f079c7d54",
            "ghcr.io/flannel-io/flannel:v0.26.7",
            "ghcr.io/flannel-io/flannel-cni-plugin:v1.6.2-flannel1",
        ),
        "v0.25.7": Release(
            "1f9d894f4cf6d3ff78b991341de02fefe64bfa88575bafc2a967eaeaa252a596",
            "docker.io/flannel/flannel:v0.25.7",
            "docker.io/flannel/flannel-cni-plugin:v1.5.1-flannel2",
        ),
    }
)


@dataclass(frozen=True)
class Backend:
    """How packets get to another node: its section of net-conf.json, and what it means for the checks.

    vxlan puts 14 bytes of the inner Ethernet header, 8 of VXLAN, 8 of UDP and 20 of IP (40 of IPv6) around a
    packet, udp the last two alone, ipip the last one. wireguard leaves room for IPv6 whatever the nodes speak.
    """

    config: Mapping[str, object]
    features: frozenset[Feature]
    tunnel: Tunnel = NO_TUNNEL
    needs: frozenset[Capability] = frozenset()
    opens_tun: bool = False
    carries_ipv6: bool = True
    device_of_ipv6: str = ""
    """The tunnel's device where pods have IPv6 alone; beside IPv4 it is a second one."""


VXLAN_DEVICES = MappingProxyType({4: "flannel.1", 6: "flannel-v6.1"})
"""By address family: each has a tunnel of its own."""
VXLAN = Tunnel(Carrier.VXLAN, VXLAN_DEVICES[4], port=8472, vni=1, overhead=MappingProxyType({4: 50, 6: 70}))
_UDP = Tunnel(Carrier.UDP, "flannel0", port=8285, overhead=MappingProxyType({4: 28}), holds=192)
"""flanneld's socket has the default of 212992 bytes; a small packet takes 768 of them, a full one 2304."""

_IPIP = Tunnel(Carrier.IPIP, "flannel.ipip", overhead=MappingProxyType({4: 20}))
_WIREGUARD = Tunnel(Carrier.WIREGUARD, "flannel-wg", port=51820, overhead=MappingProxyType({4: 80, 6: 80}))

_BACKENDS = MappingProxyType(
    {
        "vxlan": Backend(
            {"Type": "vxlan"},
            frozenset({Feature.ENCAPSULATION, Feature.VXLAN}),
            VXLAN,
            frozenset({Capability.VXLAN}),
            device_of_ipv6=VXLAN_DEVICES[6],
        ),
        "host-gw": Backend({"Type": "host-gw"}, frozenset()),
        "udp": Backend(
            {"Type": "udp"},
            frozenset({Feature.ENCAPSULATION, Feature.PROGRAM_TUNNEL}),
            _UDP,
            frozenset({Capability.TUN}),
            opens_tun=True,
            carries_ipv6=False,
        ),
        "ipip": Backend(
            {"Type": "ipip"},
            frozenset({Feature.ENCAPSULATION}),
            _IPIP,
            frozenset({Capability.IPIP}),
            carries_ipv6=False,
        ),
        "wireguard": Backend(
            {"Type": "wireguard"},
            frozenset({Feature.ENCAPSULATION}),
            _WIREGUARD,
            frozenset({Capability.WIREGUARD}),
            device_of_ipv6="flannel-wg-v6",
        ),
    }
)


UNDERLAY_MTU = 1500
"""What the network that kind's nodes are on takes."""
CHAINS = ("FLANNEL-",)
_CONFIGURATION = "kube-flannel-cfg"


class Flannel(Cni):
    """The CNI object of this file; clusters.model.Cni says what each member is for."""

    name = "flannel"
    claims = ("FLN",)
    versions = tuple(_RELEASES)
    options = MappingProxyType({"backend": tuple(_BACKENDS)})

    def features(self, profile: Profile) -> frozenset[Feature]:
        own = {Feature.BRIDGE, Feature.FLANNEL_LEASES, Feature.HOST_PORT}
        return frozenset(own) | self._backend(profile).features

    def needs(self, profile: Profile) -> frozenset[Capability]:
        return self._backend(profile).needs | {Capability.BRIDGE_NETFILTER}

    def datapath(self, profile: Profile) -> Datapath:
        backend = self._backend(profile)
        alone = profile.families == (6,) and backend.device_of_ipv6
        return Datapath(
            attachment=Bridge("cni0"),
            tunnel=replace(backend.tunnel, device=alone) if alone else backend.tunnel,
            daemon="flanneld",
            plugin="bridge",
            files=("/run/flannel/subnet.env", "/etc/cni/net.d/10-flannel.conflist"),
            chains=CHAINS,
        )

    def images(self, version: str) -> tuple[ManifestImage, ...]:
        release = _RELEASES[chosen_version(self, version)]
        return (
            ManifestImage(release.flannel, f"flannel/{version}"),
            ManifestImage(release.plugin, "flannel-cni-plugin"),
        )

    def upstream(self, profile: Profile, version: str) -> Objects:  # noqa: ARG002  one manifest for all
        release = _RELEASES[chosen_version(self, version)]
        document = Document(
            repository="flannel-io/flannel",
            version=version,
            path="Documentation/kube-flannel.yml",
            sha256=release.manifest,
            recipe=f"flannel/{version}",
        )
        return manifests.upstream(document, {release.flannel, release.plugin})

    def changes(self, profile: Profile) -> tuple[Change, ...]:
        backend = self._backend(profile)
        wanted: list[Change] = [
            lambda objects: in_pod_subnet(objects, profile),
            lambda objects: by_backend(objects, backend),
            in_an_older_format,
        ]
        if len(profile.pod_subnet) > 1:
            wanted.append(lambda objects: in_the_narrower_tunnel(objects, backend))
        if backend.opens_tun:
            wanted.append(may_open_tun)
        return tuple(wanted)

    def _backend(self, profile: Profile) -> Backend:
        name = chosen_options(self, profile)["backend"]
        backend = _BACKENDS[name]
        if not backend.carries_ipv6 and 6 in profile.families:
            raise UsageError(f"profile {profile.name}: flannel's {name} backend carries IPv4 alone")
        return backend


CNI = Flannel()


def in_pod_subnet(objects: Objects, profile: Profile, configuration: str = _CONFIGURATION) -> Objects:
    """The pool is the profile's pod subnet: the nodes' podCIDRs, which flannel leases from, are cut from it.

    The manifest has 10.244.0.0/16 built in, and no IPv6. `configuration` is the ConfigMap with flannel's settings.
    """
    changed, conf = _net_conf(objects, configuration)
    for subnet in profile.pod_subnet:
        if subnet.version == 4:
            conf["Network"] = str(subnet)
        else:
            conf |= {"EnableIPv6": True, "IPv6Network": str(subnet)}
    if profile.families == (6,):
        conf["EnableIPv4"] = False
        del conf["Network"]
    return _with_net_conf(changed, configuration, conf)


def by_backend(objects: Objects, backend: Backend) -> Objects:
    """The backend is the profile's; the manifest has vxlan built in."""
    changed, conf = _net_conf(objects, _CONFIGURATION)
    conf["Backend"] = dict(backend.config)
    return _with_net_conf(changed, _CONFIGURATION, conf)


def in_an_older_format(objects: Objects) -> Objects:
    """The CNI configuration is in format 0.3.1, as releases before v0.28.10 have it: every plugin reads that.

    The plugin that can be compiled from source reads up to 0.4.0, and later releases say 1.0.0.
    """
    changed = deepcopy(objects)
    data = find(changed, "ConfigMap", _CONFIGURATION)["data"]
    data["cni-conf.json"] = json.dumps({**json.loads(data["cni-conf.json"]), "cniVersion": "0.3.1"}, indent=2)
    return changed


def in_the_narrower_tunnel(objects: Objects, backend: Backend) -> Objects:
    """Pods' links leave room for the headers of IPv6, where there are tunnels of both families.

    flannel tells its plugin the MTU of the tunnel for IPv4, which is 20 bytes wider with VXLAN: a full packet of
    IPv6 then does not fit (seen: the first one is lost, and the sender told so).
    """
    changed = deepcopy(objects)
    data = find(changed, "ConfigMap", _CONFIGURATION)["data"]
    conf = json.loads(data["cni-conf.json"])
    mtu = UNDERLAY_MTU - max(backend.tunnel.taken_off(family) for family in (4, 6))
    conf["plugins"][0]["delegate"]["mtu"] = mtu
    data["cni-conf.json"] = json.dumps(conf, indent=2)
    return changed


def may_open_tun(objects: Objects) -> Objects:
    """The udp backend opens /dev/net/tun, which a container without privileges does not see."""
    changed = deepcopy(objects)
    container(changed, "kube-flannel-ds", "kube-flannel")["securityContext"]["privileged"] = True
    return changed


def _net_conf(objects: Objects, configuration: str) -> tuple[Objects, dict[str, Any]]:
    """A copy of the objects, and flannel's own configuration out of them."""
    changed = deepcopy(objects)
    return changed, json.loads(find(changed, "ConfigMap", configuration)["data"]["net-conf.json"])


def _with_net_conf(objects: Objects, configuration: str, conf: dict[str, Any]) -> Objects:
    find(objects, "ConfigMap", configuration)["data"]["net-conf.json"] = json.dumps(conf, indent=2)
    return objects
