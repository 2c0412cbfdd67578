"""A report's page in a real browser, and what is wrong with it there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, Playwright

from clusters.host import packages

Scheme = Literal["dark", "light"]
CALLED = ("chromium", "chromium-browser", "google-chrome")
"""What distributions call it."""
ALONE = (
    "--no-sandbox",  # root may not have one, and the page is our own
    "--disable-gpu",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--proxy-server=127.0.0.1:9",  # nobody listens there: the browser itself asks nobody either
)
FOCUSABLE = "a[href], button, input, select, summary, [tabindex='0']"
_WAIT_FOR_FOCUS = """(focusable) => {
    window.waiting = new Set([...document.querySelectorAll(focusable)].filter((it) => it.checkVisibility()));
    // Of radio buttons that belong together one is reached, and the others by arrow keys from it.
    const groups = Object.groupBy([...waiting].filter((it) => it.type === "radio"), (it) => it.name);
    for (const group of Object.values(groups)) {
        const stop = group.find((it) => it.checked) || group[0];
        for (const it of group) if (it !== stop) waiting.delete(it);
    }
    document.addEventListener("focusin", (event) => waiting.delete(event.target));
    document.activeElement.blur();
}"""


@dataclass
class Opened:
    """A page that is open: what it complained about, and whom it asked besides its own file."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)


def start(playwright: Playwright) -> Browser:
    """Chromium without a window, installed where that is ours to do; HostCannot says what is missing."""
    found = next((path for name in CALLED if (path := packages.which(name))), None)
    if found is None:
        packages.ensure({"chromium": "chromium"}, why="to look at the report's page")
        found = packages.which("chromium")
    return playwright.chromium.launch(executable_path=found, args=list(ALONE))


@contextmanager
def opened(
    browser: Browser, file: Path, *, width: int = 1400, scheme: Scheme = "light", after: str = "", **more: Any
) -> Iterator[Opened]:
    """Open a file; `after` is the end of its address ("#check"), `more` is for the browser's context."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, **more)
    shown = Opened(context.new_page())

    def said(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            shown.complaints.append(message.text)

    shown.page.on("console", said)
    shown.page.on("pageerror", lambda error: shown.complaints.append(str(error)))
    shown.page.on("request", lambda request: shown.asked.append(request.url))
    try:
        shown.page.goto(file.as_uri() + after)
        shown.asked = [url for url in shown.asked if not url.startswith(file.as_uri())]
        yield shown
    finally:
        context.close()


def open_everything(page: Page) -> None:
    """Unfold all that can be unfolded, draw every map, and choose a cell of each."""
    page.evaluate("for (const it of document.querySelectorAll('details')) it.open = true")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.evaluate("for (const it of document.querySelectorAll('table.map')) it.querySelector('td.cell').click()")
    way = page.locator("input[name=way]")
    if way.count():
        way.first.check()


def sideways(page: Page) -> list[str]:
    """What makes the page wider than its window; what scrolls in a frame of its own is no harm."""
    wide: list[str] = page.evaluate("""() => {
        const width = document.documentElement.clientWidth;
        if (document.documentElement.scrollWidth <= width) return [];
        return [...document.querySelectorAll("body *")]
            .filter((it) => it.getBoundingClientRect().right > width + 1)
            .map((it) => `${it.tagName} ${it.textContent.trim().slice(0, 40)}`);
    }""")
    return wide


def violations(page: Page) -> list[str]:
    """What axe-core finds against people who see, hear or type otherwise."""
    found = Axe().run(page).response["violations"]
    return [f"{it['id']}: {node['html'][:120]} {node['failureSummary']}" for it in found for node in it["nodes"]]


def not_reached_by_keyboard(page: Page) -> list[str]:
    """What can be used with a pointer and does not get the focus by going through the page with the key Tab."""
    page.evaluate(_WAIT_FOR_FOCUS, FOCUSABLE)
    for _ in range(int(page.evaluate("waiting.size")) + 5):
        page.keyboard.press("Tab")
    left: list[str] = page.evaluate(
        "[...waiting].filter((it) => it.isConnected).map((it) => it.outerHTML.slice(0, 120))"
    )
    return left


def shown_checks(page: Page) -> list[str]:
    """The ids of the checks that the filter leaves."""
    ids: list[str] = page.evaluate(
        "[...document.querySelectorAll('details.check')].filter((it) => it.checkVisibility()).map((it) => it.id)"
    )
    return ids


def took(page: Page, what: str) -> float:
    """The longest time, in milliseconds, that the page's script measured of "load" or "filter"."""
    times: list[float] = page.evaluate(f"performance.getEntriesByName('netproof {what}').map((it) => it.duration)")
    return max(times)
