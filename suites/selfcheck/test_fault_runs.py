"""With `--faults` checks run in such an order that each lab is made once and each fault injected once."""

from __future__ import annotations

import pytest

MODULE = '''
"""A promise."""
import pytest
from fixtures.faults.fault import fault

@pytest.fixture(scope="module")
def wired(): ...

@fault(site="wired", reddens=("{name}/one",), spares=("{name}/two",))
def {name}_cut(wired):
    """A cable is cut."""
    yield

@fault(site="wired", reddens=("{name}/two",), spares=("{name}/one",))
def {name}_loop(wired):
    """A cable is a loop."""
    yield

def test_one(wired, proof): ...

def test_two(wired, proof): ...

def test_three(wired): ...
'''

PLUGINS = (
    "-p",
    "fixtures.plugins.options",
    "-p",
    "fixtures.plugins.run",
    "-p",
    "fixtures.plugins.fault_matrix",
    "-p",
    "no:cacheprovider",
)


def collected(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """What would run of two modules with a lab each, in which order."""
    pytester.makepyfile(**{f"test_{name}": MODULE.replace("{name}", name) for name in ("red", "blue")})
    return pytester.runpytest_inprocess(*PLUGINS, "--collect-only", "-q", *arguments)


def names(result: pytest.RunResult) -> list[str]:
    return [line for line in result.outlines if "::" in line]


def test_each_lab_is_made_once_and_each_fault_injected_once(pytester: pytest.Pytester) -> None:
    blue = [
        "test_blue.py::test_one[healthy]",
        "test_blue.py::test_two[healthy]",
        "test_blue.py::test_one[blue-cut]",
        "test_blue.py::test_two[blue-cut]",
        "test_blue.py::test_one[blue-loop]",
        "test_blue.py::test_two[blue-loop]",
    ]
    red = [line.replace("blue", "red") for line in blue]

    assert names(collected(pytester, "--faults")) == [*blue, *red]


def test_a_fault_asked_for_by_name_runs_with_the_checks_that_it_concerns(pytester: pytest.Pytester) -> None:
    assert names(collected(pytester, "--faults=red-loop")) == [
        f"test_red.py::test_{check}[{fault}]" for fault in ("healthy", "red-loop") for check in ("one", "two")
    ]


def test_without_faults_nothing_is_added(pytester: pytest.Pytester) -> None:
    assert names(collected(pytester))[:3] == [f"test_blue.py::test_{check}" for check in ("one", "two", "three")]


def test_an_unknown_fault_is_refused_with_the_known_ones(pytester: pytest.Pytester) -> None:
    result = collected(pytester, "--faults=red-cut,red-cat")

    assert result.ret == 2
    result.stdout.fnmatch_lines(["*unknown fault red-cat; known*blue-cut, blue-loop, red-cut, red-loop*"])


TURNED = '''
"""A promise."""
import pytest
from fixtures.faults.fault import fault

@pytest.fixture(scope="module")
def lab(): return object()

@pytest.fixture(scope="module")
def unharmed(): return {{"wired": {{}}}}

@pytest.fixture(scope="module")
def wired(lab): ...

@fault(site="wired", reddens={{"turned/it": "cable 7"}}, spares=("turned/other",))
def cut(wired):
    """A cable is cut."""
    yield

def test_it(wired, proof, lab_fault):
    {body}

def test_other(wired, proof): proof.fact("it is well", True, "")
'''


@pytest.mark.parametrize(
    ("under_the_fault", "noticed"),
    [
        ("proof.fact('no cable is cut', False, 'cable 7')", True),
        ("proof.fact('no cable is cut', False, 'cable 8')", False),
        ("raise OSError('cable 7')", False),
        ("raise Unknown('cable 7')", False),
        ("assert False, 'cable 7'", True),
        ("proof.fact('no cable is cut', True, 'cable 7')", False),
    ],
)
def test_only_a_failure_for_the_promised_reason_is_a_notice(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, under_the_fault: str, noticed: bool
) -> None:
    monkeypatch.setattr("fixtures.faults.lab_state.states", lambda _: {})
    monkeypatch.setattr("fixtures.faults.lab_state.forget_neighbours", lambda _: None)
    body = f"""from fixtures.verdicts.verdict import Unknown
    if lab_fault.name == "healthy": proof.fact("it is well", True, "")
    else: {under_the_fault}"""
    pytester.makepyfile(test_turned=TURNED.format(body=body))
    result = pytester.runpytest_inprocess(*PLUGINS, "--faults", "--reports=out")
    assert result.parseoutcomes().get("failed", 0) == (0 if noticed else 1)
