"""Looks for a world that is not decided as it should be, and for the smallest that shows the same."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import yaml
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Flaky

from suites.policy_search.worlds import World, worlds

Tried = Callable[[World], str]
"""Tries a world; what is wrong with it, "" where nothing is."""


@dataclass
class Search:
    """How it went: so many worlds were tried in so many seconds; the smallest that was wrong, and what was."""

    tried: int = 0
    seconds: float = 0.0
    smallest: World = ()
    wrong: str = ""

    @property
    def rate(self) -> float:
        """Worlds a minute."""
        return 60 * self.tried / self.seconds if self.seconds else 0.0


class _Over(BaseException):
    """The time is up: no failure of a world, which hypothesis would make smaller."""


def search(tries: Tried, *, within: float, by: int) -> Search:
    """Try worlds drawn by the seed `by` for so many seconds; once one is wrong, smaller ones that still are."""
    found, began = Search(), time.monotonic()

    @seed(by)
    @settings(
        max_examples=1_000_000,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(worlds())
    def look(world: World) -> None:
        if time.monotonic() - began > within:
            raise _Over
        found.tried += 1
        wrong = tries(world)
        if wrong:
            if not found.smallest or len(written(world)) <= len(written(found.smallest)):
                found.smallest, found.wrong = world, wrong
            raise AssertionError(wrong)

    # Flaky: a world that was wrong is not when it is tried again. It stays found: somebody has to look.
    with suppress(_Over, AssertionError, Flaky):
        look()
    found.seconds = time.monotonic() - began
    return found


def replay(tries: Tried, file: Path) -> Search:
    """Try the one world of a file that an earlier search wrote."""
    world, began = read(file.read_text()), time.monotonic()
    wrong = tries(world)
    return Search(1, time.monotonic() - began, world if wrong else (), wrong)


def written(world: World) -> str:
    """A world as YAML, as it is replayed."""
    return yaml.safe_dump_all(world, sort_keys=False, allow_unicode=True)


def read(text: str) -> World:
    """A world that was written."""
    return tuple(yaml.safe_load_all(text))
