"""A drawing keeps its shape, and says what was measured where it keeps a place for that."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from fixtures.evidence.drawing import drawing_in, filled
from fixtures.evidence.record import CheckRecord
from fixtures.plugins.proof import Proof
from fixtures.verdicts.expectation import blocked, reached
from fixtures.verdicts.judge import judge
from fixtures.verdicts.observation import Outcome, Protocol
from fixtures.verdicts.store import History
from suites.selfcheck.samples import cell, saw

OPEN = saw(cell("client", "server"))
SHUT = saw(cell("server", "client"), Outcome.TIMED_OUT)
JUDGED = judge({OPEN.cell: reached(), SHUT.cell: blocked()}, [OPEN, SHUT])


SUITES = Path(__file__).parent.parent


def checks() -> Iterator[tuple[str, str | None, str | None]]:
    """Every check that proves a claim: its place, its own docstring and its module's."""
    for path in sorted(SUITES.rglob("test_*.py")):
        module = ast.parse(path.read_text())
        for one in module.body:
            if isinstance(one, ast.FunctionDef) and any(
                "mark.claim" in ast.unparse(it) for it in one.decorator_list
            ):
                own, modules = ast.get_docstring(one, clean=False), ast.get_docstring(module, clean=False)
                yield f"{path.relative_to(SUITES)}::{one.name}", own, modules


def test_every_check_has_a_drawing() -> None:
    found = {place: drawing_in(own, modules) for place, own, modules in checks()}

    assert len(found) > 50
    assert [place for place, drawing in found.items() if not drawing] == []


def test_the_first_indented_block_is_the_drawing() -> None:
    assert drawing_in("A promise.\n\n    client ── server\n\n      other\n\nText.\n\n    code") == (
        "client ── server\n\n  other"
    )


def test_text_that_is_indented_as_a_whole_is_no_drawing() -> None:
    assert drawing_in("A promise.\n\n    Text of a function.\n    ") == ""
    assert drawing_in("A promise.\n\n        client\n\n    Text.\n    ") == "client"


def test_a_checks_own_drawing_wins() -> None:
    module = "A promise.\n\n    client\n\nText."
    assert drawing_in("It is so.", module) == "client"
    assert drawing_in("It is so.\n\n        own\n\n    Text.", module) == "own"
    assert drawing_in(None, None) == ""


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("client→server", "reached 2 ms"),
        ("client → server tcp", "reached 2 ms"),
        ("client→server tcp/8080", "reached 2 ms"),
        ("server→client", "no answer"),
        ("client→server udp", "·"),
        ("client→server tcp/80", "·"),
        ("server→other", "·"),
        ("mac", "02:42"),
    ],
)
def test_a_place_is_filled(place: str, words: str) -> None:
    assert filled(f"‹{place}›", {"mac": "02:42"}, [JUDGED]) == words


def test_probes_that_ended_differently_are_counted() -> None:
    over_udp = saw(cell("client", "server", protocol=Protocol.UDP), Outcome.REFUSED)
    seen = judge({OPEN.cell: reached(), over_udp.cell: reached()}, [OPEN, over_udp])

    assert filled("‹client→server›", {}, [seen]) == "1 reached, 1 refused"


def test_what_stands_to_the_right_stays_there_if_there_is_room() -> None:
    assert filled("a ‹number› b\na ‹n›    b\na ‹n› b", {"number": 1, "n": "12345"}, []) == (
        "a 1        b\na 12345  b\na 12345 b"
    )


def test_a_place_that_the_drawing_does_not_have_is_refused(tmp_path: Path) -> None:
    record = CheckRecord("pods/reach", "pods.py::test_reach", "A promise", "It is so", drawing="‹mac›")
    with closing(History(tmp_path / "observations.jsonl")) as history:
        proof = Proof(record, history, tmp_path)
        proof.draws({"mac": "02:42"})
        with pytest.raises(LookupError, match="no place ‹vid›"):
            proof.draws({"vid": 10})

    assert record.picture == "02:42"
