"""A check gets the first engine that has what it needs, and later ones are not started for it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusters.capabilities import Capability
from clusters.labels import RunId
from fixtures.engines import place
from fixtures.engines.choice import Offer, first_able
from fixtures.engines.version import Version, told
from fixtures.verdicts.verdict import NotSupportedHere


@dataclass(frozen=True)
class Having:
    """An engine as the choice sees it."""

    able: frozenset[Capability]

    def lacking(self, wanted: frozenset[Capability]) -> list[str]:
        return sorted(wanted - self.able)


@dataclass
class Started:
    """Offers engines, and knows which were got."""

    names: list[str]

    def offer(self, name: str, *able: Capability) -> Offer[Having]:
        def get() -> Having:
            self.names.append(name)
            return Having(frozenset(able))

        return Offer(name, get)


def test_the_second_is_not_started_where_the_first_will_do() -> None:
    started = Started([])
    offers = [started.offer("local", Capability.VLAN), started.offer("guest", Capability.VLAN)]
    first_able(offers, [Capability.VLAN])
    assert started.names == ["local"]


def test_the_second_is_taken_where_the_first_lacks_something() -> None:
    started = Started([])
    found = first_able([started.offer("local"), started.offer("guest", Capability.VLAN)], [Capability.VLAN])
    assert Capability.VLAN in found.able


def test_every_lack_is_named() -> None:
    started = Started([])
    offers = [started.offer("local"), started.offer("guest", Capability.VLAN)]
    with pytest.raises(NotSupportedHere, match="local engine lacks ipvs, vlan; the guest engine lacks ipvs"):
        first_able(offers, [Capability.VLAN, Capability.IPVS])


@pytest.mark.parametrize(
    ("lower", "higher"),
    [("9.9", "10.0"), ("20.10.24+dfsg1", "23.0"), ("28.0.1", "28.0.10"), ("28", "28.0.1"), ("v1.2", "1.10")],
)
def test_releases_are_ordered_by_their_numbers(lower: str, higher: str) -> None:
    assert Version.parse(lower) < Version.parse(higher)
    assert not Version.parse(higher) < Version.parse(lower)


@given(st.lists(st.integers(0, 99), min_size=1, max_size=4))
def test_zeros_at_the_end_do_not_count(numbers: list[int]) -> None:
    text = ".".join(map(str, numbers))
    assert Version.parse(text) == Version.parse(f"{text}.0")
    assert hash(Version.parse(text)) == hash(Version.parse(f"{text}.0"))


def test_no_release_is_refused() -> None:
    with pytest.raises(ValueError, match="latest"):
        Version.parse("latest")


def test_a_daemon_is_told_with_its_parts() -> None:
    parts = [{"Name": "Engine", "Version": "28.0.1"}, {"Name": "runc", "Version": "1.2.4"}]
    said = {"Version": "28.0.1", "ApiVersion": "1.48", "Components": parts}
    assert told(said) == "28.0.1 (API 1.48, runc 1.2.4)"


def test_a_folder_for_sockets_is_for_its_user_alone_and_outlives_no_run(tmp_path: Path) -> None:
    dead = tmp_path / f"netproof-{RunId(2**22 + 1, 7, str(RunId.current()).rpartition('-')[2])}"
    living, foreign = place.make(RunId.current(), tmp_path), tmp_path / "netproof-of-somebody-else"
    dead.mkdir()
    foreign.mkdir()
    again = place.make(RunId.current(), tmp_path)
    assert again == living
    assert living.stat().st_mode & 0o777 == 0o700
    assert (living.exists(), dead.exists(), foreign.exists()) == (True, False, True)
