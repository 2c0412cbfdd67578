"""How many checks and tests of all legs passed, failed and were skipped, and which failed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

FOLDER = "NETPROOF_COUNTS"
"""The environment variable that names the folder where a leg leaves its counts."""


@dataclass(frozen=True)
class Counts:
    """What ran, by how it ended. `str` of it ends every `./run`; `red` has a line for each failure."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    red: tuple[str, ...] = ()

    @classmethod
    def of(cls, outcomes: Mapping[str, str], reasons: Mapping[str, str]) -> Counts:
        """Count the words "passed", "failed" and "skipped" by test; `reasons` say why, where that is known."""
        found = Counter(outcomes.values())
        failed = (place for place, outcome in outcomes.items() if outcome == "failed")
        red = tuple(f"{place}: {reasons[place]}" if reasons.get(place) else place for place in failed)
        return cls(found["passed"], found["failed"], found["skipped"], red)

    @classmethod
    def read(cls, folder: Path, leg: str) -> Counts | None:
        """What a leg left behind; None where it left nothing, as one that is not pytest."""
        file = folder / f"{leg}.json"
        if not file.exists():
            return None
        kept = json.loads(file.read_text())
        return cls(**{**kept, "red": tuple(f"{leg}: {line}" for line in kept["red"])})

    def write(self, folder: Path, leg: str) -> None:
        """Leave it for who started the leg."""
        (folder / f"{leg}.json").write_text(json.dumps(asdict(self)))

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.passed + other.passed,
            self.failed + other.failed,
            self.skipped + other.skipped,
            self.red + other.red,
        )

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"
