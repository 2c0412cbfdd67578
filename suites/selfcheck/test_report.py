"""The report can be read back, judged again and shown, and the pages made from the code are up to date."""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import pytest
import yaml
from rich.console import Console

from clusters import shell
from clusters.images.provide import Origin, Source
from clusters.labels import RunId
from fixtures.engines.choice import EngineChoice
from fixtures.evidence.record import CheckRecord, Fact, Measure, Phases
from fixtures.plugins.checks import check_id
from fixtures.plugins.pages import claims_page
from fixtures.report.__main__ import main
from fixtures.report.build import report
from fixtures.report.claims import areas, in_order, texts, verdicts
from fixtures.report.model import Report
from fixtures.report.options import Keep, Options
from fixtures.report.page import html, markdown, size, span
from fixtures.report.recorder import Run
from fixtures.report.status import Status, exit_status, unproven
from fixtures.report.summary import summary
from fixtures.report.surroundings import cgroup_peak
from fixtures.report.write import read, write
from fixtures.verdicts.expectation import reached
from fixtures.verdicts.judge import Judgement, judge
from fixtures.verdicts.observation import Outcome
from fixtures.verdicts.verdict import Verdict
from suites.selfcheck.samples import cell, saw

ROOT = Path(__file__).parents[2]


def lost() -> Judgement:
    """Client does not reach server, other does."""
    one, other = cell("client", "server"), cell("other", "server")
    return judge({one: reached(), other: reached()}, [saw(one, Outcome.TIMED_OUT), saw(other)])


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run of three checks that has ended: one green, one red, one that the profile does not support."""
    options = Options("flannel-vxlan", Source.AUTO, EngineChoice.AUTO, Keep.NEVER, None, None, None, tmp_path)
    run = Run(options)
    green = CheckRecord("pods/reach", "pods.py::test_reach", "Pods <reach> each other", "By IP", "udp", ("POD-3",))
    green.facts.append(Fact("the answer is <b>bold</b>", holds=True, seen="it & more"))
    green.measures.append(Measure("round trip", 0.25, "ms"))
    red = CheckRecord("pods/far", "pods.py::test_far", "Pods <reach> each other", "Far away", "", ("POD-4",))
    red.commands = {"client": lambda asked: f"docker exec client ask {asked.address}"}
    red.judgements.append(lost())
    absent = CheckRecord("policy", "suites/policy.py::test_it", "Policy holds", "Denied", "", ("POL-2", "POD-3"))
    run.begin([green, red, absent])
    run.history.conclude(red.id, lost())
    green.conclude()
    red.conclude()
    absent.conclude(Verdict.NOT_SUPPORTED, "flannel has no network-policy")
    run.versions |= {"flannel": "v0.28.4", "kubernetes": "v1.36.3", "etcd": "v3.6.8"}
    run.origins.append(Origin("netproof/node", Source.SOURCE, "k8s.io/kubernetes v1.36.3"))
    with run.phases("images"), run.phases("checks"):
        pass
    run.end()
    return run


def test_the_report_comes_back_equal(run: Run) -> None:
    written = report(run, Status.RED)
    write(written, run.folder)
    assert read(run.folder / "report.json") == written
    assert Report.model_validate_json((run.folder / "report.json").read_text()) == written


def test_the_report_says_what_the_issue_of_a_run_is(run: Run) -> None:
    written = report(run, Status.RED)
    assert written.verdict is Verdict.FAIL
    assert written.claims == {"POD-3": Verdict.PASS, "POD-4": Verdict.FAIL, "POL-2": Verdict.NOT_SUPPORTED}
    assert {verdict: count for verdict, count in written.totals.verdicts.items() if count} == {
        Verdict.PASS: 1,
        Verdict.FAIL: 1,
        Verdict.NOT_SUPPORTED: 1,
    }
    assert written.run == str(RunId.current())
    assert (written.versions.cni, written.versions.kubernetes) == ("flannel v0.28.4", "v1.36.3")
    assert written.versions.others == {"etcd": "v3.6.8"}
    assert written.started <= written.finished <= datetime.now(UTC)
    assert written.environment.cpus == len(os.sched_getaffinity(0))
    assert written.memory.own > 1_000_000


def test_a_run_on_a_cluster_is_told_in_the_shape_of_a_conformance_report(run: Run) -> None:
    write(report(run, Status.RED), run.folder)
    told = yaml.safe_load((run.folder / "conformance-report.yaml").read_text())
    assert told["implementation"] == {"name": "flannel", "version": "v0.28.4", "profile": "flannel-vxlan"}
    assert told["core"] == {
        "result": "failure",
        "statistics": {"passed": 1, "failed": 1, "skipped": 0},
        "failedClaims": ["POD-4"],
        "skippedClaims": [],
    }
    assert told["extended"] == {
        "result": "partial",
        "statistics": {"passed": 0, "failed": 0, "skipped": 1},
        "failedClaims": [],
        "supportedClaims": [],
        "unsupportedClaims": ["POL-2"],
    }


def test_a_run_without_a_cluster_has_no_conformance_report(run: Run) -> None:
    run.versions.clear()
    write(report(run, Status.RED), run.folder)
    assert not (run.folder / "conformance-report.yaml").exists()


def test_the_report_keeps_every_probe_as_it_was_judged(run: Run) -> None:
    written = report(run, Status.RED)
    lost_probe, answered = next(it for it in written.checks if it.id == "pods/far").matrices[0].probes
    assert (lost_probe.outcome, lost_probe.verdict, lost_probe.family) == ("TIMED_OUT", Verdict.FAIL, 4)
    assert lost_probe.reason.startswith("client → server (other node): no answer within 1.00 s")
    assert (answered.source, answered.way, answered.promised) == ("other", "tcp/8080", "reached")
    assert (answered.answered_by, answered.seen_as, answered.handshake) == ("server", "192.0.2.3", 0.001)
    assert not answered.reason
    assert "answered_by" not in lost_probe.model_dump_json()


def without_probes(folder: Path) -> Report:
    """Take out of a report.json what earlier versions did not write."""
    path = folder / "report.json"
    old = json.loads(path.read_text())
    del old["places"]
    for check in old["checks"]:
        del check["places"], check["ways"]
        for matrix in check["matrices"]:
            del matrix["probes"]
    path.write_text(json.dumps(old))
    return read(path)


def test_a_report_of_an_earlier_version_gets_its_probes_from_the_history(run: Run) -> None:
    written = report(run, Status.RED)
    write(written, run.folder)
    assert not any(matrix.probes for check in without_probes(run.folder).checks for matrix in check.matrices)
    assert main(["render", str(run.folder)]) == 0
    again = read(run.folder / "report.json")
    assert [it.matrices for it in again.checks] == [it.matrices for it in written.checks]


def test_a_report_of_an_earlier_version_without_a_history_stays_as_it_is(run: Run) -> None:
    write(report(run, Status.RED), run.folder)
    old = without_probes(run.folder)
    (run.folder / "observations.jsonl").unlink()
    assert main(["render", str(run.folder)]) == 0
    assert read(run.folder / "report.json") == old


def test_a_report_of_another_schema_is_refused(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    write(report(run, Status.RED), run.folder)
    path = run.folder / "report.json"
    path.write_text(path.read_text().replace('"schema": 1', '"schema": 2'))
    assert main(["render", str(run.folder)]) == 2
    assert "schema" in capsys.readouterr().err


def test_the_page_escapes_what_it_shows(run: Run) -> None:
    page = html(report(run, Status.RED))
    assert "<b>bold</b>" not in page
    assert "&lt;b&gt;bold&lt;/b&gt;" in page
    assert "http://" not in page
    assert "https://" not in page


def test_the_pages_show_what_is_wrong_and_how_to_see_it_again(run: Run) -> None:
    for page in (html(report(run, Status.RED)), markdown(report(run, Status.RED))):
        assert "no answer within 1.00 s" in page
        assert "docker exec client ask 192.0.2.2" in page


def test_the_terminal_shows_the_tables_of_what_is_red(run: Run) -> None:
    console = Console(file=StringIO(), width=140, color_system=None)
    with console.capture() as shown:
        console.print(summary(run.checks, report(run, Status.RED), run.folder, everything=False))
    text = shown.get()
    assert "expected  server    observed  server    difference  server" in text
    assert "docker exec client ask 192.0.2.2" in text
    assert "N/S         POL-2  flannel has no network-policy" in text
    assert "1 pass, 1 fail, 1 not supported; 2 probes" in text


def test_a_run_is_judged_again_offline(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rejudge", str(run.folder)]) == 0
    assert "1 judgements, 0 of them otherwise than stored" in capsys.readouterr().out
    history = run.folder / "observations.jsonl"
    history.write_text(history.read_text().replace("TIMED_OUT", "PROBE_BROKEN", 1))
    assert main(["rejudge", str(run.folder)]) == 1
    assert "FAIL → UNKNOWN" in capsys.readouterr().out


def test_what_cannot_be_judged_again_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rejudge", str(tmp_path)]) == 2
    assert "No such file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("ended", "others_passed", "status"),
    [
        ([Verdict.PASS, Verdict.NOT_SUPPORTED_HERE], True, Status.PASS),
        ([Verdict.PASS, Verdict.UNKNOWN], True, Status.RED),
        ([Verdict.PASS, Verdict.FAIL], True, Status.RED),
        ([Verdict.PASS], False, Status.RED),
        ([], True, Status.PASS),
        ([Verdict.NOT_SUPPORTED, Verdict.NOT_SUPPORTED_HERE], True, Status.HOST_CANNOT),
        ([Verdict.NOT_SUPPORTED], True, Status.USAGE),
    ],
)
def test_exit_status(ended: list[Verdict], others_passed: bool, status: Status) -> None:
    assert exit_status(ended, others_passed=others_passed) is status


def test_what_a_run_has_to_prove_is_red_where_it_is_not() -> None:
    claims = {"POD-1": Verdict.PASS, "POD-2": Verdict.FAIL, "POD-3": Verdict.NOT_SUPPORTED}
    assert unproven(["POD-1"], claims) == {}
    assert unproven(["POD-1", "POD-2", "POD-3", "POD-4"], claims) == {
        "POD-2": "FAIL",
        "POD-3": "NOT_SUPPORTED",
        "POD-4": "not run",
    }


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("suites/kubernetes/test_hairpin.py::test_over_tcp[ipv4]", "kubernetes/hairpin/over_tcp[ipv4]"),
        ("suites/kubernetes/services/test_churn.py::test_it", "kubernetes/services/churn/it"),
        ("test_a.py::TestB::test_c[x/test_y]", "a/TestB/c[x/test_y]"),
    ],
)
def test_a_check_is_called_after_its_test(place: str, name: str) -> None:
    assert check_id(place) == name


def test_phases_inside_each_other_add_up() -> None:
    phases = Phases()
    with phases("outer"):
        with phases("inner"), phases("innermost"):
            pass
        with phases("inner"):
            pass
    assert [phase.name for phase in phases] == ["innermost", "inner", "outer"]
    assert phases.total == sum(phase.seconds for phase in phases)
    assert all(phase.seconds >= 0 for phase in phases)


def test_claims_are_merged_and_in_the_catalogues_order() -> None:
    merged = verdicts([(("POD-4", "POD-1"), Verdict.PASS), (("POD-4",), Verdict.UNKNOWN)])
    assert list(merged.items()) == [("POD-1", Verdict.PASS), ("POD-4", Verdict.UNKNOWN)]
    assert in_order(["NEW-1", "POD-2", "LNX-1"]) == ["LNX-1", "POD-2", "NEW-1"]


def test_no_claim_is_listed_twice() -> None:
    assert sum(len(area.claims) for area in areas()) == len(texts())


def test_a_claim_without_a_check_is_seen() -> None:
    record = CheckRecord("pods/reach[a]", "", "", "Pods reach each other", "a", ("POD-3",))
    page = claims_page([record, record])
    assert page.count("Pods reach each other (`pods/reach`)") == 1
    assert page.count("**none yet**") == len(texts()) - 1


def test_the_pages_made_from_the_code_are_up_to_date() -> None:
    checked = shell.run([sys.executable, "-m", "fixtures.plugins.pages", "--check"], cwd=ROOT, check=False)
    assert checked.ok, checked.stdout + checked.stderr


@pytest.mark.parametrize(("value", "words"), [(0.0004, "0.4 ms"), (12.3, "12.30 s"), (200, "3 min 20 s")])
def test_a_span_is_readable(value: float, words: str) -> None:
    assert span(value) == words


@pytest.mark.parametrize(
    ("count", "words"), [(None, "unknown"), (2**20 * 300, "300 MiB"), (2**30 * 3 // 2, "1.5 GiB")]
)
def test_a_size_is_readable(count: int | None, words: str) -> None:
    assert size(count) == words


def test_a_process_outside_a_container_has_no_peak_of_one() -> None:
    assert cgroup_peak("0" * 64, os.getpid()) is None
