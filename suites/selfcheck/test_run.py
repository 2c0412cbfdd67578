"""A run ends with the verdicts, the files and the exit status that its tests deserve."""

from __future__ import annotations

import json
import re
import signal
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from clusters import shell
from clusters.counts import FOLDER, Counts
from clusters.legs import ROOT
from clusters.model import UsageError
from clusters.waiting import poll
from fixtures.plugins.options import chosen
from fixtures.report.model import Report
from fixtures.report.status import Status
from fixtures.report.write import read

PLUGINS = (
    *("-p", "fixtures.plugins.options", "-p", "fixtures.plugins.run", "-p", "fixtures.plugins.terminal"),
    *("-p", "fixtures.plugins.counts", "-p", "no:cacheprovider"),
)
HEAD = '''
"""A promise."""
import pytest
from clusters.host import HostCannot
from clusters.legs import ROOT
from clusters.model import UsageError
from fixtures.evidence.record import EvidenceFile
from fixtures.verdicts.expectation import blocked, reached
from fixtures.verdicts.judge import judge
from fixtures.verdicts.observation import Cell, Observation, Outcome, Placement, Probe, Protocol
from fixtures.verdicts.verdict import NotSupported, NotSupportedHere, Unknown

ASKED = Cell("client", "server", "192.0.2.2", Probe(Protocol.UDP, 80), frozenset(["server"]), "", Placement.HOST)

def seen(outcome=Outcome.REACHED):
    return Observation(ASKED, outcome, answered_by="server")
'''

WAITS = """
import signal
from pathlib import Path
from clusters.waiting import pause

# A shell has what it starts in the background ignore interrupts, and so would we if we were started that way.
signal.signal(signal.SIGINT, signal.default_int_handler)

@pytest.fixture(scope="session")
def world():
    yield
    Path("torn-down").touch()

def test_it(world, proof):
    Path("waiting").touch()
    pause(120)
"""


class Ran:
    """What a run left behind."""

    def __init__(self, result: pytest.RunResult, folder: Path) -> None:
        self.status = result.ret
        self.said = result.stdout.str() + result.stderr.str()
        self.folder = folder

    @property
    def report(self) -> Report:
        """The report, read as any reader would."""
        return Report.model_validate_json((self.folder / "report.json").read_text())

    @property
    def verdict(self) -> tuple[str, str]:
        """Verdict and reason of the only check."""
        (check,) = self.report.checks
        return check.verdict.value, check.reason


@pytest.fixture
def ran(pytester: pytest.Pytester) -> Any:
    """Run a module of tests, given its text without the head, with further arguments."""

    def run(text: str, *arguments: str) -> Ran:
        pytester.makeini("[pytest]\nmarkers = claim(*ids): x\n")
        pytester.makepyfile(test_promise=HEAD + text)
        result = pytester.runpytest_inprocess(*PLUGINS, "--reports=out", *arguments)
        return Ran(result, pytester.path / "out")

    return run


@pytest.mark.parametrize(
    ("body", "verdict", "reason", "status"),
    [
        ("proof.concludes(judge({ASKED: reached()}, [seen()]))", "PASS", "", 0),
        ("proof.concludes(judge({ASKED: reached()}, [seen(Outcome.REFUSED)]))", "FAIL", "refused", 1),
        ("proof.concludes(judge({ASKED: blocked()}, [seen(Outcome.TIMED_OUT)]))", "UNKNOWN", "no witness", 1),
        ("proof.concludes(judge({}, []))", "UNKNOWN", "EmptyPlan: the plan is empty", 1),
        ("proof.fact('it is so', 1 < 2, 'one and two')", "PASS", "", 0),
        ("proof.fact('it is so', 1 > 2, 'one and two')", "FAIL", "not so: it is so", 1),
        ("proof.evidence('seen.txt', 'text')", "PASS", "", 0),
        ("proof.fact('it is so', True, ''); assert 1 == 2", "FAIL", "assert 1 == 2", 1),
        ("proof.fact('it is so', True, ''); pytest.fail('no')", "FAIL", "no", 1),
        ("proof.fact('it is so', True, ''); 1 / 0", "UNKNOWN", "ZeroDivisionError: division by zero", 1),
        ("pass", "UNKNOWN", "nothing is proven", 1),
        ("proof.measured('speed', 1, 'm/s'); proof.shows('a line')", "UNKNOWN", "nothing is proven", 1),
        ("raise Unknown('cannot tell')", "UNKNOWN", "cannot tell", 1),
        ("pytest.skip('not today')", "UNKNOWN", "skipped without naming", 1),
        ("raise NotSupported('lacks policy')", "NOT_SUPPORTED", "lacks policy", 2),
        ("raise NotSupportedHere('lacks ip_vs')", "NOT_SUPPORTED_HERE", "lacks ip_vs", 3),
        ("raise UsageError('unknown thing')", "UNKNOWN", "unknown thing", 2),
        ("raise HostCannot('no engine')", "UNKNOWN", "no engine", 3),
        ("pytest.exit('enough', returncode=3)", "UNKNOWN", "did not come to its end: enough", 3),
        ("raise KeyboardInterrupt", "UNKNOWN", "the run was interrupted", 1),
    ],
)
def test_verdict_and_status(ran: Any, body: str, verdict: str, reason: str, status: int) -> None:
    result = ran(f"@pytest.mark.claim('POD-1')\ndef test_it(proof):\n    {body}\n")
    said = result.verdict
    assert said[0] == verdict
    assert reason in said[1]
    assert (result.status, result.report.status) == (status, status)
    assert result.report.claims == {"POD-1": verdict}


def test_a_swallowed_failure_stays_one(ran: Any) -> None:
    result = ran("""
def test_it(proof):
    with pytest.raises(AssertionError):
        proof.concludes(judge({ASKED: reached()}, [seen(Outcome.REFUSED)]))
""")
    assert result.verdict[0] == "FAIL"
    assert result.status == 1


@pytest.mark.parametrize(
    ("when", "verdict", "reason"),
    [("before", "UNKNOWN", "its set-up failed: AssertionError"), ("after", "UNKNOWN", "its tear-down failed")],
)
def test_what_surrounds_a_check_only_makes_it_unknown(ran: Any, when: str, verdict: str, reason: str) -> None:
    result = ran(f"""
@pytest.fixture
def world():
    assert {when != "before"}
    yield
    assert {when != "after"}

def test_it(world, proof):
    proof.fact("it is so", True, "")
""")
    assert result.verdict[0] == verdict
    assert reason in result.verdict[1]


def test_collectors_look_around_before_the_tear_down(ran: Any) -> None:
    result = ran("""
@pytest.fixture
def world(proof):
    alive = ["world"]
    yield alive
    alive.clear()

@pytest.mark.claim("POD-1")
def test_it(world, proof, collectors):
    def look(record, wrong):
        yield EvidenceFile("pair.txt", f"{wrong[0].cell.source} {world}", says="last seen on cni0")
    def broken(record, wrong):
        raise OSError("no such capture")
    collectors.append(broken)
    proof.on_failure(look)
    proof.commands("client", lambda cell: f"ask {cell.address}")
    proof.concludes(judge({ASKED: reached()}, [seen(Outcome.REFUSED)]))
""")
    (check,) = result.report.checks
    assert [(result.folder / path).name for path in check.evidence] == ["collector-failed.txt", "pair.txt"]
    assert (result.folder / check.evidence[1]).read_text() == "client ['world']"
    assert "no such capture" in (result.folder / check.evidence[0]).read_text()
    assert check.shown == ("last seen on cni0",)
    assert check.wrong[0].command == "ask 192.0.2.2"
    assert "ask 192.0.2.2" in result.said


def test_a_green_check_is_not_looked_around(ran: Any) -> None:
    result = ran("""
def test_it(proof):
    proof.on_failure(lambda record, wrong: [EvidenceFile("pair.txt", "")])
    proof.fact("it is so", True, "")
""")
    assert result.report.checks[0].evidence == ()


def test_what_never_ran_cannot_be_told(ran: Any) -> None:
    result = ran("""
@pytest.mark.claim("POD-1")
def test_first(proof):
    raise KeyboardInterrupt

@pytest.mark.claim("POD-2")
def test_second(proof):
    proof.fact("it is so", True, "")
""")
    assert set(result.report.claims.values()) == {"UNKNOWN"}
    assert result.report.stopped == "the run was interrupted"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_a_report_and_nothing_else(
    pytester: pytest.Pytester, pytestconfig: pytest.Config, number: signal.Signals
) -> None:
    pytester.makeini("[pytest]\nmarkers = claim(*ids): x\n")
    pytester.makepyfile(test_promise=HEAD + WAITS)
    here = pytester.path
    process = shell.start(
        [sys.executable, "-m", "pytest", *PLUGINS, "--reports=out"],
        log=here / "log",
        cwd=here,
        env={"PYTHONPATH": str(pytestconfig.rootpath)},
    )
    try:
        poll((here / "waiting").exists, until=bool, what="the check to begin", within=60)
        process.send_signal(number)
        status = process.wait(60)
    finally:
        shell.end(process)
    written = read(here / "out" / "report.json")
    assert (status, written.status, written.stopped) == (1, 1, "the run was interrupted")
    assert (here / "torn-down").exists()


def test_all_files_are_written(ran: Any) -> None:
    result = ran("""
@pytest.mark.claim("POD-1")
def test_good(proof, phases):
    \"\"\"It works.\"\"\"
    with phases("images"):
        proof.evidence("a/odd name?.txt", b"bytes")
    proof.concludes(judge({ASKED: reached()}, [seen()]))
    proof.measured("round trip", 0.3, "ms")
""")
    (check,) = result.report.checks
    assert (check.promise, check.summary, check.id) == ("A promise", "It works", "promise/good")
    assert check.evidence == ("evidence/promise/good/a-odd-name-.txt",)
    assert (check.probes, check.seen) == (1, "1 probe as promised")
    assert [phase.name for phase in result.report.phases] == ["collection", "images", "checks"]
    assert "It works" in (result.folder / "report.html").read_text()
    assert "1** pass" in (result.folder / "report.md").read_text()
    history = [
        json.loads(line)["record"] for line in (result.folder / "observations.jsonl").read_text().splitlines()
    ]
    assert history == ["history", "observation", "judgement"]
    properties = ElementTree.parse(result.folder / "junit.xml").iter("property")
    said = {one.get("name"): one.get("value") for one in properties}
    assert said == {"check": "promise/good", "verdict": "PASS", "summary": "It works", "claim": "POD-1"}


def test_an_earlier_report_is_gone(ran: Any) -> None:
    first = ran("def test_it(proof):\n    proof.evidence('old.txt', '')")
    (first.folder / "mine.txt").write_text("stays")
    second = ran("def test_it(proof):\n    proof.evidence('new.txt', '')")
    names = {path.name for path in second.folder.rglob("*.txt")}
    assert names == {"new.txt", "mine.txt"}


def test_tests_that_are_no_checks_are_left_alone(ran: Any) -> None:
    result = ran("def test_it():\n    assert True")
    assert result.status == 0
    assert not (result.folder / "report.json").exists()
    assert "1 passed" in result.said


def test_a_claim_that_does_not_exist_is_refused(ran: Any) -> None:
    result = ran("@pytest.mark.claim('POD-99')\ndef test_it(proof):\n    proof.evidence('a.txt', '')")
    assert result.status == 2
    assert "unknown claims POD-99" in result.said


def test_nothing_collected_is_no_pass(ran: Any) -> None:
    assert ran("").status == 2


def test_a_module_that_cannot_be_imported_is_red(ran: Any) -> None:
    assert ran("import nothing_of_that_name").status == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--profile=flanel"], "unknown profile 'flanel'; known are: "),
        (["--images=warehouse"], "--images: unknown value 'warehouse'; known are: auto, registry, source"),
        (["--engine=steam"], "--engine: unknown value 'steam'; known are: auto, local"),
        (["--keep=forever"], "--keep: unknown value 'forever'; known are: never, on-failure, always"),
        (["--cni-version=v1"], "--cni-version: unknown value 'v1'; known are: "),
        (["--kubeconfig=nowhere.yaml"], "there is no file nowhere.yaml"),
        (["--require=POD-1,POD-99"], "--require: unknown claims POD-99; the known are in claims.toml"),
    ],
)
def test_what_is_not_known_is_refused_with_what_is(
    pytester: pytest.Pytester, arguments: list[str], says: str
) -> None:
    with pytest.raises(UsageError, match=re.escape(says)):
        chosen(pytester.parseconfig("-p", "fixtures.plugins.options", *arguments))


def test_a_lab_takes_a_release_of_its_cni_without_a_profile(pytester: pytest.Pytester) -> None:
    asked = chosen(pytester.parseconfig("-p", "fixtures.plugins.options", "--cni-version=v0.27.4"))
    assert asked.cni_version == "v0.27.4"


@pytest.mark.parametrize(
    ("suite", "status"), [("overlay/test_flannel_etcd_host_gw.py", Status.PASS), ("lvs/test_nat.py", Status.USAGE)]
)
def test_a_release_of_a_cni_is_for_who_has_one(suite: str, status: Status) -> None:
    words = [sys.executable, "-m", "pytest", "--collect-only", "-q", "--cni-version=v0.27.4", f"suites/{suite}"]
    assert shell.run(words, cwd=ROOT, check=False).status == status


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--profile=flanel", "*unknown profile 'flanel'; known are: *flannel-vxlan*"),
        ("--numprocesses=2", "*-n is for suites/selfcheck alone*"),
    ],
)
def test_a_refused_option_ends_the_run_with_the_status_of_usage(
    pytester: pytest.Pytester, pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch, option: str, said: str
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(pytestconfig.rootpath))
    result = pytester.runpytest_subprocess(*PLUGINS, option)
    assert result.ret == 2
    result.stderr.fnmatch_lines(said)


def test_every_option_has_its_way_into_the_run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOX_ENV_NAME", "faults-flannel-vxlan")
    arguments = ["--profile=flannel-vxlan", "--images=source", "--keep=on-failure", "--kubernetes-version=v1.36.3"]
    options = chosen(pytester.parseconfig("-p", "fixtures.plugins.options", *arguments))
    assert (options.profile, options.images, options.keep) == ("flannel-vxlan", "source", "on-failure")
    assert options.kubernetes_version == "v1.36.3"
    assert options.reports == pytester.path / "reports" / "faults-flannel-vxlan"


def test_what_ran_is_counted_in_pytests_words(ran: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLDER, str(tmp_path))
    monkeypatch.setenv("TOX_ENV_NAME", "leg")
    done = ran("""
import pytest
from fixtures.verdicts.verdict import NotSupported

def test_good(proof): proof.fact("it is so", True, "")
def test_bad(proof): proof.fact("it is so", False, "")
def test_untold(proof): pass
def test_absent(proof): raise NotSupported("no such feature")
def test_no_check(): pass
@pytest.fixture
def late():
    yield
    raise OSError("the tear-down broke")
def test_spoilt_later(late): pass
""")
    counts = Counts.read(tmp_path, "leg")
    assert counts
    assert (counts.passed, counts.failed, counts.skipped) == (2, 3, 1)
    assert [line.partition("::")[2] for line in sorted(counts.red)] == [
        "test_bad: FAIL not so: it is so",
        "test_spoilt_later",
        "test_untold: UNKNOWN it ran to its end without a judgement, a fact or evidence, so nothing is proven",
    ]
    assert all(line.startswith("leg: ") for line in counts.red)
    assert "2 failed, 3 passed, 1 skipped, 1 error in" in done.said
