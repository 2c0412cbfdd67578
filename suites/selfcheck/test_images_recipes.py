"""Recipes are data: pinned, hashed by all that they depend on, and refused by name when unknown."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusters.images import recipes
from clusters.model import UsageError

OF_A_COMMIT = ("calico/v3.28.5",)
"""Releases that are served as a module under the name of their commit alone."""
EVERY = [f"{component}/{version}" for component in recipes.components() for version in recipes.versions(component)]


@pytest.mark.parametrize("name", EVERY)
def test_every_recipe_pins_its_module_and_its_programs(name: str) -> None:
    recipe = recipes.load(name)
    go_mod = (recipe.folder / "go.mod").read_text()
    assert re.search(r"^tool ", go_mod, re.MULTILINE)
    assert (
        recipes.module_version(recipe.folder / "go.mod", recipe.module) in (recipe.folder / "go.sum").read_text()
    )


@pytest.mark.parametrize("name", EVERY)
def test_a_recipe_s_folder_says_the_version_that_its_go_mod_requires(name: str) -> None:
    recipe = recipes.load(name)
    required = recipes.module_version(recipe.folder / "go.mod", recipe.module)
    assert required == recipe.version or name in OF_A_COMMIT


@pytest.mark.parametrize("name", EVERY)
def test_templates_leave_nothing_open(name: str) -> None:
    recipe = recipes.load(name)
    texts = [*recipe.variables.values(), *(image.reference for image in recipe.images)]
    assert not [text for text in texts if "{" in text]


def test_the_newest_version_is_the_default() -> None:
    assert recipes.versions("flannel") == ["v0.28.10", "v0.28.4", "v0.27.4", "v0.27.0", "v0.26.7", "v0.25.7"]
    assert recipes.load("flannel").version == "v0.28.10"


def test_a_program_of_newer_versions_is_in_their_images_alone() -> None:
    newer, older = (recipes.load(f"flannel/{version}") for version in ("v0.28.10", "v0.28.4"))
    assert newer.programs(newer.image()).keys() == {"flanneld", "install_conf"}
    assert older.programs(older.image()).keys() == {"flanneld"}


def test_an_unknown_version_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"v9\.9\.9.*v0\.28\.4.*v0\.25\.7"):
        recipes.load("flannel/v9.9.9")


def test_an_unknown_component_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"flanel.*coredns.*flannel"):
        recipes.load("flanel")


def test_a_mistake_in_a_recipe_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x" / "v1.0.0").mkdir(parents=True)
    (tmp_path / "x" / "v1.0.0" / "go.mod").write_text("module x\n")
    (tmp_path / "x" / "recipe.toml").write_text('module = "x"\ntypo = 1\n')
    monkeypatch.setattr(recipes, "RECIPES", tmp_path)
    with pytest.raises(UsageError, match=r"x/recipe.toml(.|\n)*typo"):
        recipes.load("x")


@pytest.mark.parametrize("changed", ["recipe.toml", "v1.0.0/go.mod", "v1.0.0/go.sum"])
def test_the_hash_follows_each_file(changed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x" / "v1.0.0").mkdir(parents=True)
    for name, text in {
        "recipe.toml": 'module = "x"\n',
        "v1.0.0/go.mod": "module x\n",
        "v1.0.0/go.sum": "",
    }.items():
        (tmp_path / "x" / name).write_text(text)
    monkeypatch.setattr(recipes, "RECIPES", tmp_path)
    before = recipes.load("x").hash
    assert recipes.load("x").hash == before
    with (tmp_path / "x" / changed).open("a") as file:
        file.write("# more\n")
    assert recipes.load("x").hash != before


parts = st.lists(st.one_of(st.text(), st.binary()), max_size=6)


@given(parts, parts)
def test_digests_differ_where_parts_differ(one: list[str | bytes], other: list[str | bytes]) -> None:
    def plain(listed: list[str | bytes]) -> list[bytes]:
        return [part.encode() if isinstance(part, str) else part for part in listed]

    assert (recipes.digest(one) == recipes.digest(other)) == (plain(one) == plain(other))


@given(st.permutations(["v0.9.1", "v0.27.0", "v0.27.4", "v1.2.10", "v1.2.9"]))
def test_versions_are_ordered_as_numbers(shuffled: list[str]) -> None:
    assert sorted(shuffled, key=recipes.order) == ["v0.9.1", "v0.27.0", "v0.27.4", "v1.2.9", "v1.2.10"]


def test_a_tree_s_hash_sees_names_and_contents_and_no_byte_code(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("1")
    before = recipes.digest(recipes.tree(tmp_path))
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "a.pyc").write_bytes(b"x")
    assert recipes.digest(recipes.tree(tmp_path)) == before
    (tmp_path / "a.py").rename(tmp_path / "b.py")
    assert recipes.digest(recipes.tree(tmp_path)) != before
