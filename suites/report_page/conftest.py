"""A browser for the report's page, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from clusters.model import HostCannot
from fixtures.report.model import Report
from fixtures.report.page import html
from suites.report_page.browser import start

MEASURED = pytest.StashKey[list[str]]()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium, for all tests the same."""
    with sync_playwright() as playwright:
        try:
            started = start(playwright)
        except HostCannot as error:
            pytest.skip(f"this host lacks chromium: {error}")
        yield started
        started.close()


@pytest.fixture(scope="session")
def pages() -> dict[str, str]:
    """Pages that were made already, by the reports' own text."""
    return {}


@pytest.fixture
def written(tmp_path: Path, pages: dict[str, str]) -> Callable[[Report], Path]:
    """Writes the page of a report, and says where."""

    def write(report: Report) -> Path:
        file = tmp_path / "report.html"
        known = report.model_dump_json()
        if known not in pages:
            pages[known] = html(report)
        file.write_text(pages[known], encoding="utf-8")
        return file

    return write


@pytest.fixture
def measured(request: pytest.FixtureRequest) -> Callable[[str, float, str], None]:
    """Takes a number for the end of the run and for JUnit; nobody asserts it."""
    lines = request.config.stash.setdefault(MEASURED, [])

    def take(name: str, value: float, unit: str) -> None:
        request.node.user_properties.append((name, f"{value:.4g} {unit}"))
        lines.append(f"{name}: {value:.4g} {unit}")

    return take


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say what was measured."""
    for line in config.stash.get(MEASURED, []):
        terminalreporter.write_line(line)
