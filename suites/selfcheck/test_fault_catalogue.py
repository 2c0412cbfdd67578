"""Faults speak of checks that exist and turn every one red: the catalogue's, and those of modules with a lab."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from fnmatch import fnmatchcase
from importlib import import_module
from pathlib import Path

import pytest

from clusters.legs import suite_legs
from fixtures.faults.catalogue import CATALOGUE, FEW
from fixtures.faults.fault import Fault, faults_of
from fixtures.faults.matrix import Matrix, Square
from fixtures.plugins.checks import check_id
from fixtures.verdicts.verdict import Verdict

ROOT = Path(__file__).parents[2]
SUITES_ON_A_CLUSTER = ("kubernetes", "policy", "policy_matrix", "policy_search", "disruption")
ON_A_CLUSTER = tuple(ROOT / "suites" / name for name in SUITES_ON_A_CLUSTER)
WITH_LABS = sorted({ROOT / leg.command[1] for leg in suite_legs()})

BEYOND_FAULTS = {
    "kubernetes/pods/cni_makes_nodes_ready/before": "it judges the bring-up, which no later fault changes",
    "kubernetes/pods/containers_of_a_pod/one_namespace": "a process cannot be put into another pod while it runs",
}
"""Checks that no fault on a standing cluster or lab can reach, each with the reason."""


def modules(folder: Path) -> list[Path]:
    """The test modules of a suite."""
    return sorted(folder.rglob("test_*.py"))


def checks(path: Path) -> Iterator[str]:
    """The id of every check of a module, read without importing it."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_") and is_check(node):
            yield check_id(f"{path.relative_to(ROOT)}::{node.name}")


def is_check(node: ast.FunctionDef) -> bool:
    """Whether it has a claim or a proof; what has neither tries out our own tools."""
    claims = any("claim" in ast.unparse(decorator) for decorator in node.decorator_list)
    return claims or any(argument.arg == "proof" for argument in node.args.args)


def declared(path: Path) -> tuple[Fault, ...]:
    """The faults that a test module declares."""
    return faults_of(import_module(".".join(path.relative_to(ROOT).with_suffix("").parts)))


OF_THE_CLUSTER = [check for folder in ON_A_CLUSTER for path in modules(folder) for check in checks(path)]
OF_LABS = [(check, path) for folder in WITH_LABS for path in modules(folder) for check in checks(path)]
OF_CLUSTER_MODULES = [
    (fault, path) for folder in ON_A_CLUSTER for path in modules(folder) for fault in declared(path)
]
OF_CLUSTER_CHECKS = [fault for fault, _ in OF_CLUSTER_MODULES]
DECLARED = [(fault, path) for folder in WITH_LABS for path in modules(folder) for fault in declared(path)]


@pytest.mark.parametrize("check", OF_THE_CLUSTER)
def test_every_check_of_the_cluster_is_reddened_by_a_fault(check: str) -> None:
    by = [fault.name for fault in (*CATALOGUE, *OF_CLUSTER_CHECKS) if fault.must_redden(check)]
    assert bool(by) != (check in BEYOND_FAULTS), f"{check} is reddened by: {by}"


@pytest.mark.parametrize(("check", "path"), OF_LABS, ids=[check for check, _ in OF_LABS])
def test_every_check_of_a_lab_is_reddened_by_a_fault_of_its_module(check: str, path: Path) -> None:
    by = [fault.name for fault in declared(path) if fault.must_redden(check)]
    assert bool(by) != (check in BEYOND_FAULTS), f"{check} is reddened by: {by}"


def test_an_exception_is_of_a_check_that_exists() -> None:
    assert set(BEYOND_FAULTS) <= {*OF_THE_CLUSTER, *(check for check, _ in OF_LABS)}


@pytest.mark.parametrize("entry", [*CATALOGUE, *OF_CLUSTER_CHECKS], ids=lambda entry: entry.name)
def test_a_fault_of_the_cluster_speaks_of_checks_that_exist(entry: Fault) -> None:
    assert not entry.in_a_lab
    speaks_of(entry, OF_THE_CLUSTER)


@pytest.mark.parametrize(
    ("entry", "path"), OF_CLUSTER_MODULES, ids=[entry.name for entry, _ in OF_CLUSTER_MODULES]
)
def test_a_fault_in_a_module_reddens_checks_of_that_module_alone(entry: Fault, path: Path) -> None:
    """It runs with those alone; one that others must notice as well stands in fixtures/faults."""
    own = list(checks(path))
    assert [it for it in entry.reddens if not any(fnmatchcase(check, it) for check in own)] == []


@pytest.mark.parametrize(("entry", "path"), DECLARED, ids=[entry.name for entry, _ in DECLARED])
def test_a_fault_of_a_lab_speaks_of_checks_of_its_module(entry: Fault, path: Path) -> None:
    assert entry.in_a_lab, "say site=, the name of the module's fixture that it is injected into"
    speaks_of(entry, list(checks(path)))


def speaks_of(entry: Fault, known: list[str]) -> None:
    """Every pattern of the fault must match one of these checks."""
    strangers = [
        pattern
        for pattern in (*entry.reddens, *entry.spares)
        if not any(fnmatchcase(check, pattern) for check in known)
    ]
    assert not strangers
    assert entry.spares, "a fault that spares nothing does not show that checks tell faults apart"
    assert entry.does.endswith(".")
    assert all(entry.reddens.values()), "say for each check what it must say: a hop, a name, a finding"
    assert set(entry.cannot_be_told) <= set(entry.reddens)


def test_names_are_unique() -> None:
    names = Counter(fault.name for fault in (*CATALOGUE, *OF_CLUSTER_CHECKS, *(fault for fault, _ in DECLARED)))
    assert [name for name, times in names.items() if times > 1] == []


def test_the_few_faults_exist() -> None:
    assert set(FEW) <= {fault.name for fault in (*CATALOGUE, *OF_CLUSTER_CHECKS)}


def square(promised: Verdict, verdict: Verdict, *, said: str = "cni0 is down", says: str = "cni0") -> Square:
    return Square("fault", "check", promised, verdict, "", (said,), (), says if promised.red else "", seconds=0.1)


@pytest.mark.parametrize(
    ("given", "symbol"),
    [
        (square(Verdict.FAIL, Verdict.FAIL), "X"),
        (square(Verdict.FAIL, Verdict.UNKNOWN), "!"),
        (square(Verdict.UNKNOWN, Verdict.UNKNOWN), "X"),
        (square(Verdict.UNKNOWN, Verdict.FAIL), "!"),
        (square(Verdict.FAIL, Verdict.PASS), "!"),
        (square(Verdict.PASS, Verdict.PASS), "."),
        (square(Verdict.PASS, Verdict.FAIL), "!"),
        (square(Verdict.PASS, Verdict.UNKNOWN), "!"),
        (square(Verdict.FAIL, Verdict.FAIL, said="last seen on eth0"), "!"),
        (square(Verdict.FAIL, Verdict.FAIL, says=""), "!"),
    ],
)
def test_a_square_says_whether_the_check_did_what_it_should(given: Square, symbol: str) -> None:
    assert given.symbol == symbol
    assert given.kept == (symbol != "!")


def test_a_module_with_a_lab_has_a_matrix_of_its_own() -> None:
    fault, module = DECLARED[0][0], "suite/module"
    check = f"{module}/first"
    matrix = Matrix((*CATALOGUE, fault))
    matrix.add(square(Verdict.FAIL, Verdict.FAIL))
    matrix.add(replace(square(Verdict.FAIL, Verdict.FAIL), fault=fault.name, check=check))
    ours = matrix.text().partition("fault x check")[2].partition(f"\n{module}\n")
    assert fault.does not in ours[0]
    assert check not in ours[0]
    assert check in ours[2]
    assert fault.does in ours[2]


def test_the_matrix_shows_the_worst_of_a_check_with_parameters() -> None:
    matrix = Matrix(CATALOGUE)
    matrix.add(square(Verdict.FAIL, Verdict.FAIL))
    matrix.add(square(Verdict.FAIL, Verdict.PASS))
    assert "│ !│" in matrix.text()
    assert "NOT proven reverted" in matrix.text()
