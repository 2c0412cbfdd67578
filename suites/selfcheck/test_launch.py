"""What is asked for by name is found or refused, and every exit status means one of four things."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from clusters import shell
from clusters.counts import Counts
from clusters.launch import FAILED, HOST_CANNOT, PASSED, USAGE, main, status, total, worst
from clusters.legs import ROOT, chosen, groups, legs, lending
from clusters.model import UsageError, profile_names


def test_an_unknown_name_is_refused_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lint", "flannel-vxlam"]) == USAGE
    said = capsys.readouterr().err
    assert "unknown: flannel-vxlam" in said
    assert "flannel-vxlan" in said


def test_no_name_is_refused() -> None:
    assert main(["--", "-k", "dns"]) == USAGE


def test_every_profile_is_a_leg_and_so_are_its_faults() -> None:
    names = {leg.name for leg in legs()}
    assert names >= {*profile_names(), *(f"faults-{name}" for name in profile_names())}


@pytest.mark.parametrize("name", ["lint", "types", "selfcheck"])
def test_what_needs_no_docker_asks_for_none(name: str) -> None:
    (leg,) = chosen([name])
    assert not leg.docker


def test_a_group_stands_for_its_legs_once_each() -> None:
    assert [leg.name for leg in chosen(["test", "lint"])] == list(groups()["test"])


def test_every_leg_of_a_group_is_known() -> None:
    for group in groups():
        assert chosen([group])


def test_a_leg_lends_its_cluster_to_the_next_one_of_its_profile_alone() -> None:
    order = ["lvs", "canal", "faults-canal", "flannel-vxlan", "few-faults-flannel-vxlan", "lint", "flannel-vxlan"]
    assert lending(order) == {"canal", "flannel-vxlan"}
    assert lending(["lint", "types"]) == lending([""]) == frozenset()


def test_nightly_has_every_profile_with_its_faults_and_no_fault_twice() -> None:
    nightly = groups()["nightly"]
    assert {*profile_names(), *(f"faults-{name}" for name in profile_names()), "lint", "lvs"} <= {*nightly}
    assert not [name for name in nightly if name.startswith(("few-faults-", "wire-"))]
    assert "docs" not in nightly


def test_unknown_names_are_all_named() -> None:
    with pytest.raises(UsageError, match="unknown: one, two; known are: test, nightly, lint"):
        chosen(["one", "lint", "two"])


@pytest.mark.parametrize(
    ("command", "code", "expected"),
    [
        ("pytest", 0, PASSED),
        ("pytest", 1, FAILED),
        ("pytest", 2, USAGE),
        ("pytest", 3, HOST_CANNOT),
        ("pytest", 4, USAGE),
        ("pytest", 5, FAILED),
        ("pytest", -9, FAILED),
        ("pytest", 130, FAILED),
        ("mypy", 0, PASSED),
        ("mypy", 2, FAILED),
        ("ruff", 1, FAILED),
    ],
)
def test_statuses_of_tools_become_ours(command: str, code: int, expected: int) -> None:
    ran = {"test": [{"command": [f"/somewhere/bin/{command}"]}], "result": {"exit_code": code}}
    assert status(ran) == expected


def test_an_environment_that_could_not_be_made_is_the_hosts_fault() -> None:
    assert status({"setup": [{"retcode": 1}], "result": {"exit_code": 1}}) == HOST_CANNOT


def test_what_was_interrupted_has_no_result_and_failed() -> None:
    assert status({"test": [{"command": ["/somewhere/bin/pytest"]}]}) == FAILED


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ([PASSED, PASSED], PASSED),
        ([PASSED, HOST_CANNOT], HOST_CANNOT),
        ([FAILED, HOST_CANNOT], FAILED),
        ([USAGE, PASSED], USAGE),
    ],
)
def test_the_worst_of_several_is_reported(statuses: list[int], expected: int) -> None:
    assert worst(statuses) == expected


def test_counts_of_legs_add_up(tmp_path: Path) -> None:
    Counts(passed=83, failed=1, skipped=2, red=("dns: late",)).write(tmp_path, "flannel-vxlan")
    statuses = {"lint": PASSED, "types": FAILED, "flannel-vxlan": FAILED, "docker": HOST_CANNOT}
    counts = total(statuses, tmp_path)
    assert str(counts) == "84 passed, 3 failed, 2 skipped"
    assert counts.red == ("types: see above", "flannel-vxlan: dns: late", "docker: see above")


def test_a_host_that_cannot_is_counted_too() -> None:
    nowhere = {"DOCKER_HOST": "unix:///nowhere/docker.sock"}
    done = shell.run(
        [sys.executable, "-m", "clusters.launch", "docker", "lvs"], cwd=ROOT, env=nowhere, check=False
    )
    assert done.status == HOST_CANNOT
    assert done.stdout.rstrip().splitlines()[-1] == "0 passed, 2 failed, 0 skipped"
