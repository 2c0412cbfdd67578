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


def test_every_behaviour_has_its_release() -> None:
    assert set(SINCE) == set(Behaviour)
