"""Images from registries, by tag and digest."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from clusters.images import local, lock, mirror, transfer
from clusters.images.recipes import digest
from clusters.images.steps import Artifact, Lane
from clusters.images.unavailable import ImagesUnavailable
from clusters.model import UsageError

_REFERENCE = re.compile(
    r"(?P<name>[a-z0-9.-]+(?::\d+)?(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)+)"
    r":(?P<tag>\w[\w.-]{0,127})(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)


@dataclass(frozen=True)
class Reference:
    """An image in a registry: name with its registry, tag, and digest ("" while it is not known)."""

    name: str
    tag: str
    digest: str = ""

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Read what `str` writes; UsageError for a name without registry or tag."""
        match = _REFERENCE.fullmatch(text)
        if match is None:
            raise UsageError(f"not an image with registry and tag: {text!r}; e.g. registry.k8s.io/pause:3.10.2")
        return cls(match["name"], match["tag"], match["digest"] or "")

    def __str__(self) -> str:
        return f"{self.name}:{self.tag}" + (f"@{self.digest}" if self.digest else "")


class Pins(BaseModel):
    """registry.toml."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    debian: str
    node: dict[str, str]
    images: dict[str, str]


def pins() -> Pins:
    """What is pinned."""
    return Pins.model_validate(tomllib.loads(Path(__file__).with_name("registry.toml").read_text()))


def debian() -> Reference:
    """The Debian that the agent's image stands on."""
    return Reference.parse(pins().debian)


def node(kubernetes: str | None) -> tuple[str, Reference]:
    """The Kubernetes version and kind's node image with it; UsageError where none is pinned."""
    known = pins().node
    version = kubernetes or next(iter(known))
    if version not in known:
        raise UsageError(
            f"no node image with Kubernetes {version!r} from a registry; known are: {', '.join(known)}"
        )
    return version, Reference.parse(known[version])


def image(name: str) -> Reference:
    """An image as manifests name it, with the digest that is pinned for it, if any."""
    reference = Reference.parse(name)
    return Reference(reference.name, reference.tag, reference.digest or pins().images.get(name, ""))


def exact(reference: Reference) -> Reference:
    """The same with the digest that the first pull kept, where none is pinned."""
    return Reference(reference.name, reference.tag, reference.digest or lock.kept(str(reference)))


def reach(reference: Reference, timeout: float = transfer.ANSWER) -> None:
    """ImagesUnavailable unless the Docker engine finds that image in its registry within `timeout` seconds."""
    transfer.look(_place(str(reference)), timeout)


def pulled(reference: Reference) -> Artifact:
    """That image in the local Docker, under a name of ours."""
    short = reference.name.rpartition("/")[2]
    tag = f"netproof/pulled-{short}:{digest([str(reference)])}"
    return Artifact(
        name=tag,
        shown=str(reference).partition("@")[0],
        lane=Lane.NETWORK,
        present=lambda: local.have(tag),
        make=lambda: _pull(reference, tag),
    )


def _pull(reference: Reference, tag: str) -> None:
    known = exact(reference)
    try:
        digest = transfer.pull(_place(f"{known.name}:{known.tag}"), tag, known.digest)
    except ImagesUnavailable as error:
        raise ImagesUnavailable(
            f"{error}\n"
            "If the registry is out of reach from here, use --images=source, which builds everything (20 minutes)"
        ) from error
    if not known.digest:
        lock.keep(str(reference), digest)


def _place(name: str) -> str:
    """Where an image of that name is asked for: in its own registry, or in the mirror that stands for all."""
    through = mirror.chosen()
    return through.place(name) if through else name
