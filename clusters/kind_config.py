"""kind's configuration for a profile: pure rendering, from what is wanted and what the host is like."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import yaml

from clusters.host import Facts
from clusters.model import Profile

_IP_FAMILY = {frozenset({4}): "ipv4", frozenset({6}): "ipv6", frozenset({4, 6}): "dual"}


@dataclass(frozen=True)
class Needs:
    """What the nodes must be told because of the host that they run on."""

    cgroup_v1: bool = False
    """kubelet refuses to start on cgroup v1 unless told otherwise (since Kubernetes 1.35)."""
    oom_score_bounded: bool = False
    """Without CAP_SYS_RESOURCE nobody may lower an oom_score_adj, which containerd does for every pod."""

    @classmethod
    def of(cls, facts: Facts) -> Needs:
        """What that host makes necessary."""
        return cls(
            cgroup_v1=facts.cgroup_version == 1,
            oom_score_bounded="CAP_SYS_RESOURCE" in facts.missing_capabilities,
        )


def render(name: str, profile: Profile, image: str, needs: Needs) -> str:
    """The YAML for `kind create cluster --config`: no CNI, and an API server on loopback alone."""
    nodes = ["control-plane"] + ["worker"] * profile.workers
    config: dict[str, Any] = {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "name": name,
        "networking": {
            "apiServerAddress": "127.0.0.1",
            "ipFamily": _IP_FAMILY[frozenset(subnet.version for subnet in profile.pod_subnet)],
            "disableDefaultCNI": True,
            "kubeProxyMode": profile.kube_proxy.value,
            "podSubnet": ",".join(map(str, profile.pod_subnet)),
            "serviceSubnet": ",".join(map(str, profile.service_subnet)),
        },
        "nodes": [{"role": role, "image": image} for role in nodes],
    }
    patches = [yaml.safe_dump(patch, sort_keys=False) for patch in _kubeadm_patches(needs)]
    if patches:
        config["kubeadmConfigPatches"] = patches
    if needs.oom_score_bounded:
        config["containerdConfigPatches"] = [
            '[plugins."io.containerd.grpc.v1.cri"]\n  restrict_oom_score_adj = true\n'
        ]
    return yaml.safe_dump(config, sort_keys=False)


def _kubeadm_patches(needs: Needs) -> list[dict[str, Any]]:
    if not needs.cgroup_v1:
        return []
    return [{"kind": "KubeletConfiguration", "failCgroupV1": False}]
