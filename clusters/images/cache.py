"""Where builds keep what they made: one folder, safe to remove, shared by every run of this user."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clusters.images.unavailable import ImagesUnavailable
from clusters.progress import say

BUILD_SPACE = 12
"""GiB that a build from nothing takes: sources, compiler cache, programs and images."""


def root() -> Path:
    """`$NETPROOF_CACHE`, else `netproof` in the user's cache folder."""
    if chosen := os.environ.get("NETPROOF_CACHE"):
        return Path(chosen).absolute()
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".cache") / "netproof"


def folder(*names: str) -> Path:
    """A folder of the cache, made when missing."""
    path = root().joinpath(*names)
    path.mkdir(parents=True, exist_ok=True)
    return path


def log(name: str) -> Path:
    """The log of one component's build. A new build appends to it."""
    return folder("logs") / f"{name}.log"


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold the lock of that name: two runs do not build the same thing at once, the second waits.

    The kernel drops it with the process, so that a killed run leaves nothing behind.
    """
    with (folder("locks") / name).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"another run holds the {name} lock of {root()}; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def published(final: Path) -> Iterator[Path]:
    """A temporary folder that becomes `final` when the block ends well, and vanishes when it does not."""
    final.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{final.name}.", dir=final.parent))
    try:
        yield partial
        partial.chmod(0o755)
        partial.rename(final)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def scratch(name: str) -> Iterator[Path]:
    """A temporary folder on the cache's file system, removed when the block ends."""
    with tempfile.TemporaryDirectory(prefix=f"{name}.", dir=folder("scratch")) as path:
        yield Path(path)


def clear_scratch() -> None:
    """Remove what killed runs left in scratch; only for whoever holds the lock of all builds."""
    shutil.rmtree(root() / "scratch", ignore_errors=True)


def require_space(gib: float = BUILD_SPACE) -> None:
    """ImagesUnavailable when the cache's file system has less than `gib` GiB free."""
    free = shutil.disk_usage(folder()).free / 2**30
    if free < gib:
        raise ImagesUnavailable(
            f"building images takes about {gib:.0f} GiB, and {root()} has {free:.1f} GiB free. Free some, name a"
            " roomier folder in NETPROOF_CACHE, or use --images=registry"
        )
