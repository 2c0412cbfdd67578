"""A check that does not fit the profile is not supported, and says by which feature."""

from __future__ import annotations

import pytest

from clusters.capabilities import Capability, Found
from clusters.features import Feature, forgets_udp_at_zero
from fixtures.plugins.environment import does_not_apply, kernel_has
from fixtures.verdicts.verdict import NotSupportedHere, Unknown

POLICY, BRIDGE = frozenset({Feature.NETWORK_POLICY}), frozenset({Feature.BRIDGE})
NONE: frozenset[Feature] = frozenset()


def test_what_is_required_must_be_supported() -> None:
    assert does_not_apply("x", BRIDGE, POLICY | BRIDGE, NONE) == "x does not support network-policy"
    assert does_not_apply("x", POLICY | BRIDGE, POLICY, NONE) == ""


def test_what_must_be_absent_must_not_be_supported() -> None:
    reason = does_not_apply("x", POLICY, NONE, POLICY)
    assert reason == "x supports network-policy, and this check is about the lack of it"
    assert does_not_apply("x", BRIDGE, NONE, POLICY) == ""


def test_a_check_without_demands_applies() -> None:
    assert does_not_apply("x", NONE, NONE, NONE) == ""


def test_what_the_kernel_has_is_enough_and_only_that(pytester: pytest.Pytester) -> None:
    """The hook itself: with what this kernel offers given, one check runs and one does not."""
    pytester.makepyfile(
        test_here="""
import pytest

@pytest.mark.needs("bridge")
def test_without(): raise AssertionError("it must not run")

@pytest.mark.needs("vxlan")
def test_with(): pass

@pytest.mark.requires("vxlan")
def test_of_a_profile(): pass

@pytest.mark.requires("network-policy")
def test_not_of_the_profile(): raise AssertionError("it must not run")
""",
        conftest="""
from clusters.capabilities import Capability, Found
from fixtures.plugins.environment import OFFERED

def pytest_configure(config):
    known = {one: Found(able=False, detail="not here") for one in Capability}
    config.stash[OFFERED] = {**known, Capability.VXLAN: Found(able=True)}
""",
    )
    plugins = [word for name in ("options", "run", "environment") for word in ("-p", f"fixtures.plugins.{name}")]
    result = pytester.runpytest_inprocess(*plugins, "--profile=flannel-vxlan", "--reports=out", "-rA")
    result.assert_outcomes(passed=2, errors=2)
    said = result.stdout.str()
    assert "the kernel lacks bridge" in said
    assert "flannel-vxlan does not support network-policy" in said


def test_what_the_kernel_lacks_is_named_with_its_module() -> None:
    with pytest.raises(NotSupportedHere, match=r"the kernel lacks vlan: Unknown device type.*8021q"):
        kernel_has(Capability.VLAN, Found(able=False, detail="Unknown device type."))


def test_what_could_not_be_tried_cannot_be_told() -> None:
    with pytest.raises(Unknown, match="whether the kernel has vlan could not be found out: no image"):
        kernel_has(Capability.VLAN, Found(able=None, detail="no image"))


@pytest.mark.parametrize(
    ("release", "forgets"), [("v1.31.9", True), ("v1.32.0", False), ("v1.36.3", False), ("v1.37.2", True)]
)
def test_which_releases_forget_udp_clients_at_zero_endpoints(release: str, forgets: bool) -> None:
    assert forgets_udp_at_zero(release) is forgets
