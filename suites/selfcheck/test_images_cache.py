"""What the cache holds is whole or not there, and its place can be chosen."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest

from clusters.images import cache
from clusters.images.unavailable import ImagesUnavailable


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NETPROOF_CACHE", str(tmp_path / "chosen"))
    return tmp_path / "chosen"


def test_the_environment_chooses_the_place(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache.root() == place
    monkeypatch.delenv("NETPROOF_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.root() == tmp_path / "netproof"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache.root() == Path.home() / ".cache" / "netproof"


def test_a_folder_appears_whole(place: Path) -> None:
    final = place / "programs" / "x"
    with cache.published(final) as partial:
        (partial / "program").write_text("1")
        assert not final.exists()
    assert (final / "program").read_text() == "1"


def test_an_error_leaves_nothing_behind(place: Path) -> None:
    final = place / "programs" / "x"
    with suppress(KeyboardInterrupt), cache.published(final) as partial:
        (partial / "program").write_text("1")
        raise KeyboardInterrupt
    assert list(final.parent.iterdir()) == []


@pytest.mark.usefixtures("place")
def test_too_little_space_is_said_before_a_build() -> None:
    cache.require_space(0)
    with pytest.raises(ImagesUnavailable, match=r"GiB free.*NETPROOF_CACHE"):
        cache.require_space(1e9)
