"""Putting built programs into images."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from clusters import shell
from clusters.images import agent, cache, local, programs
from clusters.images.golang import Go
from clusters.images.recipes import ImageRecipe, Recipe
from clusters.images.unavailable import ImagesUnavailable

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def component(go: Go, recipe: Recipe, image: ImageRecipe, base: str, tag: str) -> None:
    """Build one image of a recipe's programs, and of files of its module, on `base` (`scratch` for none)."""
    with cache.scratch(recipe.component) as context:
        root = context / "root"
        for program, target in recipe.programs(image).items():
            _place(programs.path(recipe, program), root, target)
        for target, there in image.links.items():
            _place(root / there.lstrip("/"), root, target)
        for folder, target in image.trees.items():
            _copy_tree(go.module_folder(recipe) / folder, root / target.lstrip("/"))
        for target, pattern in image.without.items():
            _leave_out(root / target.lstrip("/"), pattern)
        for folder in image.folders:
            (root / folder.lstrip("/")).mkdir(parents=True)
        lines = [f"FROM {base}", "COPY root/ /", f"ENV PATH={_PATH}"]
        if image.entrypoint:
            lines.append(f"ENTRYPOINT {json.dumps(image.entrypoint)}")
        if image.command:
            lines.append(f"CMD {json.dumps(image.command)}")
        (context / "Dockerfile").write_text("\n".join([*lines, ""]))
        local.build(context, tag, log=recipe.component)


def node(go: Go, kind: Recipe, recipes: Sequence[Recipe], known: Sequence[str], base: str, tag: str) -> None:
    """Build the bare node: kind's own node files and the programs of `recipes` (Kubernetes first) on `base`.

    `known` are the names of the images that the control plane will find on it.
    """
    kubernetes = recipes[0]
    _check_control_plane(kubernetes, known)
    pause = next(image.reference for image in kubernetes.images if "pause" in image.files)
    with cache.scratch("node") as context:
        shutil.copy(agent.CONTEXTS / "node" / "Dockerfile", context)
        _kind_files(go.module_folder(kind) / "images" / "base" / "files", context / "kind")
        for recipe in recipes:
            for program, target in recipe.node.items():
                _place(programs.path(recipe, program), context / "programs", target)
        arguments = {"BASE": base, "PAUSE": pause, "VERSION": kubernetes.version}
        local.build(context, tag, log="node", arguments=arguments)


def _check_control_plane(kubernetes: Recipe, known: Sequence[str]) -> None:
    """ImagesUnavailable when kubeadm would ask for an image that is not among `known`."""
    kubeadm = programs.path(kubernetes, "kubeadm")
    listed = shell.run([kubeadm, "config", "images", "list", "--kubernetes-version", kubernetes.version])
    absent = sorted(set(listed.stdout.split()) - set(known))
    if absent:
        raise ImagesUnavailable(
            f"kubeadm {kubernetes.version} wants {', '.join(absent)}, which no recipe in clusters/images/recipes"
            " makes: add the version that it wants"
        )


def _place(program: Path, root: Path, target: str) -> None:
    """Put a program at its path below `root`, without copying its bytes where the file system can."""
    path = root / target.lstrip("/")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(program, path)
    except OSError:
        shutil.copy(program, path)


def _copy_tree(source: Path, target: Path) -> None:
    """Copy a folder of a module. All files of it may be run: the module cache does not keep which ones may."""
    for path in sorted(source.rglob("*")):
        place = target / path.relative_to(source)
        if path.is_dir():
            place.mkdir(parents=True, exist_ok=True)
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)
            place.chmod(0o755)


def _leave_out(path: Path, pattern: str) -> None:
    """Leave out the lines that match; ImagesUnavailable where none does."""
    lines = path.read_text().splitlines(keepends=True)
    kept = [line for line in lines if not re.search(pattern, line)]
    if kept == lines:
        raise ImagesUnavailable(f"{path.name} has no line that matches {pattern!r}, which its recipe leaves out")
    path.write_text("".join(kept))


def _kind_files(source: Path, target: Path) -> None:
    """Copy kind's node files with the modes that they have in a node; the module cache makes all read-only."""
    for path in sorted(source.rglob("*")):
        place = target / path.relative_to(source)
        if path.is_dir():
            place.mkdir(parents=True)
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)
            runs = place.parent.name == "bin"
            place.chmod(0o755 if runs else 0o644)
