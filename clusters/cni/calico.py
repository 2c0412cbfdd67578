"""Calico: an address for each pod, routes to blocks of them by BGP or a tunnel, and NetworkPolicy.

Upstream's own calico.yaml and calico-vxlan.yaml, with the changes below and no other.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from types import MappingProxyType

from clusters import manifests
from clusters.capabilities import Capability
from clusters.datapath import NO_TUNNEL, Addresses, Carrier, Datapath, RoutedVeth, Tunnel
from clusters.features import Feature
from clusters.manifests import find, with_environment
from clusters.model import Change, Cni, ManifestImage, Objects, Profile, UsageError, chosen_options, chosen_version
from clusters.upstream import Document


@dataclass(frozen=True)
class Release:
    """One release: the digest of each manifest of it, by the manifest's name."""

    manifests: Mapping[str, str]


_RELEASES = MappingProxyType(
    {
        "v3.28.5": Release(
            MappingProxyType(
                {
                    "calico": "206678e7adb2e931bb97385300c408490635616f371941d68468207d6e0f9713",
                    "calico-vxlan": "034b15449b896732fd65e30ec109fb469fa97b78d0d8b6986dac478f7a960629",
                    "canal": "f9061c2a1d969e076ad1284195cae930ced87bb5bf7bd74960755d9aa15416ef",
                }
            )
        ),
    }
)


@dataclass(frozen=True)
class Encapsulation:
    """How packets get to another node: a manifest, the pool's modes in it, and what it means for the checks."""

    manifest: str
    ipip: str
    vxlan: str
    features: frozenset[Feature]
    tunnel: Tunnel = NO_TUNNEL
    needs: frozenset[Capability] = frozenset()
    families: frozenset[int] = frozenset({4, 6})


_VXLAN = Tunnel(Carrier.VXLAN, "vxlan.calico", port=4789, vni=4096, overhead=MappingProxyType({4: 50, 6: 70}))
_IPIP = Tunnel(Carrier.IPIP, "tunl0", overhead=MappingProxyType({4: 20}))

_ENCAPSULATIONS = MappingProxyType(
    {
        "none": Encapsulation("calico", "Never", "Never", frozenset({Feature.BGP})),
        "vxlan": Encapsulation(
            "calico-vxlan",
            "Never",
            "Always",
            frozenset({Feature.ENCAPSULATION, Feature.VXLAN}),
            _VXLAN,
            frozenset({Capability.VXLAN}),
        ),
        "ipip": Encapsulation(
            "calico",
            "Always",
            "Never",
            frozenset({Feature.BGP, Feature.ENCAPSULATION}),
            _IPIP,
            frozenset({Capability.IPIP}),
            frozenset({4}),
        ),
    }
)

POD_LINKS = RoutedVeth("cali")
CHAINS = ("cali-",)
ENFORCER = "calico-node"
OF_PODS = (r"cali-(tw|fw|pi|po|pri|pro|sm|from-wl|to-wl|from-host|set)", "cali40", "cali[0-9a-f]{11}")


class Calico(Cni):
    """The CNI object of this file; clusters.model.Cni says what each member is for."""

    name = "calico"
    claims = ("CAL",)
    versions = tuple(_RELEASES)
    options = MappingProxyType({"encapsulation": tuple(_ENCAPSULATIONS)})

    def features(self, profile: Profile) -> frozenset[Feature]:
        own = {
            Feature.NETWORK_POLICY,
            Feature.POLICY_FOR_ICMP,
            Feature.HOST_PORT,
            Feature.BANDWIDTH,
            Feature.ROUTED_PODS,
            Feature.IP_POOLS,
        }
        return frozenset(own) | self._encapsulation(profile).features

    def needs(self, profile: Profile) -> frozenset[Capability]:
        return self._encapsulation(profile).needs | {Capability.IPSET}

    def datapath(self, profile: Profile) -> Datapath:
        return Datapath(
            attachment=POD_LINKS,
            tunnel=self._encapsulation(profile).tunnel,
            addresses=Addresses.IPAM_BLOCK,
            daemon="calico-node",
            enforcer=ENFORCER,
            plugin="calico",
            files=("/var/lib/calico/nodename", "/etc/cni/net.d/10-calico.conflist"),
            chains=CHAINS,
            of_pods=OF_PODS,
        )

    def images(self, version: str) -> tuple[ManifestImage, ...]:
        release = chosen_version(self, version)
        programs = {"node": "calico-node", "cni": "calico", "kube-controllers": "kube-controllers"}
        return tuple(
            ManifestImage(reference(image, release), f"calico/{release}", program)
            for image, program in programs.items()
        )

    def upstream(self, profile: Profile, version: str) -> Objects:
        release, chosen = chosen_version(self, version), self._encapsulation(profile)
        return upstream(chosen.manifest, release, {image.reference for image in self.images(release)})

    def changes(self, profile: Profile) -> tuple[Change, ...]:
        wanted = pool_of(profile), encapsulated(self._encapsulation(profile)), tells_nobody("calico-node")
        return (*wanted, speaks(profile), lambda them: given_addresses(them, profile))

    def _encapsulation(self, profile: Profile) -> Encapsulation:
        name = chosen_options(self, profile)["encapsulation"]
        chosen = _ENCAPSULATIONS[name]
        if 6 in profile.families and 6 not in chosen.families:
            raise UsageError(f"profile {profile.name}: calico's encapsulation {name} carries IPv4 alone")
        return chosen


CNI = Calico()


def reference(image: str, release: str) -> str:
    """One of Calico's images as its manifests name it."""
    return f"docker.io/calico/{image}:{release}"


def upstream(manifest: str, release: str, images: set[str]) -> Objects:
    """The objects of one of Calico's manifests as that release ships it, whose containers run these images."""
    document = Document(
        repository="projectcalico/calico",
        version=release,
        path=f"manifests/{manifest}.yaml",
        sha256=_RELEASES[release].manifests[manifest],
        recipe=f"calico/{release}",
    )
    return manifests.upstream(document, images)


def pool_of(profile: Profile) -> Change:
    """The pools are the profile's pod subnets; the manifest leaves it to a guess, and then to 192.168.0.0/16."""
    pools = {f"CALICO_IPV{subnet.version}POOL_CIDR": str(subnet) for subnet in profile.pod_subnet}
    return with_environment("calico-node", "calico-node", pools)


def speaks(profile: Profile) -> Change:
    """Nodes have an address of each family of the profile; the manifest has IPv4 alone.

    A node without an IPv4 address to be known by in BGP is known by a number made of its name.
    """
    four, six = (family in profile.families for family in (4, 6))
    variables = {"IP": "autodetect" if four else "none"} | ({} if four else {"CALICO_ROUTER_ID": "hash"})
    # Outside nobody knows a way back to a pod: the pool of IPv4 is translated by itself, that of IPv6 is not.
    outside = {"CALICO_IPV6POOL_NAT_OUTGOING": "true"}
    variables |= {"IP6": "autodetect", "FELIX_IPV6SUPPORT": "true", **outside} if six else {}
    return with_environment("calico-node", "calico-node", variables)


def given_addresses(objects: Objects, profile: Profile) -> Objects:
    """A pod is given an address of each family of the profile; the manifest gives one of IPv4 alone."""
    changed, given = deepcopy(objects), profile.families
    data = find(changed, "ConfigMap", "calico-config")["data"]
    families = {f"assign_ipv{family}": str(family in given).lower() for family in (4, 6)}
    plain = '"type": "calico-ipam"'
    told = ", ".join(f'"{key}": "{value}"' for key, value in families.items())
    # Its numbers are places for the installer to fill in: it is no JSON yet.
    data["cni_network_config"] = data["cni_network_config"].replace(plain, f"{plain}, {told}")
    return changed


def tells_nobody(daemon: str) -> Change:
    """Felix does not tell its makers of the cluster, as it does by default: nothing of a run leaves it."""
    return with_environment(daemon, "calico-node", {"FELIX_USAGEREPORTINGENABLED": "false"})


def encapsulated(chosen: Encapsulation) -> Change:
    """The pool's encapsulation is the profile's; the manifests have IPIP or VXLAN built in."""
    modes = {"CALICO_IPV4POOL_IPIP": chosen.ipip, "CALICO_IPV4POOL_VXLAN": chosen.vxlan}
    modes |= {"CALICO_IPV6POOL_VXLAN": chosen.vxlan}
    return with_environment("calico-node", "calico-node", modes)
