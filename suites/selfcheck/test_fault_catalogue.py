"""The catalogue of faults speaks of checks that exist, and turns every one of them red."""

from __future__ import annotations

import ast
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from fixtures.checks import check_id
from fixtures.faults.catalogue import CATALOGUE
from fixtures.faults.fault import Fault
from fixtures.faults.matrix import Matrix, Square
from fixtures.verdicts.verdict import Verdict

SUITES = Path(__file__).parents[1]

NOT_FROM_OUTSIDE = {
    "kubernetes/cni_makes_nodes_ready/before": "it judges the record of the bring-up; no later fault changes that",
    "kubernetes/containers_of_a_pod/one_namespace": "a process cannot be put into another pod while it runs",
}
"""Checks that no fault on a standing cluster can reach, each with the reason."""


def checks() -> list[str]:
    """The id of every test function of the Kubernetes suite, read without importing it."""
    found = [
        check_id(f"suites/kubernetes/{path.name}::{node.name}")
        for path in sorted((SUITES / "kubernetes").glob("test_*.py"))
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]
    assert found
    return found


@pytest.mark.parametrize("check", checks())
def test_every_check_is_reddened_by_a_fault(check: str) -> None:
    by = [fault.name for fault in CATALOGUE if fault.must_redden(check)]
    assert bool(by) != (check in NOT_FROM_OUTSIDE), f"{check} is reddened by: {by}"


@pytest.mark.parametrize("entry", CATALOGUE, ids=lambda entry: entry.name)
def test_a_fault_speaks_of_checks_that_exist(entry: Fault) -> None:
    known = checks()
    strangers = [
        pattern
        for pattern in (*entry.reddens, *entry.spares)
        if not any(fnmatchcase(check, pattern) for check in known)
    ]
    assert not strangers
    assert entry.spares, "a fault that spares nothing does not show that checks tell faults apart"
    assert entry.does.endswith(".")


def test_names_are_unique() -> None:
    names = [fault.name for fault in CATALOGUE]
    assert len(set(names)) == len(names)


def square(must_redden: bool, verdict: Verdict, *, said: str = "", named: str = "") -> Square:
    return Square("fault", "check", must_redden, verdict, "", (said,), named, probed=True, seconds=0.1)


@pytest.mark.parametrize(
    ("given", "symbol"),
    [
        (square(True, Verdict.FAIL), "X"),
        (square(True, Verdict.UNKNOWN), "X"),
        (square(True, Verdict.PASS), "!"),
        (square(False, Verdict.PASS), "."),
        (square(False, Verdict.FAIL), "!"),
        (square(False, Verdict.UNKNOWN), "!"),
        (square(True, Verdict.FAIL, said="last seen on cni0", named="cni0"), "X"),
        (square(True, Verdict.FAIL, said="last seen on eth0", named="cni0"), "!"),
    ],
)
def test_a_square_says_whether_the_check_did_what_it_should(given: Square, symbol: str) -> None:
    assert given.symbol == symbol
    assert given.kept == (symbol != "!")


def test_the_matrix_shows_the_worst_of_a_check_with_parameters() -> None:
    matrix = Matrix(CATALOGUE)
    matrix.add(square(True, Verdict.FAIL))
    matrix.add(square(True, Verdict.PASS))
    assert "│ !│" in matrix.text()
    assert "NOT proven reverted" in matrix.text()
