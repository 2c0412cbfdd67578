"""What is compiled, as data: one folder is one component, one folder in it is one version.

recipes/<component>/recipe.toml          how it is built, and what comes out
recipes/<component>/<version>/go.mod     which module, with every dependency pinned; its `tool` lines name
recipes/<component>/<version>/go.sum     the programs to build. go.sum has the hash of every byte that is used
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from clusters.model import UsageError

RECIPES = Path(__file__).parent / "recipes"
SCRATCH, USERLAND = "scratch", "userland"
"""Bases of images that are no context of their own: nothing, and Debian with the kernel's network tools."""


_TOOL = re.compile(r"^(?:tool )?\s*\S+/(\w+)$", re.MULTILINE)
"""A program that a go.mod names as a tool: its line ends with the program's name and has no version."""


class ImageRecipe(BaseModel):
    """One image made of built programs.

    `files` maps a program to its path in the image, `newer` one that older versions do not have; `links` are
    further paths to such a path. `trees` maps folders of
    the module to their paths, `without` such files to a pattern: lines that it matches are left out. `folders` are
    there and empty. `base` is what lies under all this: nothing, Debian with the kernel's network tools
    (`userland`), or a context that is laid on the latter. `reference` is empty where whoever asks for the image
    says what it is called.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    reference: str = ""
    base: str = SCRATCH
    files: dict[str, str]
    newer: dict[str, str] = {}
    links: dict[str, str] = {}
    trees: dict[str, str] = {}
    without: dict[str, str] = {}
    folders: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()


class _RecipeFile(BaseModel):
    """recipe.toml as it is written."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    module: str
    default: str = ""
    needs: dict[str, dict[str, str]] = {}
    cgo: bool = False
    tags: tuple[str, ...] = ()
    variables: dict[str, str] = {}
    rename: dict[str, str] = {}
    c: dict[str, str] = {}
    node: dict[str, str] = {}
    images: tuple[ImageRecipe, ...] = ()


@dataclass(frozen=True)
class Recipe:
    """One component in one version.

    `module` is the Go module with the sources, `variables` the strings to set at link time, `rename` maps a
    program to the name that it shall have, `c` maps a program to the C file in the module that it is compiled
    from, `node` maps a program to its path in the node image. `needs` are the components that run beside it, each
    with its version.
    """

    component: str
    version: str
    module: str
    cgo: bool
    tags: tuple[str, ...]
    variables: Mapping[str, str]
    rename: Mapping[str, str]
    c: Mapping[str, str]
    node: Mapping[str, str]
    images: tuple[ImageRecipe, ...]
    needs: Mapping[str, str]

    @property
    def name(self) -> str:
        """Component and version, as in `ManifestImage.recipe`."""
        return f"{self.component}/{self.version}"

    def image(self, program: str = "") -> ImageRecipe:
        """The image with that program, or the only one; UsageError where there is none."""
        found = [image for image in self.images if not program or program in image.files]
        if len(found) != 1:
            wanted = program or "any program"
            raise UsageError(f"{self.name} makes {len(found)} images with {wanted}, not one")
        return found[0]

    def programs(self, image: ImageRecipe) -> dict[str, str]:
        """The programs of an image in this version, each with its path there."""
        tools = _TOOL.findall((self.folder / "go.mod").read_text())
        return image.files | {name: path for name, path in image.newer.items() if name in tools}

    @property
    def folder(self) -> Path:
        """Where go.mod and go.sum are."""
        return RECIPES / self.component / self.version

    @property
    def hash(self) -> str:
        """Changes whenever anything that the build depends on does."""
        files = (RECIPES / self.component / "recipe.toml", self.folder / "go.mod", self.folder / "go.sum")
        return digest(part for file in files for part in (file.name, file.read_bytes()))

    @property
    def detail(self) -> str:
        """What it is built from, for people."""
        return f"{self.module} {module_version(self.folder / 'go.mod', self.module)}"


def components() -> list[str]:
    """The known components: every folder of `recipes/`."""
    return sorted(path.parent.name for path in RECIPES.glob("*/recipe.toml"))


def versions(component: str) -> list[str]:
    """The versions of a component that can be built, newest first; UsageError for an unknown component."""
    if component not in components():
        raise UsageError(f"unknown component {component!r}; known are: {', '.join(components())}")
    found = [path.parent.name for path in (RECIPES / component).glob("*/go.mod")]
    return sorted(found, key=order, reverse=True)


def load(name: str) -> Recipe:
    """The recipe named `component/version`, or `component` in the version that it says itself, else the newest.

    UsageError for an unknown one.
    """
    component, _, asked = name.partition("/")
    known = versions(component)
    if asked and asked not in known:
        raise UsageError(f"unknown {component} version {asked!r}; known are: {', '.join(known)}")
    path = RECIPES / component / "recipe.toml"
    try:
        file = _RecipeFile.model_validate(tomllib.loads(path.read_text()))
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        raise UsageError(f"{component}/{path.name}: {error}") from error
    version = asked or file.default or known[0]
    number = version.removeprefix("v").split(".")
    words = {"version": version, "number": version.removeprefix("v"), "major": number[0], "minor": number[1]}
    images = tuple(
        image.model_copy(update={"reference": image.reference.format(**words)}) for image in file.images
    )
    return Recipe(
        component=component,
        version=version,
        module=file.module,
        cgo=file.cgo,
        tags=file.tags,
        variables={name: value.format(**words) for name, value in file.variables.items()},
        rename=file.rename,
        c=file.c,
        node=file.node,
        images=images,
        needs=file.needs.get(version, {}),
    )


def module_version(go_mod: Path, module: str) -> str:
    """The version of a module that a go.mod requires; UsageError when it does not require it."""
    line = re.search(rf"^(?:require)?\s*{re.escape(module)} (v\S+)", go_mod.read_text(), re.MULTILINE)
    if line is None:
        raise UsageError(f"{go_mod}: does not require {module}")
    return line[1]


def digest(parts: Iterable[str | bytes]) -> str:
    """Twelve hexadecimal digits that change when any part, their number or their order does."""
    whole = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        whole.update(len(data).to_bytes(8, "big") + data)
    return whole.hexdigest()[:12]


def tree(root: Path, pattern: str = "**/*") -> Iterable[str | bytes]:
    """The parts of a folder for `digest`: each file's path in it and its content, in a fixed order."""
    for path in sorted(root.glob(pattern)):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path.relative_to(root).as_posix()
            yield path.read_bytes()


def order(version: str) -> tuple[int, ...]:
    """What versions are sorted by: their numbers."""
    return tuple(int(number) for number in re.findall(r"\d+", version))
