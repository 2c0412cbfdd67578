"""A registry that every image comes from where no other is in reach: `--registry HOST[:PORT][/PREFIX]`.

Each image lies there under its whole name behind the prefix. Finished ones are put there by
`python -m clusters images PROFILE --push` (HOST/PREFIX/netproof/node-flannel-vxlan:0123): their tag changes with
anything that they are made of. A mirror may also have those of public registries
(HOST/PREFIX/docker.io/kindest/node), from which the finished ones are then made here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass

from clusters.images import lock, transfer
from clusters.model import UsageError

VARIABLE = "NETPROOF_REGISTRY"
"""Says the same as the option: for whoever starts processes of ours, and for these themselves."""

_ADDRESS = re.compile(
    r"(?P<host>\[[0-9a-f:]+\]|[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?)(?P<port>:\d{1,5})?"
    r"(?P<prefix>(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*)/?"
)


@dataclass(frozen=True)
class Mirror:
    """The registry, with the prefix that all names there have."""

    address: str

    @classmethod
    def parse(cls, text: str) -> Mirror:
        """Read HOST[:PORT][/PREFIX]; UsageError for anything else, also for what Docker takes for Docker Hub."""
        found = _ADDRESS.fullmatch(text)
        if found is None:
            raise UsageError(f"--registry: {text!r} is no HOST[:PORT][/PREFIX] such as mirror.example:5000/net")
        host = found["host"]
        if not (found["port"] or "." in host or host == "localhost"):
            raise UsageError(
                f"--registry: Docker takes {host!r} for a user of Docker Hub: give it a port or a domain"
            )
        return cls(text.rstrip("/"))

    def place(self, name: str) -> str:
        """Where the image of that name lies, tag and digest as it has them. A registry's port is written `_`."""
        first, slash, rest = name.partition("/")
        registry = first.replace(":", "_") if slash else first
        return f"{self.address}/{registry}{slash}{rest}"

    def has(self, name: str) -> bool:
        """Whether it has the image; ImagesUnavailable where it does not answer, or wants a login."""
        try:
            transfer.look(self.place(name))
        except transfer.Absent:
            return False
        return True

    def pull(self, name: str) -> str:
        """Bring an image of that name; where it came from, with its digest.

        A digest that is kept of an earlier time is asked for, and any other refused with ImagesUnavailable.
        """
        pinned = lock.kept(name)
        digest = transfer.pull(self.place(name), name, pinned)
        if not pinned:
            lock.keep(name, digest)
        return f"{self.place(name)}@{digest}"

    def push(self, names: Iterable[str]) -> dict[str, str]:
        """Bring images of the local Docker there, and keep their digests; these by the images' names."""
        pushed: dict[str, str] = {}
        for name in names:
            pushed[name] = transfer.push(name, self.place(name))
            lock.keep(name, pushed[name])
        return pushed


def choose(text: str, source: str) -> None:
    """Have every image of this process, and of those that it starts, come from that mirror.

    `source` is what `--images` says. UsageError for what is no mirror, or where both cannot be.
    """
    if source == "source":
        raise UsageError("--registry and --images=source: images come from a mirror or are built here, not both")
    Mirror.parse(text)
    os.environ[VARIABLE] = text


def chosen() -> Mirror | None:
    """The mirror that was chosen, if any."""
    text = os.environ.get(VARIABLE, "")
    return Mirror.parse(text) if text else None
