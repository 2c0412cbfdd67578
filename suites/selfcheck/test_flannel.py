"""flannel's manifest is changed where the profile says so, and nowhere else."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest

from clusters.cni.flannel import CNI, by_backend, in_pod_subnet, may_open_tun
from clusters.features import Feature
from clusters.model import Profile, UsageError, chosen_version, load_cni, load_profile

OBJECTS: list[dict[str, Any]] = [
    {"kind": "Namespace", "metadata": {"name": "kube-flannel"}},
    {
        "kind": "ConfigMap",
        "metadata": {"name": "kube-flannel-cfg"},
        "data": {
            "cni-conf.json": '{"cniVersion": "1.0.0", "plugins": []}',
            "net-conf.json": '{"Network": "10.244.0.0/16", "EnableNFTables": false, "Backend": {"Type": "vxlan"}}',
        },
    },
    {
        "kind": "DaemonSet",
        "metadata": {"name": "kube-flannel-ds"},
        "spec": {
            "template": {
                "spec": {"containers": [{"name": "kube-flannel", "securityContext": {"privileged": False}}]}
            }
        },
    },
]


def profile(pods: str = "198.18.0.0/16", **options: str) -> Profile:
    values = {"name": "x", "summary": "", "cni": "flannel", "pod_subnet": pods, "service_subnet": "198.19.0.0/24"}
    return Profile.model_validate({**values, "options": options})


def net_conf(objects: list[dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(objects[1]["data"]["net-conf.json"])
    return found


def test_the_pool_is_the_pod_subnet() -> None:
    conf = net_conf(in_pod_subnet(OBJECTS, profile()))
    assert conf == {"Network": "198.18.0.0/16", "EnableNFTables": False, "Backend": {"Type": "vxlan"}}


def test_dual_stack_has_a_pool_of_each_family() -> None:
    conf = net_conf(in_pod_subnet(OBJECTS, profile("198.18.0.0/16,2001:db8::/56")))
    assert (conf["Network"], conf["IPv6Network"], conf["EnableIPv6"]) == ("198.18.0.0/16", "2001:db8::/56", True)
    assert "EnableIPv4" not in conf


def test_ipv6_alone_has_no_ipv4_pool() -> None:
    conf = net_conf(in_pod_subnet(OBJECTS, profile("2001:db8::/56")))
    assert "Network" not in conf
    assert (conf["EnableIPv4"], conf["IPv6Network"]) == (False, "2001:db8::/56")


@pytest.mark.parametrize("backend", CNI.options["backend"])
def test_the_backend_is_the_one_asked_for(backend: str) -> None:
    chosen = CNI._backend(profile(backend=backend))
    assert net_conf(by_backend(OBJECTS, chosen))["Backend"] == {"Type": backend}


def test_only_udp_gets_privileges() -> None:
    privileged = {
        backend: may_open_tun in CNI.changes(profile(backend=backend)) for backend in CNI.options["backend"]
    }
    assert [backend for backend, is_privileged in privileged.items() if is_privileged] == ["udp"]
    container = may_open_tun(OBJECTS)[2]["spec"]["template"]["spec"]["containers"][0]
    assert container["securityContext"]["privileged"] is True


def test_what_no_change_names_stays_as_it_was() -> None:
    before = deepcopy(OBJECTS)
    objects = OBJECTS
    for change in CNI.changes(profile()):
        objects = change(objects)
    assert before == OBJECTS
    assert (objects[0], objects[2]) == (OBJECTS[0], OBJECTS[2])
    assert json.loads(objects[1]["data"]["cni-conf.json"]) == {"cniVersion": "0.3.1", "plugins": []}


def test_features_follow_backend_and_families() -> None:
    wrapping = {Feature.VXLAN, Feature.ENCAPSULATION, Feature.PROGRAM_TUNNEL}
    found = {backend: CNI.features(profile(backend=backend)) & wrapping for backend in CNI.options["backend"]}
    assert found == {
        "vxlan": {Feature.VXLAN, Feature.ENCAPSULATION},
        "host-gw": set(),
        "udp": {Feature.ENCAPSULATION, Feature.PROGRAM_TUNNEL},
        "ipip": {Feature.ENCAPSULATION},
        "wireguard": {Feature.ENCAPSULATION},
    }
    assert Feature.NETWORK_POLICY not in CNI.features(profile())


def test_an_unknown_release_is_refused_with_the_known_ones() -> None:
    with pytest.raises(
        UsageError, match=r"unknown flannel version 'v9'; known are: v0.28.10, v0.28.4, v0.27.4, .*v0.25.7"
    ):
        chosen_version(CNI, "v9")
    assert chosen_version(CNI, None) == "v0.28.10"


def test_an_unknown_option_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"no option 'mode'; known are: backend"):
        CNI.features(profile(mode="vxlan"))
    with pytest.raises(UsageError, match=r"backend cannot be 'geneve'; known are: vxlan, host-gw, udp"):
        CNI.features(profile(backend="geneve"))


def test_a_backend_without_ipv6_is_refused_where_pods_have_it() -> None:
    with pytest.raises(UsageError, match=r"udp backend carries IPv4 alone"):
        CNI.features(profile("198.18.0.0/16,2001:db8::/56", backend="udp"))


def test_each_release_names_its_own_images() -> None:
    references = [image.reference for version in CNI.versions for image in CNI.images(version)]
    assert len(references) == len(set(references)) == 2 * len(CNI.versions)
    assert all(CNI.images(version)[0].reference.endswith(f"flannel:{version}") for version in CNI.versions)


def test_the_profile_of_this_name_is_what_it_says() -> None:
    found = load_profile("flannel-vxlan")
    assert Feature.VXLAN in load_cni(found.cni).features(found)


def test_a_tunnel_that_is_a_program_has_room_for_fewer_at_once() -> None:
    of_udp, of_vxlan = (CNI.datapath(profile(backend=name)).tunnel for name in ("udp", "vxlan"))
    assert [of_vxlan.burst(300), of_vxlan.burst(96, 4000)] == [300, 96]
    assert [of_udp.burst(300), of_udp.burst(96, 200), of_udp.burst(96, 1200), of_udp.burst(96, 4000)] == [
        192,
        96,
        64,
        21,
    ]
