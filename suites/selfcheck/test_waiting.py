"""A wait that gives up says what it last saw."""

from __future__ import annotations

import pytest

from clusters.waiting import TimedOut, poll


def test_returns_what_satisfied() -> None:
    looks = iter([1, 2, 3])
    assert poll(lambda: next(looks), until=lambda seen: seen == 3, what="three", within=5, every=0) == 3


def test_error_carries_the_last_thing_seen() -> None:
    with pytest.raises(TimedOut, match=r"four: not within .* last seen: 3"):
        poll(lambda: 3, until=lambda seen: seen == 4, what="four", within=0.05, every=0.01)


def test_an_error_that_is_not_expected_ends_the_wait() -> None:
    def broken() -> int:
        raise KeyError("gone")

    with pytest.raises(KeyError):
        poll(broken, until=lambda seen: seen == 1, what="one", within=5)
