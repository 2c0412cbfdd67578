"""Whoever waits is told what goes on, also where there is no terminal to draw on."""

from __future__ import annotations

import io

from rich.console import Console

from clusters.progress import Progress
from clusters.waiting import poll


def test_a_log_names_again_what_still_runs() -> None:
    said = io.StringIO()
    progress = Progress("images", total=1, console=Console(file=said), heartbeat=0.01)
    with progress, progress.step("kubernetes"):
        poll(said.getvalue, until=lambda text: "going on" in text, what="a sign of life", within=5, every=0.01)
    assert "images: 0 of 1 done, going on: kubernetes 0 s" in said.getvalue()
    assert "images: 1 of 1 in 0 s" in said.getvalue()


def test_nothing_more_is_said_once_it_is_over() -> None:
    said = io.StringIO()
    with Progress("images", total=1, console=Console(file=said)) as progress, progress.step("kubernetes"):
        pass
    assert "going on" not in said.getvalue()
