"""How many checks and tests of all legs passed, failed and were skipped."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

FOLDER = "NETPROOF_COUNTS"
"""The environment variable that names the folder where a leg leaves its counts."""


@dataclass(frozen=True)
class Counts:
    """What ran, by how it ended. `str` of it is the line that ends every `./run`."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    @classmethod
    def of(cls, outcomes: Iterable[str]) -> Counts:
        """Count the words "passed", "failed" and "skipped"."""
        found = Counter(outcomes)
        return cls(found["passed"], found["failed"], found["skipped"])

    @classmethod
    def read(cls, folder: Path, leg: str) -> Counts | None:
        """What a leg left behind; None where it left nothing, as one that is not pytest."""
        file = folder / f"{leg}.json"
        return cls(**json.loads(file.read_text())) if file.exists() else None

    def write(self, folder: Path, leg: str) -> None:
        """Leave it for who started the leg."""
        (folder / f"{leg}.json").write_text(json.dumps(asdict(self)))

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.passed + other.passed, self.failed + other.failed, self.skipped + other.skipped)

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"
