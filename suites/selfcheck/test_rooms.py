"""The rooms of the house: each imports only what is above it, and only one of them knows pytest."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = (
    "verdicts",
    "agent",
    "endpoints",
    "probes",
    "engines",
    "world",
    "lab",
    "bench",
    "cni",
    "evidence",
    "faults",
    "report",
    "plugins",
)
"""The rooms of `fixtures/`, the lowest first: docs/architecture.md says what each is for."""

STRANGERS = {"world": {"lab"}, "lab": {"world"}}
"""Rooms that never import each other."""

PURE = {"verdicts": {"docker", "kubernetes", "pytest", "rich"}}
"""What a room must not import from elsewhere."""


def imports_of(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            yield from (f"{node.module}.{name.name}" for name in node.names)
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names)


def wrong_imports(root: Path) -> list[str]:
    """Imports against the order, as "room/file imports module"."""
    found = []
    for file in sorted((root / "fixtures").rglob("*.py")):
        path = file.relative_to(root / "fixtures")
        room = path.parts[0]
        below = ROOMS[ROOMS.index(room) + 1 :] if room in ROOMS else ROOMS
        closed = {*below, *STRANGERS.get(room, set())}
        for module in imports_of(file):
            top, _, rest = module.partition(".")
            against = rest.partition(".")[0] in closed if top == "fixtures" else top in PURE.get(room, set())
            knows_pytest = top in ("pytest", "_pytest", "pluggy") and room != "plugins"
            if against or knows_pytest or top == "suites":
                found.append(f"{path} imports {module}")
    for file in sorted((root / "clusters").rglob("*.py")):
        tops = {module.partition(".")[0] for module in imports_of(file)}
        found += [f"{file.relative_to(root)} imports {top}" for top in tops & {"fixtures", "suites", "pytest"}]
    return found


def test_every_folder_of_fixtures_is_a_room() -> None:
    folders = {file.parent.name for file in (ROOT / "fixtures").glob("*/__init__.py")}
    assert folders == set(ROOMS)


def test_no_room_imports_one_below_it() -> None:
    assert "\n".join(wrong_imports(ROOT)) == ""


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("fixtures/probes/a.py", "from fixtures.world import pods"),
        ("fixtures/lab/a.py", "from fixtures.world.pods import Pod"),
        ("fixtures/verdicts/a.py", "import docker"),
        ("fixtures/evidence/a.py", "import pytest"),
        ("clusters/a.py", "from fixtures.verdicts import judge"),
    ],
)
def test_an_import_against_the_order_is_found(tmp_path: Path, file: str, line: str) -> None:
    (tmp_path / file).parent.mkdir(parents=True)
    (tmp_path / file).write_text(line + "\n")
    assert len(wrong_imports(tmp_path)) == 1
