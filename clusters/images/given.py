"""An image that the user names: as it is on this machine, else as its registry has it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing

from docker import DockerClient
from docker.errors import APIError, ContainerError, DockerException, ImageNotFound
from docker.models.images import Image as DockerImage
from requests.exceptions import RequestException

from clusters.host import client
from clusters.images.plans import GIVEN, Origin
from clusters.images.provide import Image
from clusters.images.unavailable import ImagesUnavailable
from clusters.labels import LABEL, RunId
from clusters.model import UsageError

_LACKING = 'for one; do command -v "$one" >/dev/null || echo "$one"; done'


def ensure(reference: str, option: str, programs: Sequence[str]) -> Image:
    """Make sure of an image that must have these programs, and `sh`.

    `option` is where the user named it, for the messages: ImagesUnavailable where it is neither here nor can be
    pulled, UsageError where it lacks a program.
    """
    with closing(client(timeout=600)) as docker:
        image = _here(docker, reference, option) or _pulled(docker, reference, option)
        lacking = _lacking(docker, image, programs)
    if lacking:
        raise UsageError(
            f"{option}: the image {reference} lacks {', '.join(lacking)}: name one that Docker itself runs in,"
            " such as docker:28-dind"
        )
    digests = image.attrs.get("RepoDigests") or [f"{reference}, {image.id}"]
    return Image(reference, Origin(reference, GIVEN, digests[0]))


def _here(docker: DockerClient, reference: str, option: str) -> DockerImage | None:
    try:
        return docker.images.get(reference)
    except ImageNotFound:
        return None
    except DockerException as error:
        raise UsageError(f"{option}: {_said(error)}; a name is such as docker:28-dind") from error


def _pulled(docker: DockerClient, reference: str, option: str) -> DockerImage:
    try:
        docker.images.pull(reference)
        return docker.images.get(reference)
    except (DockerException, RequestException, OSError) as error:
        raise ImagesUnavailable(
            f"{option}: there is no image {reference} on this machine, and it cannot be pulled: {_said(error)}\n"
            "Check its name and tag (see `docker images`). Without a registry, bring it from a machine"
            f" that has it: `docker save {reference}` there, `docker load` here"
        ) from error


def _lacking(docker: DockerClient, image: DockerImage, programs: Sequence[str]) -> list[str]:
    try:
        said: bytes = docker.containers.run(
            image,
            entrypoint=["sh", "-c", _LACKING, "sh"],
            command=list(programs),
            network_mode="none",
            labels={LABEL: str(RunId.current())},
            remove=True,
        )
    except (APIError, ContainerError):
        return ["sh"]
    return said.decode().split()


def _said(error: Exception) -> str:
    return str(getattr(error, "explanation", None) or error).strip()
