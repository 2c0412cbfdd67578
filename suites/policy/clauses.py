"""The clauses of clauses.yaml, read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from fixtures.verdicts.network_policy import manifest

Object = dict[str, Any]
FILE = Path(__file__).with_name("clauses.yaml")


@dataclass(frozen=True)
class Clause:
    """A name, a tag to count by, and policies whose namespaces stand for the populace's."""

    name: str
    tag: str
    policies: tuple[Object, ...]


def read(file: Path = FILE) -> tuple[Clause, ...]:
    """All clauses, in the order of the file."""
    return tuple(
        Clause(
            name=item["name"],
            tag=item["tag"],
            policies=tuple(
                manifest(policy["namespace"], f"{item['name']}-{number}", policy["spec"])
                for number, policy in enumerate(item["policies"])
            ),
        )
        for item in yaml.safe_load(file.read_text())
    )


CLAUSES = read()
