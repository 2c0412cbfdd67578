"""The comparison's page says in words what its tables show, both sides of every number, and needs nothing else."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from fixtures.report.__main__ import main
from fixtures.report.compare import compare
from fixtures.report.diff_page import changed_claims, in_words, link, measured_in_both, page
from fixtures.report.expected import ExpectedFailure
from fixtures.report.model import Check, Measure, Report
from fixtures.report.write import write
from fixtures.verdicts.verdict import Verdict
from suites.selfcheck.test_many_reports import check, report

PASS, FAIL, NOT = Verdict.PASS, Verdict.FAIL, Verdict.NOT_SUPPORTED


def measuring(name: str, value: float) -> Check:
    return check(name, PASS).model_copy(update={"measures": (Measure(name="round trip", value=value, unit="ms"),)})


OLD = report(
    "flannel-vxlan",
    check("stays", PASS, "POD-1"),
    check("breaks", PASS, "POD-2"),
    check("mends", FAIL, "POD-3"),
    check("goes", PASS, "POD-4"),
    check("leaves", PASS, "SVC-1"),
    measuring("pace", 2.0),
)
NEW = report(
    "flannel-vxlan",
    check("stays", PASS, "POD-1"),
    check("breaks", FAIL, "POD-2"),
    check("mends", PASS, "POD-3"),
    check("leaves", NOT, "SVC-1"),
    check("comes", PASS, "POD-5"),
    measuring("pace", 3.0),
)


class Text(HTMLParser):
    """What a reader sees, and which addresses the page has."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.links: list[str] = []
        self.open: list[str] = []
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "link", "br", "img"):
            self.open.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "title"):
            self.words += data.split()

    @property
    def text(self) -> str:
        return " ".join(self.words)


def shown(old: Report = OLD, new: Report = NEW) -> Text:
    found = Text(page(compare(old, new), old, new))
    assert found.open == []
    return found


def test_words_come_first_and_say_what_was_lost() -> None:
    text = shown().text
    assert "Something was lost. 1 check was green and is red: breaks ." in text
    assert text.index("In words") < text.index("Regressed") < text.index("Fixed") < text.index("What was held")
    assert "Nothing asks any more about POD-4 ." in text
    assert list(in_words(compare(OLD, OLD))) == ["Nothing was lost.", "No check says anything else than before."]


def test_every_difference_stands_in_a_table_with_both_verdicts() -> None:
    text = shown().text
    for row in (
        "breaks pass fail PASS → FAIL: breaks because",
        "mends fail pass",
        "goes pass what goes does",
        "leaves pass not supported",
        "comes pass what comes does",
    ):
        assert row in text
    assert "POD-4 pass not asked" in text
    assert "stays" not in text


def test_what_both_measured_stands_side_by_side() -> None:
    (one,) = measured_in_both(OLD, NEW)
    assert (one.then, one.now, one.ratio, one.unit) == ("2", "3", "1.50", "ms")
    assert "round trip 2 ms 3 ms 1.50 pace" in shown().text


def test_claims_that_are_as_they_were_are_left_out() -> None:
    found = {claim: (then, now) for claim, then, now in changed_claims(OLD, NEW)}
    assert found == {
        "POD-2": (PASS, FAIL),
        "POD-3": (FAIL, PASS),
        "POD-4": (PASS, None),
        "SVC-1": (PASS, NOT),
        "POD-5": (None, PASS),
    }


def test_it_is_one_file_that_asks_nobody() -> None:
    source = page(compare(OLD, NEW), OLD, NEW)
    assert shown().links == []
    assert not re.search(r"https?://|<script|@import|url\(", source)
    assert "--paper:" in source
    assert "prefers-color-scheme: dark" in source


def test_what_checks_say_is_text_and_never_markup() -> None:
    new = report("flannel-vxlan", check("<b>x</b>", FAIL, "POD-1"))
    old = report("flannel-vxlan", check("<b>x</b>", PASS, "POD-1"))
    source = page(compare(old, new), old, new)
    assert "<b>x" not in source
    assert "&lt;b&gt;x&lt;/b&gt; because" in source


def test_known_failures_are_told_apart() -> None:
    known = ExpectedFailure(check="breaks", reason="as known", link="https://example.com/1")
    said = list(in_words(compare(OLD, NEW, [known])))
    assert "1 check fails as the file of known failures says: `breaks`." in said
    assert not any("is red" in line for line in said)


def test_the_command_writes_it_beside_what_it_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, one in (("old", OLD), ("new", NEW)):
        write(one, tmp_path / name)
    target = tmp_path / "diff.html"
    assert main(["diff", str(tmp_path / "old"), str(tmp_path / "new"), "--html", str(target)]) == 1
    assert "1 regressed" in capsys.readouterr().out
    links = Text(target.read_text()).links
    assert "new/report.html#breaks" in links
    assert "old/report.html#goes" in links
    assert (target.parent / links[0].partition("#")[0]).exists()


def test_a_run_without_a_page_is_not_linked(tmp_path: Path) -> None:
    assert link(tmp_path, tmp_path / "diff.html") == ""
