"""Which source is taken: what is there, then the first that answers; and never another than was asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from clusters.images import provide
from clusters.images.plans import Plan, Source
from clusters.images.steps import Artifact, Lane
from clusters.images.unavailable import ImagesUnavailable
from clusters.model import UsageError

Makers = dict[Source, Callable[[], Plan]]


class Shelf:
    """Artifacts that are names on a list."""

    def __init__(self, *there: str) -> None:
        self.there = set(there)

    def plan(self, source: Source, *, silent: bool = False) -> Plan:
        name = f"from {source}"

        def reach() -> None:
            if silent:
                raise ImagesUnavailable("nobody answers")

        target = Artifact(name, name, Lane.DISK, lambda: name in self.there, lambda: self.there.add(name))
        return Plan(source, target, "", "", lambda: (), reach)

    def makers(self, *, silent: bool = False) -> Makers:
        return {
            Source.REGISTRY: lambda: self.plan(Source.REGISTRY, silent=silent),
            Source.SOURCE: lambda: self.plan(Source.SOURCE),
        }


def refuse(message: str) -> Plan:
    raise UsageError(message)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NETPROOF_CACHE", str(tmp_path))


def test_what_is_there_is_taken_before_a_registry_is_asked() -> None:
    shelf = Shelf("from source")
    assert provide.deliver(shelf.makers(), Source.AUTO).source is Source.SOURCE
    assert shelf.there == {"from source"}


def test_the_registry_comes_before_a_build() -> None:
    shelf = Shelf()
    assert provide.deliver(shelf.makers(), Source.AUTO).source is Source.REGISTRY
    assert shelf.there == {"from registry"}


def test_a_silent_registry_leads_to_a_build() -> None:
    shelf = Shelf()
    assert provide.deliver(shelf.makers(silent=True), Source.AUTO).source is Source.SOURCE
    assert shelf.there == {"from source"}


@pytest.mark.parametrize("asked", [Source.REGISTRY, Source.SOURCE])
def test_the_source_asked_for_is_taken_whatever_is_there(asked: Source) -> None:
    shelf = Shelf("from registry" if asked is Source.SOURCE else "from source")
    assert provide.deliver(shelf.makers(), asked).source is asked
    assert f"from {asked}" in shelf.there


def test_a_version_that_one_source_lacks_comes_from_the_other() -> None:
    shelf = Shelf()
    makers = {**shelf.makers(), Source.REGISTRY: lambda: refuse("unknown version")}
    assert provide.deliver(makers, Source.AUTO).source is Source.SOURCE


def test_a_version_that_nobody_has_is_a_usage_error_with_what_each_said() -> None:
    makers = {Source.REGISTRY: lambda: refuse("known are: a"), Source.SOURCE: lambda: refuse("known are: b")}
    with pytest.raises(UsageError, match=r"registry: known are: a\nfrom source: known are: b"):
        provide.deliver(makers, Source.AUTO)


def test_a_version_of_a_silent_registry_is_no_usage_error() -> None:
    makers = {**Shelf().makers(silent=True), Source.SOURCE: lambda: refuse("known are: b")}
    with pytest.raises(ImagesUnavailable, match=r"known are: b\n?(.|\n)*nobody answers"):
        provide.deliver(makers, Source.AUTO)
