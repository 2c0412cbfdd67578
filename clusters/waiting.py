"""The one module that sleeps: polling with a deadline, and deadlines as one value.

Nothing in netproof sleeps for a fixed time. A wait names what it waits for, looks at it again and again,
and when it gives up its error carries the last thing that was seen.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import tenacity

T = TypeVar("T")


@dataclass(frozen=True)
class Timeouts:
    """Every deadline of a run, in seconds; the one place to stretch them for a slow machine."""

    probe: float = 1.0
    """One probe: from its first packet to its verdict."""
    connect_bar: float = 0.9
    """A connect slower than this has lost its first packet (a SYN is sent again after 1 s)."""
    converge: float = 15.0
    """A change of Services, endpoints or policy until the data path follows."""
    pods_ready: float = 120.0
    """Pods of a check, from creation to Ready."""
    fresh_pod: float = 20.0
    """A single pod on a node that is well."""
    cluster_up: float = 300.0
    """A cluster, from `kind create` to all nodes Ready."""
    engine_start: float = 90.0
    """A Docker engine, from its start until it answers."""
    image_build: float = 3600.0
    """One image from source."""
    stream: float = 15.0
    """An exec stream: until it is open, and silence beyond the probes' own time before it counts as broken."""


TIMEOUTS = Timeouts()


class TimedOut(Exception):
    """What was waited for did not come to pass; carries the last thing seen."""

    def __init__(self, what: str, within: float, last: object) -> None:
        self.what = what
        self.within = within
        self.last = last
        super().__init__(f"{what}: not within {within:.0f} s; last seen: {last}")


def poll(
    look: Callable[[], T],
    *,
    until: Callable[[T], bool],
    what: str,
    within: float,
    every: float = 0.2,
    retry_on: tuple[type[Exception], ...] = (),
) -> T:
    """Call `look` until `until` holds for what it returned, and return that.

    `every` is the pause between two looks in seconds, `within` the deadline. Errors in `retry_on` count as
    "not yet". Raises TimedOut with the last value (or error) seen.
    """
    last: object = "nothing yet"

    def attempt() -> T:
        nonlocal last
        try:
            seen = look()
        except retry_on as error:
            last = error
            raise tenacity.TryAgain from error
        last = seen
        if not until(seen):
            raise tenacity.TryAgain
        return seen

    try:
        return tenacity.Retrying(
            stop=tenacity.stop_after_delay(within),
            wait=tenacity.wait_fixed(every),
            sleep=time.sleep,
            retry=tenacity.retry_if_exception_type(tenacity.TryAgain),
        )(attempt)
    except tenacity.RetryError as error:
        raise TimedOut(what, within, last) from error


def pause(seconds: float) -> None:
    """Hold for a window in which something must *not* happen; never a way to wait for something."""
    time.sleep(seconds)
