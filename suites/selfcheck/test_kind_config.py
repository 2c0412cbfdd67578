"""kind is told what the profile says, and what the host makes necessary."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from clusters.kind_config import Needs, render
from clusters.model import Profile


def profile(**changed: object) -> Profile:
    values: dict[str, Any] = {
        "name": "x",
        "summary": "",
        "cni": "flannel",
        "workers": 2,
        "pod_subnet": "198.18.0.0/16",
        "service_subnet": "198.19.0.0/24",
        "kube_proxy": "nftables",
    }
    return Profile(**{**values, **changed})


def config(needs: Needs | None = None, **changed: object) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(render("netproof-x", profile(**changed), "node:1", needs or Needs()))
    return found


def test_networking_is_the_profiles_and_on_loopback_alone() -> None:
    assert config()["networking"] == {
        "apiServerAddress": "127.0.0.1",
        "ipFamily": "ipv4",
        "disableDefaultCNI": True,
        "kubeProxyMode": "nftables",
        "podSubnet": "198.18.0.0/16",
        "serviceSubnet": "198.19.0.0/24",
    }


def test_every_node_runs_the_image() -> None:
    assert config(workers=3)["nodes"] == [
        {"role": role, "image": "node:1"} for role in ("control-plane", "worker", "worker", "worker")
    ]


@pytest.mark.parametrize(
    ("pods", "services", "families"),
    [
        ("198.18.0.0/16", "198.19.0.0/24", "ipv4"),
        ("2001:db8::/56", "2001:db8:1::/112", "ipv6"),
        ("198.18.0.0/16,2001:db8::/56", "198.19.0.0/24,2001:db8:1::/112", "dual"),
    ],
)
def test_the_address_families_are_those_of_the_pod_subnets(pods: str, services: str, families: str) -> None:
    networking = config(pod_subnet=pods, service_subnet=services)["networking"]
    assert (networking["ipFamily"], networking["podSubnet"], networking["serviceSubnet"]) == (
        families,
        pods,
        services,
    )


def test_a_host_without_peculiarities_gets_no_patches() -> None:
    assert {"kubeadmConfigPatches", "containerdConfigPatches"}.isdisjoint(config())


def test_cgroup_v1_is_allowed_where_the_host_has_it() -> None:
    found = config(Needs(cgroup_v1=True))
    (patch,) = found["kubeadmConfigPatches"]
    assert yaml.safe_load(patch) == {"kind": "KubeletConfiguration", "failCgroupV1": False}
    assert "containerdConfigPatches" not in found


def test_oom_scores_are_bounded_where_the_capability_is_missing() -> None:
    found = config(Needs(oom_score_bounded=True))
    assert "restrict_oom_score_adj = true" in found["containerdConfigPatches"][0]
    assert "kubeadmConfigPatches" not in found
