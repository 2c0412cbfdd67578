"""What is going on, for whoever waits: a live table on a terminal, plain lines elsewhere.

Long work is a number of steps known beforehand. Several may run at once, each in a thread of its own.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

HEARTBEAT = 60.0
"""Off a terminal, what runs is named again after so many seconds: a log shows that work goes on."""


class Progress:
    """The state of one piece of long work; enter it, then run each part inside `step`.

    `total` is the number of steps that will be taken, `console` where to write (standard error unless given).
    """

    def __init__(
        self, title: str, total: int, console: Console | None = None, heartbeat: float = HEARTBEAT
    ) -> None:
        self._title = title
        self._total = total
        self._console = console or Console(stderr=True)
        self._lock = threading.Lock()
        self._running: dict[str, float] = {}
        self._done = 0
        self._began = time.monotonic()
        self._heartbeat = heartbeat
        self._over = threading.Event()
        self._live = Live(get_renderable=self._render, console=self._console, refresh_per_second=5, transient=True)

    def __enter__(self) -> Progress:
        self._began = time.monotonic()
        if self._console.is_terminal:
            self._live.start()
        else:
            threading.Thread(target=self._beat, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        if self._console.is_terminal:
            self._live.stop()
        if kind is None and self._total:
            self._say(f"{self._title}: {self._done} of {self._total} in {elapsed(self._seconds())}")

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """One step, shown while it runs and named with its time when it ends or fails."""
        began = time.monotonic()
        with self._lock:
            self._running[name] = began
        if not self._console.is_terminal:
            self._say(f"{self._title}: {name} …")
        word = "failed"
        try:
            yield
            word = "done"
        finally:
            with self._lock:
                del self._running[name]
                self._done += word == "done"
                count = self._done
            took = elapsed(time.monotonic() - began)
            self._say(f"{self._title}: [{count}/{self._total}] {name} {word} in {took}")

    def _beat(self) -> None:
        while not self._over.wait(self._heartbeat):
            now = time.monotonic()
            with self._lock:
                running = [f"{name} {elapsed(now - began)}" for name, began in self._running.items()]
                done = self._done
            if running:
                self._say(f"{self._title}: {done} of {self._total} done, going on: {', '.join(running)}")

    def _seconds(self) -> float:
        return time.monotonic() - self._began

    def _say(self, line: str) -> None:
        self._console.print(Text(line), soft_wrap=True)

    def _render(self) -> RenderableType:
        now = time.monotonic()
        with self._lock:
            running = dict(self._running)
            done = self._done
        head = Text(f"{self._title}: {done} of {self._total} done, {elapsed(self._seconds())}")
        lines = [Text(f"  {name}  {elapsed(now - began)}") for name, began in running.items()]
        return Group(head, *lines)


def elapsed(seconds: float) -> str:
    """A time span to read: `7 s`, `2 min 05 s`."""
    whole = round(seconds)
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60:02} s"


def say(line: str) -> None:
    """One line for whoever waits, outside of any progress."""
    Console(stderr=True).print(Text(line), soft_wrap=True)
