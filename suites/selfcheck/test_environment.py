"""A check that does not fit the profile is not supported, and says by which feature."""

from __future__ import annotations

from clusters.features import Feature
from fixtures.environment import does_not_apply

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
