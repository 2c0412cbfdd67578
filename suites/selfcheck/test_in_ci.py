"""The GitHub action and the GitLab template do what they say: their steps are run here, as a runner runs them."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from clusters import shell
from clusters.legs import ROOT
from fixtures.plugins import options
from fixtures.report.__main__ import main
from fixtures.report.model import Report
from fixtures.report.write import write
from fixtures.verdicts.verdict import Verdict
from suites.selfcheck.test_many_reports import check, report

PASS, FAIL = Verdict.PASS, Verdict.FAIL
ACTION = yaml.safe_load((ROOT / "action.yml").read_text())
HEAD, TEMPLATE = yaml.safe_load_all((ROOT / "templates/build.yml").read_text())
STEPS: dict[str, dict[str, Any]] = {step["name"]: step for step in ACTION["runs"]["steps"]}
JOB: dict[str, Any] = TEMPLATE["netproof"]
SCRIPTS = {
    "github run": STEPS["Run the checks"]["run"],
    "github summary": STEPS["Summary"]["run"],
    "github verdict": STEPS["Verdict"]["run"],
    "gitlab run": JOB["script"][0],
    "gitlab verdict": JOB["script"][1],
}
PAGE = (ROOT / "docs/in-your-ci.md").read_text()


class Options:
    """Takes in what pytest's own parser would."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def getgroup(self, _: str) -> Options:
        return self

    def addoption(self, name: str, **_: object) -> None:
        self.names.add(name)


@pytest.fixture(scope="module")
def of_pytest() -> set[str]:
    """The options that a run takes."""
    found = Options()
    options.pytest_addoption(found)  # type: ignore[arg-type]
    return found.names


@pytest.fixture
def of_diff(capsys: pytest.CaptureFixture[str]) -> set[str]:
    """The options of the comparison."""
    with pytest.raises(SystemExit):
        main(["diff", "--help"])
    return set(re.findall(r"--[a-z]+", capsys.readouterr().out))


def options_in(text: str) -> set[str]:
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text))


@pytest.mark.parametrize("name", [name for name in SCRIPTS if name.endswith("run")])
def test_every_option_of_a_run_exists(name: str, of_pytest: set[str]) -> None:
    asked = options_in(SCRIPTS[name])
    assert {"--reports", "--cni-manifest", "--cni-image"} == asked
    assert asked <= of_pytest


@pytest.mark.parametrize("name", [name for name in SCRIPTS if name.endswith("verdict")])
def test_every_option_of_the_comparison_exists(name: str, of_diff: set[str]) -> None:
    asked = options_in(SCRIPTS[name])
    assert {"--html", "--expected"} <= asked
    assert asked <= of_diff


def test_every_command_is_a_file_or_a_module_of_ours() -> None:
    commands = {
        found for text in SCRIPTS.values() for found in re.findall(r"\"\$NETPROOF/(\S+?)\"|-m (\S+)", text)
    }
    assert commands == {("run", ""), ("", "fixtures.report")}
    assert (ROOT / "run").stat().st_mode & 0o100
    assert (ROOT / "fixtures/report/__main__.py").exists()


def test_every_input_is_used_and_every_used_one_exists() -> None:
    for inputs, text in (
        (ACTION["inputs"], yaml.safe_dump(ACTION["runs"])),
        (HEAD["spec"]["inputs"], yaml.safe_dump(JOB)),
    ):
        assert inputs.keys() == set(re.findall(r"inputs\.([a-z-]+)", text))


def test_no_input_is_put_into_a_script_as_it_is() -> None:
    """What a pull request may choose must not become words of a shell."""
    assert not [name for name, text in SCRIPTS.items() if "{{" in text or "[[ inputs" in text]


def test_the_report_is_kept_whatever_comes_of_it() -> None:
    assert STEPS["Keep the report"]["if"] == STEPS["Summary"]["if"] == "always()"
    assert JOB["artifacts"]["when"] == "always"
    assert JOB["artifacts"]["reports"]["junit"] == f"{JOB['artifacts']['paths'][0]}junit.xml"
    assert JOB["variables"]["REPORT"].endswith(JOB["artifacts"]["paths"][0].rstrip("/"))


def test_every_step_is_in_the_page_by_hand(of_pytest: set[str], of_diff: set[str]) -> None:
    by_hand = PAGE.partition("## By hand")[2]
    assert options_in(by_hand) <= of_pytest | of_diff
    assert {"--cni-manifest", "--cni-image", "--reports", "--expected", "--html"} <= options_in(by_hand)
    for inputs in (ACTION["inputs"], HEAD["spec"]["inputs"]):
        assert all(f"`{name}`" in PAGE for name in inputs)


# A runner with a netproof that writes the report that it is told to: what the steps do about it is their own.

GREEN = report("flannel-vxlan", check("a", PASS, "POD-1"), check("b", PASS, "POD-2"))
RED = report("flannel-vxlan", check("a", FAIL, "POD-1"), check("b", PASS, "POD-2"))
RUNNER = """#!/bin/sh
printf '%s\\n' "$@" >"$ASKED"
for word; do case "$word" in --reports=*) out=${word#*=} ;; esac; done
[ -z "$WRITES" ] || cp "$WRITES" "$out/report.json"
exit "$STATUS"
"""


class Runner:
    """A folder as a job has it, and the steps in their order."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.summary = folder / "summary.md"
        self.asked = folder / "asked"
        netproof = folder / "netproof"
        netproof.mkdir()
        (netproof / ".venv").symlink_to(sys.prefix)
        (netproof / "fixtures").symlink_to(ROOT / "fixtures")
        (netproof / "clusters").symlink_to(ROOT / "clusters")
        (netproof / "run").write_text(RUNNER)
        (netproof / "run").chmod(0o755)
        self.env = {
            "NETPROOF": str(netproof),
            "PROFILE": "flannel-vxlan",
            "REPORT": "netproof report",
            "GITHUB_OUTPUT": str(folder / "output"),
            "GITHUB_STEP_SUMMARY": str(self.summary),
            "ASKED": str(self.asked),
            "PYTHONPATH": str(ROOT),
            **dict.fromkeys(("CNI_MANIFEST", "CNI_IMAGES", "ACCEPTED", "EXPECTED", "ARGUMENTS", "WRITES"), ""),
        }

    def has(self, name: str, one: Report) -> str:
        """The folder of a report that an earlier job left."""
        write(one, self.folder / name)
        return name

    def job(self, where: str, status: int, writes: Report | None = None, **env: str) -> tuple[int, str]:
        """Run and verdict one after the other; the status, and what was said last."""
        if writes is not None:
            write(writes, self.folder / "writes")
            env["WRITES"] = str(self.folder / "writes/report.json")
        env = {**self.env, "STATUS": str(status), **env}
        steps = [SCRIPTS[f"{where} run"], SCRIPTS[f"{where} verdict"]]
        if where == "gitlab":  # one shell for all of them
            done = shell.run(["sh", "-c", "\n".join(steps)], env=env, cwd=self.folder, check=False)
            return done.status, done.stdout
        for script in steps[: 2 if env["ACCEPTED"] else 1]:
            done = shell.run(["sh", "-c", script], env=env, cwd=self.folder, check=False)
            if done.status:
                break
        return done.status, done.stdout


@pytest.fixture(params=["github", "gitlab"])
def where(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    return Runner(tmp_path)


def test_without_an_accepted_run_the_run_s_own_verdict_counts(runner: Runner, where: str) -> None:
    assert runner.job(where, 0, GREEN)[0] == 0
    assert runner.job(where, 1, RED)[0] == 1
    assert runner.job(where, 3)[0] == 3


def test_what_was_red_before_is_no_regression(runner: Runner, where: str) -> None:
    accepted = runner.has("accepted run", RED)
    status, said = runner.job(where, 1, RED, ACCEPTED=accepted)
    assert (status, "no check says anything else" in said) == (0, True)
    assert (runner.folder / "netproof report/diff.html").exists()


def test_what_was_green_before_is_one(runner: Runner, where: str) -> None:
    status, said = runner.job(where, 1, RED, ACCEPTED=runner.has("accepted run", GREEN))
    assert (status, "1 regressed" in said) == (1, True)


def test_a_known_failure_is_none(runner: Runner, where: str) -> None:
    known = [{"check": "a", "reason": "as known", "link": "https://example.com/1"}]
    (runner.folder / "known failures.yml").write_text(yaml.safe_dump(known))
    accepted = runner.has("accepted run", GREEN)
    assert runner.job(where, 1, RED, ACCEPTED=accepted, EXPECTED="known failures.yml")[0] == 0


def test_a_run_that_came_to_no_report_is_never_green(runner: Runner, where: str) -> None:
    accepted = runner.has("accepted run", GREEN)
    for status in (1, 2, 3):
        assert runner.job(where, status, ACCEPTED=accepted)[0] == status


def test_the_build_is_handed_over_with_whole_paths(runner: Runner, where: str) -> None:
    (runner.folder / "flannel.tar").touch()
    (runner.folder / "my manifest.yml").touch()
    runner.job(
        where,
        0,
        GREEN,
        CNI_MANIFEST="my manifest.yml",
        CNI_IMAGES="example.com/flannel:dev=flannel.tar\nexample.com/plugin:dev=plugin:local",
        ARGUMENTS="-k dns",
    )
    place = runner.folder.resolve()
    assert runner.asked.read_text().splitlines() == [
        "flannel-vxlan",
        "--",
        f"--reports={place}/netproof report",
        f"--cni-manifest={place}/my manifest.yml",
        f"--cni-image=example.com/flannel:dev={place}/flannel.tar",
        "--cni-image=example.com/plugin:dev=plugin:local",
        "-k",
        "dns",
    ]


def test_the_summary_has_the_report_and_the_comparison(runner: Runner) -> None:
    (runner.folder / "netproof report").mkdir()
    write(RED, runner.folder / "netproof report")
    shell.run(["sh", "-c", SCRIPTS["github summary"]], env=runner.env, cwd=runner.folder)
    runner.job("github", 1, RED, ACCEPTED=runner.has("accepted run", GREEN))
    said = runner.summary.read_text()
    assert said.startswith("# flannel-vxlan: ")
    assert "| regressed | `a` |" in said
