"""Images in the local Docker: what is there, building, importing, saving.

With the `docker` command, which kind needs anyway, and its classic builder, which every engine has.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from clusters import shell
from clusters.images import cache
from clusters.model import HostCannot


def have(reference: str) -> bool:
    """Whether the local Docker has an image of that name; HostCannot when Docker does not answer."""
    return bool(_listed("--quiet", reference))


def identity(reference: str) -> str:
    """The digest of a local image."""
    return shell.run(["docker", "image", "inspect", "--format={{.Id}}", reference]).stdout.strip()


def ours() -> list[str]:
    """The images that this package has made or pulled: all under `netproof/`."""
    return _listed("--format={{.Repository}}:{{.Tag}}", "--filter=reference=netproof/*")


def _listed(*words: str) -> list[str]:
    try:
        return shell.run(["docker", "image", "ls", *words]).stdout.split()
    except shell.CommandFailed as error:
        raise HostCannot(f"Docker does not answer, and without it there are no images: {error}") from error


def remove(reference: str) -> bool:
    """Remove an image's name, and its layers where nothing else needs them; False when a container uses it."""
    return shell.run(["docker", "image", "rm", reference], check=False).ok


def build(
    context: Path,
    tag: str,
    *,
    log: str,
    arguments: Mapping[str, str] | None = None,
) -> None:
    """Build the folder `context` with its Dockerfile.

    RUN has the host's network: a container's own often has a larger MTU than the way out, or no name server.
    """
    words = ["docker", "build", "--network=host", "--force-rm", f"--tag={tag}"]
    words += [f"--build-arg={name}={value}" for name, value in (arguments or {}).items()]
    shell.run([*words, context], env={"DOCKER_BUILDKIT": "0"}, timeout=1800, log=cache.log(log))


def import_tar(tar: Path, tag: str, *, log: str) -> None:
    """Make an image of one layer out of a tar file of a root file system."""
    shell.run(["docker", "import", tar, tag], timeout=600, log=cache.log(log))


def save(references: Iterable[str], tar: Path) -> None:
    """Write images with their names into a tar file."""
    shell.run(["docker", "save", f"--output={tar}", *references], timeout=600)
