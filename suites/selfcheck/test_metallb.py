"""MetalLB is given the addresses before the network's last one, and no other."""

from __future__ import annotations

from ipaddress import IPv4Address

from clusters.features import Feature
from clusters.metallb import ADDRESSES, IMAGES, pool
from clusters.model import features, load_cni, load_profile


def test_the_pool_ends_before_the_gateway() -> None:
    addresses, announcement = pool(IPv4Address("192.0.2.254"))
    assert addresses["spec"]["addresses"] == ["192.0.2.246-192.0.2.253"]
    assert ADDRESSES == 8
    assert announcement["spec"]["ipAddressPools"] == [addresses["metadata"]["name"]]


def test_only_a_profile_that_says_so_has_it() -> None:
    with_it, without = (load_profile(name) for name in ("flannel-vxlan-metallb", "flannel-vxlan"))
    flannel = load_cni("flannel")
    assert features(flannel, with_it) - features(flannel, without) == {Feature.LOAD_BALANCER}


def test_both_of_its_programs_have_a_recipe() -> None:
    assert {image.program for image in IMAGES} == {"controller", "speaker"}
