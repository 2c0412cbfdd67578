"""The digests that came with tags: what was pulled once by tag is asked for by its digest from then on."""

from __future__ import annotations

import json
from pathlib import Path

from clusters.images import cache


def keep(name: str, pinned: str) -> None:
    """Keep the digest that came with a tag, so that the next pull gets the same."""
    path = file()
    partial = path.with_suffix(".part")
    partial.write_text(json.dumps({**_all(), name: pinned}, indent=2, sort_keys=True))
    partial.replace(path)


def kept(name: str) -> str:
    """The digest that is kept for an image's name; "" where none is."""
    return _all().get(name, "")


def file() -> Path:
    """Where they are; another machine that has this file asks for the same."""
    return cache.folder() / "registry.lock.json"


def _all() -> dict[str, str]:
    path = file()
    found: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    return found
