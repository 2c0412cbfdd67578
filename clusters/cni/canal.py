"""Canal: flannel carries packets between nodes, Calico hangs pods on their nodes and enforces NetworkPolicy.

Calico's own canal.yaml, with the changes below and no other.
"""

from __future__ import annotations

from copy import deepcopy
from types import MappingProxyType

from clusters.capabilities import Capability
from clusters.cni import calico, flannel
from clusters.datapath import Datapath
from clusters.features import Feature
from clusters.manifests import find, with_images
from clusters.model import Change, Cni, ManifestImage, Objects, Profile, UsageError, chosen_version

_FLANNEL = "docker.io/flannel/flannel:v0.24.3"
"""The flannel that canal.yaml of Calico v3.28.5 names, of which no module is served any more."""


_HARMLESS = MappingProxyType(
    {
        r"fatal error: all goroutines are asleep - deadlock!": "the part of calico-node that gives tunnels their"
        " addresses has none to give where flannel has the tunnel, and waits for ever; built without C, Go takes"
        " that for a deadlock, and it is begun anew",
        r"fatal error: \d{4}-\d\d-\d\d [\d:.]+ \[(?:DEBUG|INFO|WARNING)\]": "the same: Go writes these words by"
        " themselves, and a line of another part of calico-node came before the rest",
    }
)


class Canal(Cni):
    """The CNI object of this file; clusters.model.Cni says what each member is for."""

    name = "canal"
    claims = ("CNL", "FLN")
    versions = calico.CNI.versions

    def features(self, profile: Profile) -> frozenset[Feature]:
        if 6 in profile.families:
            raise UsageError(f"profile {profile.name}: canal is set up here with IPv4 alone")
        return frozenset(
            {
                Feature.NETWORK_POLICY,
                Feature.POLICY_FOR_ICMP,
                Feature.HOST_PORT,
                Feature.BANDWIDTH,
                Feature.ROUTED_PODS,
                Feature.FLANNEL_LEASES,
                Feature.ENCAPSULATION,
                Feature.VXLAN,
            }
        )

    def needs(self, profile: Profile) -> frozenset[Capability]:  # noqa: ARG002  there is one way
        return frozenset({Capability.VXLAN, Capability.IPSET})

    def datapath(self, profile: Profile) -> Datapath:  # noqa: ARG002  there is one way
        return Datapath(
            attachment=calico.POD_LINKS,
            tunnel=flannel.VXLAN,
            daemon="flanneld",
            enforcer=calico.ENFORCER,
            plugin="calico",
            files=("/etc/cni/net.d/10-canal.conflist",),
            chains=(*flannel.CHAINS, *calico.CHAINS),
            of_pods=calico.OF_PODS,
            harmless=_HARMLESS,
            follows_the_default_route=True,
        )

    def images(self, version: str) -> tuple[ManifestImage, ...]:
        return (*calico.CNI.images(version), flannel.CNI.images(flannel.CNI.versions[0])[0])

    def upstream(self, profile: Profile, version: str) -> Objects:  # noqa: ARG002  there is one way
        release = chosen_version(self, version)
        own = calico.CNI.images(release)
        return calico.upstream("canal", release, {*(image.reference for image in own), _FLANNEL})

    def changes(self, profile: Profile) -> tuple[Change, ...]:
        ours = flannel.CNI.images(flannel.CNI.versions[0])[0].reference
        return (
            with_images({_FLANNEL: ours}),
            lambda them: flannel.in_pod_subnet(them, profile, "canal-config"),
            calico.tells_nobody("canal"),
            lambda them: in_the_tunnel(them, profile),
        )


CNI = Canal()


def in_the_tunnel(objects: Objects, profile: Profile) -> Objects:
    """Pods' links leave room for the tunnel's headers.

    The manifest has 0, for Felix to find the MTU out; but Felix knows of its own tunnels alone, and gives pods the
    nodes' full MTU. A full packet then does not fit (seen; Calico's documentation says to set it).
    """
    copy = deepcopy(objects)
    mtu = flannel.UNDERLAY_MTU - flannel.VXLAN.taken_off(max(it.version for it in profile.pod_subnet))
    find(copy, "ConfigMap", "canal-config")["data"]["veth_mtu"] = str(mtu)
    return copy
