"""Files of other projects that we use as they are: named by release and digest, and had in whichever way works.

The Go module of the release holds them, and so does the project's repository. Whatever comes is used only when
its digest is the one expected, so that the way does not matter.
"""

from __future__ import annotations

import hashlib
import shutil
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from clusters.images import cache, golang, recipes
from clusters.model import HostCannot


class UpstreamMissing(HostCannot):
    """A file of another project cannot be had; the message says what was tried and what would help."""


@dataclass(frozen=True)
class Document:
    """One file of one release: the project's repository at GitHub, the release's tag, the path inside, its digest.

    `recipe` names the source recipe whose go.mod and go.sum pin the release's Go module, which holds it too.
    """

    repository: str
    version: str
    path: str
    sha256: str
    recipe: str


def fetch(document: Document) -> str:
    """The text of the file, from our cache or from one of its homes; UpstreamMissing when none has it."""
    cached = cache.folder("upstream") / f"{document.sha256}-{Path(document.path).name}"
    if cached.exists() and _digest(cached.read_bytes()) == document.sha256:
        return cached.read_text()
    ways: list[Callable[[Document], bytes]] = [_from_module, _from_repository]
    if shutil.which("go") is None:
        ways.reverse()
    tried: list[str] = []
    for way in ways:
        try:
            found = way(document)
        except (OSError, HostCannot) as error:
            tried.append(str(error))
            continue
        if _digest(found) == document.sha256:
            partial = cached.with_suffix(".part")
            partial.write_bytes(found)
            partial.replace(cached)
            return found.decode()
        tried.append(f"what came has the digest {_digest(found)}, not {document.sha256}")
    raise UpstreamMissing(
        f"{document.path} of {document.repository} {document.version} cannot be had. Either the registry of Go"
        " modules or GitHub must be within reach.\n" + "\n".join(tried)
    )


def _from_module(document: Document) -> bytes:
    """Out of the release's Go module, which `go` checks against the recipe's go.sum."""
    folder = golang.find().module_folder(recipes.load(document.recipe))
    return (folder / document.path).read_bytes()


def _from_repository(document: Document) -> bytes:
    """From the repository, at the release's tag."""
    address = f"https://raw.githubusercontent.com/{document.repository}/{document.version}/{document.path}"
    with urllib.request.urlopen(address, timeout=20) as answer:
        text: bytes = answer.read()
    return text


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
