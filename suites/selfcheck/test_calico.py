"""Calico's and canal's manifests are changed where the profile says so; BIRD's words are read."""

from __future__ import annotations

import json
from ipaddress import IPv4Address, ip_address
from typing import Any

import pytest

from clusters.cni import calico, canal
from clusters.cni.calico import CNI
from clusters.datapath import Addresses, Carrier
from clusters.features import Feature
from clusters.manifests import changed, container, with_environment, with_images
from clusters.model import Profile, UsageError, claims_of_others, load_cni, load_profile
from fixtures.cni.calico.bird import read

IPAM = '{"ipam": {"type": "calico-ipam"}}'
OBJECTS: list[dict[str, Any]] = [
    {
        "kind": "DaemonSet",
        "metadata": {"name": "calico-node"},
        "spec": {
            "template": {
                "spec": {
                    "initContainers": [{"name": "install-cni", "image": "cni"}],
                    "containers": [
                        {
                            "name": "calico-node",
                            "image": "node",
                            "env": [
                                {"name": "IP", "value": "autodetect"},
                                {"name": "CALICO_IPV4POOL_IPIP", "value": "Always"},
                            ],
                        }
                    ],
                }
            }
        },
    }
]


def profile(pods: str = "198.18.0.0/16", cni: str = "calico", **options: str) -> Profile:
    values = {"name": "x", "summary": "", "cni": cni, "pod_subnet": pods, "service_subnet": "198.19.0.0/24"}
    return Profile.model_validate({**values, "options": options})


def environment(objects: list[dict[str, Any]]) -> dict[str, str]:
    return {it["name"]: it["value"] for it in container(objects, "calico-node", "calico-node")["env"]}


@pytest.mark.parametrize(
    ("encapsulation", "ipip", "vxlan"),
    [("none", "Never", "Never"), ("vxlan", "Never", "Always"), ("ipip", "Always", "Never")],
)
def test_pool_and_encapsulation_are_the_profiles(encapsulation: str, ipip: str, vxlan: str) -> None:
    wanted = profile(encapsulation=encapsulation)
    chosen = CNI._encapsulation(wanted)
    found = environment(changed(OBJECTS, calico.pool_of(wanted), calico.encapsulated(chosen)))
    assert found == {
        "IP": "autodetect",
        "CALICO_IPV4POOL_CIDR": "198.18.0.0/16",
        "CALICO_IPV4POOL_IPIP": ipip,
        "CALICO_IPV4POOL_VXLAN": vxlan,
        "CALICO_IPV6POOL_VXLAN": vxlan,
    }


def test_a_change_leaves_what_it_is_given_as_it_was() -> None:
    changed(OBJECTS, with_environment("calico-node", "calico-node", {"IP": "none"}), with_images({"cni": "other"}))
    assert environment(OBJECTS)["IP"] == "autodetect"
    assert container(OBJECTS, "calico-node", "install-cni")["image"] == "cni"


def test_images_are_replaced_by_name() -> None:
    found = changed(OBJECTS, with_images({"cni": "other"}))
    assert container(found, "calico-node", "install-cni")["image"] == "other"
    assert container(found, "calico-node", "calico-node")["image"] == "node"


def test_features_and_datapath_follow_the_encapsulation() -> None:
    bgp, vxlan = profile(encapsulation="none"), profile(encapsulation="vxlan")
    assert Feature.BGP in CNI.features(bgp) - CNI.features(vxlan)
    assert {Feature.VXLAN, Feature.ENCAPSULATION} <= CNI.features(vxlan) - CNI.features(bgp)
    assert CNI.datapath(bgp).tunnel.carrier is Carrier.NONE
    assert (CNI.datapath(vxlan).tunnel.port, CNI.datapath(vxlan).tunnel.vni) == (4789, 4096)
    assert CNI.datapath(bgp).addresses is Addresses.IPAM_BLOCK


def test_canal_is_flannels_tunnel_and_calicos_links() -> None:
    found = canal.CNI.datapath(profile(cni="canal"))
    assert (found.tunnel.port, found.attachment) == (8472, calico.POD_LINKS)
    assert found.addresses is Addresses.POD_CIDR
    assert {Feature.NETWORK_POLICY, Feature.FLANNEL_LEASES} <= canal.CNI.features(profile(cni="canal"))


@pytest.mark.parametrize(
    ("pods", "variables", "ipam"),
    [
        ("198.18.0.0/16", {"IP": "autodetect"}, {"assign_ipv4": "true", "assign_ipv6": "false"}),
        (
            "198.18.0.0/16,2001:db8::/56",
            {"IP": "autodetect", "IP6": "autodetect", "FELIX_IPV6SUPPORT": "true"},
            {"assign_ipv4": "true", "assign_ipv6": "true"},
        ),
        (
            "2001:db8::/56",
            {"IP": "none", "IP6": "autodetect", "FELIX_IPV6SUPPORT": "true", "CALICO_ROUTER_ID": "hash"},
            {"assign_ipv4": "false", "assign_ipv6": "true"},
        ),
    ],
)
def test_nodes_and_pods_have_addresses_of_the_profiles_families(
    pods: str, variables: dict[str, str], ipam: dict[str, str]
) -> None:
    wanted = profile(pods)
    found = environment(changed(OBJECTS, calico.speaks(wanted)))
    assert {name: value for name, value in found.items() if "POOL" not in name} == variables
    conf = {"kind": "ConfigMap", "metadata": {"name": "calico-config"}}
    given = calico.given_addresses([conf | {"data": {"cni_network_config": IPAM}}], wanted)
    assert json.loads(given[0]["data"]["cni_network_config"]) == {"ipam": {"type": "calico-ipam", **ipam}}


def test_ipv6_is_refused_where_it_is_not_carried() -> None:
    both = "198.18.0.0/16,2001:db8::/56"
    with pytest.raises(UsageError, match="IPv4 alone"):
        canal.CNI.features(profile(both, cni="canal"))
    with pytest.raises(UsageError, match="ipip carries IPv4 alone"):
        CNI.features(profile(both, encapsulation="ipip"))
    assert Feature.ROUTED_PODS in CNI.features(profile(both, encapsulation="none"))


def test_sessions_of_both_families_are_read() -> None:
    six = read("Mesh_fc00_f853_ccd_e793__3 BGP      master   up     20:36:01    Established   ", 6)
    assert six == {ip_address("fc00:f853:ccd:e793::3"): "Established"}


def test_claims_about_other_cnis_are_not_asked_of_one() -> None:
    assert claims_of_others(load_cni("flannel")) == {"CAL", "CNL"}
    assert claims_of_others(load_cni("calico")) == {"FLN", "CNL"}
    assert claims_of_others(load_cni("canal")) == {"CAL"}


def test_a_profile_that_is_like_another_differs_in_what_it_says_alone() -> None:
    one, other = load_profile("flannel-vxlan"), load_profile("flannel-vxlan-nftables")
    assert (
        one.model_copy(update={"name": other.name, "summary": other.summary, "kube_proxy": other.kube_proxy})
        == other
    )
    assert one.kube_proxy != other.kube_proxy


SHOWN = """BIRD 1.6.8 ready.
name     proto    table    state  since       info
static1  Static   master   up     05:38:11    
kernel1  Kernel   master   up     05:38:11    
Mesh_172_18_0_3 BGP      master   up     05:38:12    Established   
Mesh_172_18_0_4 BGP      master   start  05:38:12    Active        Socket: Connection refused
Mesh_172_18_0_5 BGP      master   down   05:38:12                  
"""  # noqa: W291  birdcl pads its columns


def test_sessions_are_read() -> None:
    assert read(SHOWN) == {
        IPv4Address("172.18.0.3"): "Established",
        IPv4Address("172.18.0.4"): "Active        Socket: Connection refused",
        IPv4Address("172.18.0.5"): "",
    }
