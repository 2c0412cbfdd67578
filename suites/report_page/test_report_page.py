"""The report's page in a real browser: it can be read, filtered and linked to, by anybody, at any width."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from fixtures.report.model import Check, Report
from fixtures.report.page_data import nodes
from fixtures.verdicts.verdict import Verdict
from suites.report_page import samples
from suites.report_page.browser import (
    Opened,
    Scheme,
    not_reached_by_keyboard,
    open_everything,
    opened,
    shown_checks,
    sideways,
    took,
    violations,
)

Written = Callable[[Report], Path]
Measured = Callable[[str, float, str], None]
ACROSS = "kubernetes/pods/across"
BOTH: tuple[Scheme, Scheme] = ("dark", "light")


def of_an_earlier_version() -> Report:
    """A report without all that this version has added."""
    plain = json.loads(samples.some_red().model_dump_json(by_alias=True))
    del plain["places"], plain["causes"]
    for check in plain["checks"]:
        del check["places"], check["ways"]
        for matrix in check["matrices"]:
            del matrix["probes"]
    return Report.model_validate_json(json.dumps(plain))


REPORTS = {
    "some red": samples.some_red,
    "twenty pods": lambda: samples.some_red(7),
    "all green": lambda: samples.report((samples.check("a/b", Verdict.PASS, "POD-1"),), ()),
    "no checks": lambda: samples.report((), ()),
    "an earlier version": of_an_earlier_version,
}
each_report = pytest.mark.parametrize("made", REPORTS.values(), ids=REPORTS.keys())


@each_report
def test_it_opens_without_a_complaint_and_asks_nobody(
    browser: Browser, written: Written, made: Callable[[], Report]
) -> None:
    with opened(browser, written(made())) as shown:
        open_everything(shown.page)
        assert (shown.complaints, shown.asked) == ([], [])
        assert (
            shown.page.title()
            == "flannel-vxlan: " + shown.page.locator("header .pill").inner_text() + " · netproof"
        )


@pytest.mark.parametrize("width", [360, 800, 1400])
@pytest.mark.parametrize("made", [samples.some_red, lambda: samples.some_red(7), of_an_earlier_version])
def test_no_width_scrolls_sideways(
    browser: Browser, written: Written, made: Callable[[], Report], width: int
) -> None:
    with opened(browser, written(made()), width=width) as shown:
        open_everything(shown.page)
        assert sideways(shown.page) == []


@pytest.mark.parametrize("scheme", BOTH)
@pytest.mark.parametrize("made", [samples.some_red, of_an_earlier_version])
def test_axe_finds_nothing(browser: Browser, written: Written, made: Callable[[], Report], scheme: Scheme) -> None:
    with opened(browser, written(made()), scheme=scheme) as shown:
        open_everything(shown.page)
        assert violations(shown.page) == []


@pytest.mark.parametrize("made", [samples.some_red, of_an_earlier_version])
def test_the_keyboard_reaches_everything(browser: Browser, written: Written, made: Callable[[], Report]) -> None:
    with opened(browser, written(made())) as shown:
        open_everything(shown.page)
        assert not_reached_by_keyboard(shown.page) == []


def test_arrow_keys_reach_every_cell_of_a_map(browser: Browser, written: Written) -> None:
    with opened(browser, written(samples.some_red())) as shown:
        page = shown.page
        cells = page.locator("#reach td.cell")
        page.locator("#reach td.cell[tabindex='0']").focus()
        met = set()
        for row in range(6):
            for _ in range(6):
                met.add(page.evaluate("document.activeElement.getAttribute('aria-label')"))
                page.keyboard.press("ArrowLeft" if row % 2 else "ArrowRight")
            page.keyboard.press("ArrowDown")
        assert len(met) == cells.count() == 36


@pytest.mark.parametrize("by", ["pointer", "finger", "keyboard"])
def test_a_cell_tells_what_was_seen_there(browser: Browser, written: Written, by: str) -> None:
    with opened(browser, written(samples.some_red()), has_touch=True, after="#kubernetes/pods/near0") as shown:
        check = shown.page.locator('[id="kubernetes/pods/near0"]')
        cell = check.locator('table.map[aria-label^="tcp"] td[data-source="client"][data-destination="remote"]')
        {"pointer": cell.hover, "finger": cell.tap, "keyboard": cell.focus}[by]()
        told = check.locator(".told").first.inner_text()
        assert "client → remote (other node)" in told
        assert "reached after 0.4 ms, handshake 0.2 ms, answered by remote, which saw 10.244.1.2" in told
        assert "promised: reached" in told


def test_a_cell_that_a_policy_blocks_tells_the_policy(browser: Browser, written: Written) -> None:
    with opened(browser, written(samples.some_red()), after="#kubernetes/pods/near0") as shown:
        check = shown.page.locator('[id="kubernetes/pods/near0"]')
        cell = check.locator('table.map[aria-label^="tcp"] td[data-source="client"][data-destination="pair"]')
        cell.hover()
        assert cell.inner_text() == "X"
        assert (
            "no answer. promised: blocked (no ingress policy of pair (default/deny) allows TCP 8080)"
            in check.locator(".told").first.inner_text()
        )


def test_a_wrong_cell_shows_without_colour_and_leads_to_its_checks(browser: Browser, written: Written) -> None:
    with opened(browser, written(samples.some_red())) as shown:
        cell = shown.page.locator('#reach td[data-source="client"][data-destination="remote"]')
        assert cell.inner_text() == "X!"
        cell.click()
        shown.page.locator("#reach .told a").first.click()
        assert shown.page.locator("details.check.chosen").get_attribute("id") == ACROSS
        assert shown.page.locator("details.check.chosen").get_attribute("open") is not None


def test_failures_come_first_by_their_cause(browser: Browser, written: Written) -> None:
    report = samples.some_red()
    with opened(browser, written(report)) as shown:
        groups = shown.page.locator("section.cause")
        assert [it.splitlines()[0] for it in groups.all_inner_texts()] == [it.sentence for it in report.causes]
        cards = shown.page.locator("[data-check]").evaluate_all("cards => cards.map((it) => it.dataset.check)")
        assert cards == [name for cause in report.causes for name in cause.checks]
        assert (
            "kubectl -n netproof exec third -- python -m agent ask tcp/8080 10.244.2.2"
            in groups.first.inner_text()
        )


SOME_RED = samples.some_red()
FILTERS: dict[str, tuple[str, Callable[[Check], bool]]] = {
    "text": ("text=NEAR1", lambda check: "near1" in check.id),
    "claim": ("claim=POD-3", lambda check: "POD-3" in check.claims),
    "verdict": ("verdict=FAIL,UNKNOWN", lambda check: check.verdict.red),
    "node": ("node=worker2", lambda check: "worker2" in nodes(SOME_RED, check)),
    "all four": (
        "text=clusterip&claim=SVC-2&verdict=FAIL&node=worker",
        lambda check: check.id == "kubernetes/services/clusterip",
    ),
    "nothing": ("text=nowhere", lambda _: False),
}


@pytest.mark.parametrize(("link", "keeps"), FILTERS.values(), ids=FILTERS.keys())
def test_a_link_carries_a_filter(
    browser: Browser, written: Written, link: str, keeps: Callable[[Check], bool]
) -> None:
    left = [check.id for check in SOME_RED.checks if keeps(check)]
    assert len(left) < len(SOME_RED.checks)
    with opened(browser, written(SOME_RED), after=f"#?{link}") as shown:
        assert shown_checks(shown.page) == left
        assert shown.page.locator("#count").inner_text() == f"{len(left)} of 8 checks"
        shown.page.locator("#clear").click()
        assert len(shown_checks(shown.page)) == 8


def test_what_is_chosen_by_hand_is_in_the_address(browser: Browser, written: Written) -> None:
    with opened(browser, written(samples.some_red())) as shown:
        page = shown.page
        page.locator("#words").fill("clusterip")
        page.locator("#claim").select_option("SVC-2")
        page.locator("#node").select_option("worker")
        page.get_by_label("fail", exact=True).check()
        expect(page).to_have_url(re.compile("text"))
        assert page.url.partition("#")[2] == "?text=clusterip&claim=SVC-2&node=worker&verdict=FAIL"
        assert shown_checks(page) == ["kubernetes/services/clusterip"]
        assert page.locator("tr[data-claim]:visible").evaluate_all("it => it.map((row) => row.dataset.claim)") == [
            "SVC-2"
        ]
        assert page.locator("[data-check]:visible").count() == 1


@pytest.mark.parametrize("name", ["kubernetes/pods/near1", "kubernetes/dns/names[ipv4]"])
def test_a_link_to_a_check_opens_it(browser: Browser, written: Written, name: str) -> None:
    encoded = name.replace("[", "%5B").replace("]", "%5D")
    with opened(browser, written(samples.some_red()), after=f"#{encoded}") as shown:
        check = shown.page.locator(f'[id="{name}"]')
        assert check.locator("> div").is_visible()
        assert shown.page.evaluate("document.activeElement.parentElement.id") == name
        assert check.evaluate(
            "it => it.getBoundingClientRect().top >= 0 && it.getBoundingClientRect().top < innerHeight"
        )


def test_a_link_to_a_check_that_the_filter_hides_shows_it(browser: Browser, written: Written) -> None:
    with opened(browser, written(samples.some_red()), after="#?verdict=FAIL") as shown:
        shown.page.evaluate("location.hash = '#kubernetes/pods/near1'")
        shown.page.locator('[id="kubernetes/pods/near1"] > div').wait_for(state="visible")


def test_a_followed_packet_is_drawn_hop_by_hop(browser: Browser, written: Written) -> None:
    with opened(browser, written(samples.some_red())) as shown:
        page = shown.page
        page.locator("input[name=way]").check()
        assert page.locator("#topology .wide .way").get_attribute("points") == "342,53 342,-8 670,-8 670,53"
        assert page.locator("#topology .wide .lost").get_attribute("visibility") == "visible"
        drawn = page.locator("#topology .told .packet")
        assert "tunnel0✗ request last seen here" in (drawn.locator("svg").text_content() or "")
        assert (drawn.locator(".seen").count(), drawn.locator(".unseen").count()) == (3, 13)


def test_a_command_is_copied(browser: Browser, written: Written) -> None:
    with opened(browser, written(samples.some_red()), permissions=["clipboard-read", "clipboard-write"]) as shown:
        shown.page.locator(".cause .copy").first.click()
        shown.page.get_by_text("copied").wait_for()
        copied = shown.page.evaluate("navigator.clipboard.readText()")
        assert copied == "kubectl -n netproof exec third -- python -m agent ask tcp/8080 10.244.2.2"


def test_it_prints_what_is_open_and_no_controls(browser: Browser, written: Written) -> None:
    with opened(browser, written(samples.some_red()), scheme="dark") as shown:
        paper = shown.page.pdf(format="A4")
        shown.page.emulate_media(media="print")
        assert paper.startswith(b"%PDF")
        assert not shown.page.locator("#filter").is_visible()
        assert shown.page.locator("details.check[open] .map").count() >= 4
        assert shown.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


def test_without_its_script_every_verdict_reason_and_command_is_there(browser: Browser, written: Written) -> None:
    with opened(browser, written(samples.some_red()), java_script_enabled=False) as shown:
        text = shown.page.locator("body").inner_text()
        assert "2 red checks have worker2 in common" in text
        assert "kubectl -n netproof exec third -- python -m agent ask tcp/8080 10.244.2.2" in text
        assert not shown.page.locator("#filter").is_visible()
        assert shown.page.locator(".tables table").first.is_visible()


def complaints(shown: Opened) -> list[str]:
    return shown.complaints + shown.asked


DAMAGES: dict[str, tuple[str, str, Callable[[Opened], list[str]]]] = {
    "an error": ("<footer>", "<script>nobody.knows()</script><footer>", complaints),
    "a picture from elsewhere": ("<footer>", "<img alt='' src='https://192.0.2.1/a.png'><footer>", complaints),
    "a script from elsewhere": ("<footer>", "<script src='https://192.0.2.1/a.js'></script><footer>", complaints),
    "something wide": ("<footer>", "<div style='width: 2000px'>wide</div><footer>", lambda it: sideways(it.page)),
    "pale text": ("<footer>", "<p style='color: #bbb'>pale</p><footer>", lambda it: violations(it.page)),
    "a nameless button": ("<footer>", "<button></button><footer>", lambda it: violations(it.page)),
    "a passed over button": (
        "<footer>",
        "<button tabindex='-1'>never</button><footer>",
        lambda it: not_reached_by_keyboard(it.page),
    ),
}


@pytest.mark.parametrize(("where", "damage", "found"), DAMAGES.values(), ids=DAMAGES.keys())
def test_what_is_looked_for_is_found_on_a_damaged_page(
    browser: Browser, written: Written, where: str, damage: str, found: Callable[[Opened], list[str]]
) -> None:
    file = written(REPORTS["all green"]())
    file.write_text(file.read_text().replace(where, damage))
    with opened(browser, file) as shown:
        shown.page.wait_for_load_state()
        assert found(shown) != []


def test_many_checks_stay_fluid(browser: Browser, written: Written, measured: Measured) -> None:
    """Ten times the checks and probes cost no more than in proportion, and filtering less than loading."""
    times: dict[int, tuple[float, float]] = {}
    for checks in (200, 2000):
        file = written(samples.large(checks, checks * 25))
        with opened(browser, file) as shown:
            page = shown.page
            loaded = took(page, "load")
            whole: float = page.evaluate("performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd")
            page.locator("#words").fill("check19")
            expect(page).to_have_url(re.compile("check19"), timeout=60_000)
            filtered = took(page, "filter")
            assert shown_checks(page) == [
                f"kubernetes/module{it // 20}/check{it}" for it in range(checks) if str(it).startswith("19")
            ]
        times[checks] = loaded, filtered
        what = f"{checks} checks, {checks * 25} probes"
        measured(f"{what}: page", file.stat().st_size / 2**20, "MiB")
        measured(f"{what}: until it was there", whole, "ms")
        measured(f"{what}: of that its script", loaded, "ms")
        measured(f"{what}: filter", filtered, "ms")
    assert file.stat().st_size < 8 * 2**20
    (small_load, small_filter), (large_load, large_filter) = times.values()
    assert large_load < 30 * small_load
    assert large_filter < 30 * small_filter
