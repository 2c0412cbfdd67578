"""Runs side by side, and a run held against an earlier one: nothing that is lost looks green."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from clusters.legs import ROOT
from fixtures.report.__main__ import main
from fixtures.report.compare import NotComparable, compare
from fixtures.report.grid import grid, markdown
from fixtures.report.model import Check, Environment, Measure, Memory, Report, Totals, Versions
from fixtures.report.write import write
from fixtures.verdicts.verdict import Verdict, merged

PASS, FAIL, NOT = Verdict.PASS, Verdict.FAIL, Verdict.NOT_SUPPORTED


def check(name: str, verdict: Verdict, *claims: str) -> Check:
    values: dict[str, Any] = dict.fromkeys(("promise", "seen", "trace", "place"), "")
    values |= dict.fromkeys(("facts", "measures", "shown", "matrices", "wrong", "evidence"), ())
    reason = "" if verdict is PASS else f"{name} because"
    return Check(
        id=name,
        summary=f"what {name} does",
        claims=claims,
        verdict=verdict,
        reason=reason,
        seconds=1,
        probes=1,
        **values,
    )


def report(profile: str, *checks: Check, stopped: str = "") -> Report:
    claims = {claim for one in checks for claim in one.claims}
    now = datetime(2026, 1, 1, tzinfo=UTC)
    return Report(
        run="1",
        leg=profile,
        profile=profile,
        verdict=PASS,
        status=0,
        stopped=stopped,
        started=now,
        finished=now,
        versions=Versions(kubernetes="", kind="", cni="", others={}, images=()),
        environment=Environment(kernel="", system="", python="", cpus=1, memory=1, modules=(), engine=None),
        memory=Memory(own=1, children=1, containers=None),
        phases=(),
        checks=checks,
        claims={claim: merged(one.verdict for one in checks if claim in one.claims) for claim in claims},
        totals=Totals(checks=len(checks), probes=1, verdicts=dict.fromkeys(Verdict, 0), seconds=1),
    )


def test_rows_that_do_not_differ_are_folded_and_reasons_are_told_once() -> None:
    one = report("a", check("x", PASS, "POD-1"), check("y", PASS, "POD-2"), check("z", FAIL, "POD-3"))
    other = report("b", check("x", PASS, "POD-1"), check("y", PASS, "POD-2"), check("z", NOT, "POD-3"))
    found = markdown(grid([one, other], ["POD-1", "POD-2", "POD-3", "POD-4"])).splitlines()
    assert found[0] == "| claims | a | b |"
    assert found[2:4] == ["| POD-1 … POD-2 (2) | pass | pass |", "| POD-3 | **FAIL** | n/s |"]
    assert found[5:] == ["* z because: POD-3 of a, POD-3 of b"]


def test_what_was_not_run_shows_and_so_does_a_run_that_was_cut_off() -> None:
    found = grid([report("a", check("x", PASS, "POD-1")), report("b", stopped="interrupted")], ["POD-1"])
    assert found.row("POD-1") == ("pass", "-")
    assert markdown(found).startswith("| claims | a | b (cut off) |")


def test_runs_of_one_profile_share_a_column_and_the_worse_counts() -> None:
    found = grid([report("a", check("x", PASS, "POD-1")), report("a", check("y", FAIL, "POD-1"))], ["POD-1"])
    assert (found.columns, found.row("POD-1")) == (("a",), ("**FAIL**",))


def test_what_changed_is_told_by_kind() -> None:
    old = report("a", check("x", PASS), check("y", FAIL), check("z", NOT), check("gone", PASS, "POD-1"))
    new = report("a", check("x", FAIL), check("y", PASS), check("z", PASS), check("new", PASS))
    found = compare(old, new)
    assert list(found.regressed) == ["x"]
    assert list(found.fixed) == ["y"]
    assert list(found.newly_supported) == ["z"]
    assert (list(found.no_longer_run), list(found.added), found.claims_lost) == (["gone"], ["new"], ("POD-1",))
    assert found.worse
    assert found.sentence.startswith("1 regressed; 1 no longer run; 1 fixed; 1 newly supported; 1 new")


@pytest.mark.parametrize(
    ("old", "new", "worse"),
    [
        ([check("x", PASS)], [check("x", PASS)], False),
        ([check("x", FAIL)], [check("x", PASS)], False),
        ([check("x", FAIL)], [check("x", FAIL)], False),
        ([check("x", PASS)], [check("x", Verdict.UNKNOWN)], True),
        ([check("x", PASS)], [check("x", NOT)], True),
        ([check("x", PASS)], [], True),
    ],
)
def test_what_is_lost_is_worse(old: list[Check], new: list[Check], worse: bool) -> None:
    assert compare(report("a", *old), report("a", *new)).worse is worse


def test_what_says_nothing_about_one_another_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not compare(report("a"), report("a").model_copy(update={"leg": "elsewhere"})).worse
    with pytest.raises(NotComparable, match="one is of a, the other of b"):
        compare(report("a"), report("b"))
    with pytest.raises(NotComparable, match="the new run ended before its time: interrupted"):
        compare(report("a"), report("a", stopped="interrupted"))
    for name in ("a", "b"):
        write(report(name, check("x", PASS)), tmp_path / name)
    assert main(["diff", str(tmp_path / "a"), str(tmp_path / "b")]) == 2
    assert main(["diff", str(tmp_path / "a"), str(tmp_path / "nowhere")]) == 2
    assert main(["diff", str(tmp_path / "a"), str(tmp_path / "a")]) == 0
    assert "no check says anything else" in capsys.readouterr().out


ENTRY = "- check: {}\n  reason: the release has it\n  link: https://example.com/1\n"


def test_what_is_expected_is_no_regression_and_an_entry_that_is_over_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(report("a", check("x/one", PASS), check("y", PASS)), tmp_path / "old")
    write(report("a", check("x/one", FAIL), check("y", PASS)), tmp_path / "new")
    (tmp_path / "known.yaml").write_text(ENTRY.format("x/*") + ENTRY.format("y"))
    folders = [str(tmp_path / "old"), str(tmp_path / "new")]
    assert main(["diff", *folders]) == 1
    assert main(["diff", *folders, f"--expected={tmp_path / 'known.yaml'}"]) == 0
    said = capsys.readouterr().out
    assert "failed as expected   x/one  the release has it (https://example.com/1)" in said
    assert "no longer expected   y  nothing that it speaks of is red" in said


@pytest.mark.parametrize(
    "text", ["- check: x\n", ENTRY.format("''"), "a: b", "- [", ENTRY.format("x") + "  more: 1\n"]
)
def test_an_entry_that_is_not_whole_is_refused(tmp_path: Path, text: str) -> None:
    write(report("a", check("x", PASS)), tmp_path / "a")
    (tmp_path / "known.yaml").write_text(text)
    folder = str(tmp_path / "a")
    assert main(["diff", folder, folder, f"--expected={tmp_path / 'known.yaml'}"]) == 2
    assert main(["diff", folder, folder, "--expected=nowhere.yaml"]) == 2


def test_the_same_as_json_and_for_a_pull_request(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = "PASS → FAIL: x because"
    write(report("a", check("x", PASS)), tmp_path / "old")
    write(report("a", check("x", FAIL)), tmp_path / "new")
    folders = [str(tmp_path / "old"), str(tmp_path / "new")]
    assert main(["diff", *folders, "--markdown"]) == 1
    said = capsys.readouterr().out.splitlines()
    assert said == ["**1 regressed**", "", "| | check | |", "|---|---|---|", f"| regressed | `x` | {line} |"]
    assert main(["diff", *folders, "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["regressed"], told["worse"]) == ({"x": line}, True)


def test_the_matrix_is_written(tmp_path: Path) -> None:
    write(report("a", check("x", PASS, "POD-1")), tmp_path / "a")
    assert main(["matrix", str(tmp_path / "a"), "--to", str(tmp_path / "matrix.md")]) == 0
    assert "| POD-1 | pass |" in (tmp_path / "matrix.md").read_text()


def test_what_is_written_is_as_its_schema_says(tmp_path: Path) -> None:
    schema = json.loads((ROOT / "docs" / "report.schema.json").read_text())
    write(report("a", check("x", PASS, "POD-1")), tmp_path)
    written = json.loads((tmp_path / "report.json").read_text())
    jsonschema.validate(written, schema)
    del written["checks"][0]["verdict"]
    with pytest.raises(jsonschema.ValidationError, match="'verdict' is a required property"):
        jsonschema.validate(written, schema)


def test_numbers_are_written_for_graphs(tmp_path: Path) -> None:
    number = Measure(name='until "it" holds', value=1.5, unit="s")
    measured = check("x", FAIL).model_copy(update={"measures": (number,)})
    write(report("a", measured), tmp_path)
    lines = (tmp_path / "metrics.prom").read_text().splitlines()
    assert 'netproof_check_verdict{check="x",leg="a",verdict="FAIL"} 1.0' in lines
    assert 'netproof_measure{check="x",leg="a",measure="until \\"it\\" holds",unit="s"} 1.5' in lines
