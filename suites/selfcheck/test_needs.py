"""A profile that the kernel cannot carry is refused by name, before anything is built."""

from __future__ import annotations

import pytest

from clusters import cluster
from clusters.capabilities import Capability, Found
from clusters.cluster import lacking, require
from clusters.model import HostCannot, load_cni, load_profile, needs


@pytest.fixture(autouse=True)
def another_kernel() -> None:
    """Each test has a kernel of its own."""
    lacking.cache_clear()


def needed(name: str) -> frozenset[Capability]:
    profile = load_profile(name)
    return needs(load_cni(profile.cni), profile)


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("flannel-vxlan", {Capability.VXLAN}),
        ("flannel-udp", {Capability.TUN}),
        ("flannel-ipip", {Capability.IPIP}),
        ("flannel-wireguard", {Capability.WIREGUARD}),
        ("flannel-vxlan-nftables", {Capability.VXLAN, Capability.NFTABLES}),
        ("flannel-vxlan-ipvs", {Capability.VXLAN, Capability.IPVS, Capability.DUMMY}),
        ("calico-bgp", {Capability.IPSET}),
        ("calico-vxlan", {Capability.VXLAN, Capability.IPSET}),
        ("canal", {Capability.VXLAN, Capability.IPSET}),
    ],
)
def test_a_profile_needs_what_its_parts_need(name: str, what: set[Capability]) -> None:
    assert what <= needed(name)
    assert Capability.IPIP not in needed(name) - what


def test_what_the_kernel_lacks_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {it: Found(True) for it in Capability} | {Capability.IPIP: Found(False, "Unknown device type.")}
    monkeypatch.setattr(cluster, "probe", lambda: found)
    with pytest.raises(HostCannot, match=r"flannel-ipip needs .*: ipip \(kernel module ipip\): Unknown device"):
        require(load_profile("flannel-ipip"), needed("flannel-ipip"))
    require(load_profile("flannel-vxlan"), needed("flannel-vxlan"))


def test_what_could_not_be_tried_stops_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "probe", lambda: dict.fromkeys(Capability, Found(None, "not tried")))
    require(load_profile("flannel-ipip"), needed("flannel-ipip"))
    assert lacking(needed("flannel-ipip")) == {}
