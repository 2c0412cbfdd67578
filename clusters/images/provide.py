"""One interface to images, whichever source they come from.

`ensure` hands out the node image that a cluster of a profile starts from. CNI and agent images are in its
containerd store already, so that nothing is loaded after the cluster is up.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from clusters.model import Cni, Profile


class Source(StrEnum):
    """Where images may come from: the value of `--images`."""

    AUTO = "auto"
    """What is on the machine already, then the registry if it answers, then source."""
    REGISTRY = "registry"
    SOURCE = "source"


@dataclass(frozen=True)
class Origin:
    """Where one image came from, for the report.

    `image` is the name it is used under, `source` says registry or source, `detail` is the reference with its
    digest, or the modules with their versions that it was compiled from.
    """

    image: str
    source: Source
    detail: str


@dataclass(frozen=True)
class AgentImage:
    """The image with the prober and its tools: the name in Docker, and where it came from."""

    reference: str
    origin: Origin


@dataclass(frozen=True)
class NodeImage:
    """What a cluster starts from.

    `reference` is for `kind create cluster --image`, `agent` names the agent's image both in Docker and in the
    containerd store of the nodes (`imagePullPolicy: Never`), `kubernetes` is the version that is inside
    ("v1.36.3"), `origins` has one entry for each image inside.
    """

    reference: str
    agent: str
    kubernetes: str
    origins: tuple[Origin, ...]


def ensure(
    profile: Profile,
    cni: Cni,
    cni_version: str,
    *,
    kubernetes_version: str | None = None,
    source: Source = Source.AUTO,
) -> NodeImage:
    """Make sure of the node image for `profile` with that release of its CNI, building what is missing.

    Without `kubernetes_version` it is the default of the source. Raises UsageError for an unknown version and
    ImagesUnavailable when the source cannot deliver; both say what can be done.
    """
    raise NotImplementedError


def ensure_agent(source: Source = Source.AUTO) -> AgentImage:
    """Make sure of the agent image alone, for suites that need no Kubernetes."""
    raise NotImplementedError


def tool(name: str) -> Path:
    """The path of a program that we start on the host (`kind`), of the pinned version; built when missing."""
    raise NotImplementedError


class ImagesUnavailable(Exception):
    """An image cannot be had from the chosen source; the message says why and what would help."""
