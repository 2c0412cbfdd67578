"""The table of Kubernetes' own network tests names checks that there are, and a reason where there is none."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "sig-network.md").read_text()
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.splitlines()
    if line.startswith("|") and not line.startswith(("| spec", "|---"))
]
CHECKS = set((ROOT / "docs" / "checks.txt").read_text().split())


def test_every_check_that_it_names_is_there() -> None:
    named = {name for *_, cell in ROWS for name in re.findall(r"`((?:kubernetes|policy|disruption)/[^`]+)`", cell)}
    assert named
    assert not named - CHECKS


def test_every_spec_has_a_check_or_a_reason() -> None:
    assert not [spec for spec, _, cell in ROWS if not re.match(r"`\w|none: \w", cell)]


def test_every_conformance_spec_has_a_check() -> None:
    conformance = [(spec, cell) for spec, mark, cell in ROWS if mark == "C"]
    assert len(conformance) > 10
    assert not [spec for spec, cell in conformance if cell.startswith("none")]
