"""Programs compiled from a recipe, kept in the cache by the recipe's hash."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from clusters import shell
from clusters.images import cache
from clusters.images.golang import Go, build_arguments
from clusters.images.recipes import RECIPES, Recipe
from clusters.images.unavailable import ImagesUnavailable
from clusters.labels import LABEL, RunId
from clusters.waiting import TIMEOUTS


def folder(recipe: Recipe) -> Path:
    """Where the Go programs of a recipe are once they are built."""
    return cache.root() / "programs" / f"{recipe.component}-{recipe.version}-{recipe.hash}"


def c_folder(recipe: Recipe) -> Path:
    """Where those are that are compiled from C."""
    return folder(recipe).with_name(folder(recipe).name + "-c")


def path(recipe: Recipe, program: str) -> Path:
    """Where one program of a recipe is once it is built."""
    return (c_folder(recipe) if program in recipe.c else folder(recipe)) / program


def compile_go(recipe: Recipe, go: Go, toolchain: str) -> None:
    """Build the Go programs; with cgo in a container of the image `toolchain`."""
    with cache.published(folder(recipe)) as out:
        if recipe.cgo:
            words: list[shell.Argument] = [go.path.resolve(), *build_arguments(recipe, out)]
            _contained(recipe, toolchain, words, go.environment(recipe), (go.root(), go.path.resolve().parent))
        else:
            go.compile(recipe, out)
        for old, new in recipe.rename.items():
            (out / old).rename(out / new)


def compile_c(recipe: Recipe, go: Go, toolchain: str) -> None:
    """Build the C programs, statically, in a container of the image `toolchain`."""
    sources = go.module_folder(recipe)
    with cache.published(c_folder(recipe)) as out:
        for program, source in recipe.c.items():
            flags = ["-Os", "-Wall", "-static", "-s", f"-DVERSION={recipe.version}"]
            words: list[shell.Argument] = ["gcc", *flags, "-o", out / program, sources / source]
            _contained(recipe, toolchain, words, {}, ())


def _contained(
    recipe: Recipe,
    image: str,
    words: Sequence[shell.Argument],
    environment: Mapping[str, str],
    readable: Sequence[Path],
) -> None:
    """Run a compiler in a container that sees our cache, the recipes and `readable` at their own paths.

    It has no network (all sources are there already) and runs as this user, so that what it writes is ours.
    """
    command: list[shell.Argument] = [
        "docker",
        "run",
        "--rm",
        "--network=none",
        f"--label={LABEL}={RunId.current()}",
    ]
    command += [f"--user={os.getuid()}:{os.getgid()}", f"--workdir={recipe.folder}"]
    command += [f"--mount=type=bind,source={cache.root()},target={cache.root()}"]
    for place in dict.fromkeys([RECIPES, *readable]):
        if not place.is_relative_to(cache.root()):
            command += [f"--mount=type=bind,source={place},target={place},readonly"]
    command += [f"--env={name}={value}" for name, value in environment.items()]
    try:
        shell.run([*command, image, *words], timeout=TIMEOUTS.image_build, log=cache.log(recipe.component))
    except shell.CommandFailed as error:
        raise ImagesUnavailable(f"{recipe.name} could not be compiled: {error}") from error
