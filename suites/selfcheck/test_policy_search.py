"""The search for a world that is decided wrongly finds one, makes it small, and can be repeated."""

from __future__ import annotations

from pathlib import Path

from fixtures.verdicts.network_policy import read as policy
from suites.policy_search.search import read, replay, search, written
from suites.policy_search.worlds import World

SOON = 30.0
"""Seconds that are enough by far: trying costs nothing here."""


def forgets_exceptions(world: World) -> str:
    """As an enforcer would be wrong that does not know `except`."""
    return "an exception" if "except" in written(world) else ""


def test_what_is_wrong_is_found_and_made_small() -> None:
    found = search(forgets_exceptions, within=SOON, by=3)
    assert found.wrong == "an exception"
    (left,) = found.smallest
    ((ends, rules),) = ((key, it) for key, it in left["spec"].items() if key in ("ingress", "egress"))
    assert ends in ("ingress", "egress")
    assert len(rules) == 1


def test_one_seed_draws_the_same_worlds() -> None:
    drawn: list[list[str]] = []
    for _ in range(2):
        seen: list[str] = []

        def keeps(world: World, seen: list[str] = seen) -> str:
            seen.append(written(world))
            return "enough" if len(seen) >= 20 else ""

        search(keeps, within=SOON, by=5)
        drawn.append(seen[:20])
    assert drawn[0] == drawn[1]


def test_the_time_ends_it() -> None:
    assert search(lambda _: "", within=0.0, by=1).tried == 0


def test_a_world_is_replayed_from_its_file(tmp_path: Path) -> None:
    smallest = search(forgets_exceptions, within=SOON, by=3).smallest
    file = tmp_path / "smallest.yaml"
    file.write_text(written(smallest))
    assert read(file.read_text()) == smallest
    again = replay(forgets_exceptions, file)
    assert (again.tried, again.smallest, again.wrong) == (1, smallest, "an exception")
    assert replay(lambda _: "", file).smallest == ()


def test_worlds_are_policies_of_the_api(tmp_path: Path) -> None:
    def refused(world: World) -> str:
        text = written(world).replace("‹pods›", "192.0.2.0/24")
        for number, pod in enumerate(f"{ns}-{name}" for ns in "xyz" for name in "abc"):
            text = text.replace(f"‹{pod}›", f"192.0.2.{number + 1}")
        (tmp_path / "tried").touch()
        return "" if all(policy(it).name for it in read(text)) else "no name"

    assert search(refused, within=1.0, by=2).smallest == ()
    assert (tmp_path / "tried").exists()
