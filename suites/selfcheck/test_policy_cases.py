"""The generated cases of policy: each decides otherwise than every other, and they are as many as they were."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from suites.policy.clauses import CLAUSES
from suites.policy_matrix.cases import PEERS, PORT_SETS, TARGETS, cases, decisions

COUNTS = {"ingress": 132, "egress": 132, "both": 14, "stacked": 30}


def test_each_case_decides_otherwise_than_every_other() -> None:
    decided = [decisions(case.policies) for case in cases()]
    assert len(set(decided)) == len(decided)
    assert frozenset() not in decided


def test_their_number_by_tag_is_known() -> None:
    """Whoever adds a case, or loses one, sees it here."""
    counts = Counter(tag for case in cases() for tag in case.tags)
    assert {tag: counts[tag] for tag in ("ingress", "egress", "both", "stacked")} == COUNTS
    assert all(counts[tag] for tag in (*TARGETS, *PEERS, *PORT_SETS))


def test_names_are_unique() -> None:
    assert len({case.name for case in cases()}) == len(cases())


def test_the_table_of_what_others_try_names_what_there_is() -> None:
    root = Path(__file__).parents[2] / "docs"
    named = re.findall(r"(clause|tag|check) `([^`]+)`", (root / "policy-cases.md").read_text())
    known = {
        "clause": {clause.name for clause in CLAUSES},
        "tag": {tag for case in cases() for tag in case.tags},
        "check": set((root / "checks.txt").read_text().split()),
    }
    assert len(named) > 60
    assert not [(kind, name) for kind, name in named if name not in known[kind] and name != "NAME"]
