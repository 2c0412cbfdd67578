"""What a check expects of a Docker release follows from its version, and is said."""

from __future__ import annotations

import pytest

from fixtures.engines.behaviour import SINCE, Behaviour, expected
from fixtures.engines.version import Version


@pytest.mark.parametrize(
    ("release", "does"), [("20.10.24+dfsg1", False), ("26.1.5+dfsg1", False), ("27.0.3", True), ("28.5.2", True)]
)
def test_macvlan_networks_share_a_parent_since_27(release: str, does: bool) -> None:
    found = expected(Behaviour.MACVLAN_PARENT_SHARED, Version.parse(release))
    assert bool(found) is does
    assert str(found).endswith(f"so in {release} {'it does' if does else 'it does not'}")


@pytest.mark.parametrize(
    ("release", "does"),
    [
        ("20.10.24", False),
        ("23.0.10", False),
        ("23.0.11", True),
        ("24.0.9", False),
        ("25.0.4", False),
        ("25.0.5", True),
        ("26.0.0", True),
    ],
)
def test_a_mended_hole_is_mended_in_older_lines_too(release: str, does: bool) -> None:
    assert bool(expected(Behaviour.INTERNAL_DNS_KEPT_IN, Version.parse(release))) is does


@pytest.mark.parametrize(
    ("release", "does"),
    [("20.10.24", False), ("25.0.5", False), ("26.0.1", True), ("26.0.2", False), ("28.0.0", False)],
)
def test_what_came_and_went_has_both_its_releases(release: str, does: bool) -> None:
    found = expected(Behaviour.IPV6_LEFT_ON, Version.parse(release))
    assert bool(found) is does
    assert "since Docker 26.0, no more of 26.0.2, so in" in str(found)


def test_every_behaviour_has_its_release() -> None:
    assert set(SINCE) == set(Behaviour)
