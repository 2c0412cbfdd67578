"""One interface to images, whichever source they come from.

`ensure` hands out the node image that a cluster of a profile starts from. CNI and agent images are in its
containerd store already, so that nothing is loaded after the cluster is up.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from clusters import shell
from clusters.host.packages import which
from clusters.images import cache, debian, programs, recipes, registry
from clusters.images import source as built
from clusters.images.steps import Artifact, Lane, carry_out, missing
from clusters.images.unavailable import ImagesUnavailable as ImagesUnavailable
from clusters.model import Cni, Profile, UsageError
from clusters.progress import Progress, say


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


@dataclass(frozen=True)
class _Plan:
    """How one source would make what is asked for: the image, what is in it, and how to see whether it answers."""

    source: Source
    target: Artifact
    agent: str
    kubernetes: str
    origins: tuple[Origin, ...]
    answers: Callable[[], bool]


def ensure(
    profile: Profile,
    cni: Cni,
    cni_version: str,
    *,
    kubernetes_version: str | None = None,
    source: Source = Source.AUTO,
) -> NodeImage:
    """Make sure of the node image for `profile` with that release of its CNI, making what is missing.

    Without `kubernetes_version` it is the default of the source. Raises UsageError for an unknown version and
    ImagesUnavailable when the source cannot deliver; both say what can be done.
    """
    makers: dict[Source, Callable[[], _Plan]] = {
        Source.REGISTRY: lambda: _from_registry(profile, cni, cni_version, kubernetes_version),
        Source.SOURCE: lambda: _from_source(profile, cni, cni_version, kubernetes_version),
    }
    plan = _carry_out(makers, source)
    return NodeImage(plan.target.name, plan.agent, plan.kubernetes, plan.origins)


def ensure_agent(source: Source = Source.AUTO) -> AgentImage:
    """Make sure of the agent image alone, for suites that need no Kubernetes."""
    plan = _carry_out({Source.REGISTRY: _agent_from_registry, Source.SOURCE: _agent_from_source}, source)
    return AgentImage(plan.agent, plan.origins[0])


def tool(name: str) -> Path:
    """The path of a program that we start on the host (`kind`), of the pinned version; built when missing."""
    recipe = recipes.load(name)
    found = which(name)
    if found and recipe.version in shell.run([found, "version"], check=False).stdout.split():
        return Path(found)
    _make(built.go_programs(recipe))
    return programs.path(recipe, name)


def _carry_out(makers: dict[Source, Callable[[], _Plan]], source: Source) -> _Plan:
    """Make what is missing by the chosen source's plan; with auto by the first that has or can make it."""
    if source is not Source.AUTO:
        plan = makers[source]()
        _make(plan.target)
        return plan
    plans, refusals = _possible(makers)
    for plan in plans:
        if plan.target.present():
            return plan
    for plan in plans:
        if plan.answers():
            try:
                _make(plan.target)
            except ImagesUnavailable as error:
                refusals.append(error)
                say(f"images: not from {plan.source}: {error}")
            else:
                return plan
        else:
            say(f"images: {plan.source} does not answer")
    raise refusals[0]


def _possible(makers: dict[Source, Callable[[], _Plan]]) -> tuple[list[_Plan], list[Exception]]:
    """The plans that know the versions asked for, and what the others said."""
    plans: list[_Plan] = []
    refusals: list[Exception] = []
    for make in makers.values():
        try:
            plans.append(make())
        except UsageError as error:
            refusals.append(error)
    return plans, refusals


def _make(target: Artifact) -> None:
    """Make an artifact with all that it needs, one run at a time."""
    if target.present():
        return
    with cache.locked("build"):
        steps = missing(target)
        cache.clear_scratch()
        if any(step.artifact.lane is Lane.COMPILER for step in steps):
            cache.require_space()
        with Progress("images", len(steps)) as progress:
            carry_out(steps, progress)


def _from_source(profile: Profile, cni: Cni, cni_version: str, kubernetes_version: str | None) -> _Plan:
    kubernetes = recipes.load(f"kubernetes/{kubernetes_version}" if kubernetes_version else "kubernetes")
    agent, origin = _source_agent()
    images = {agent.name: agent}
    origins = [origin]
    for wanted in cni.images(cni_version):
        recipe = recipes.load(wanted.recipe)
        images[wanted.reference] = built.component(recipe, recipe.images[0])
        origins.append(Origin(wanted.reference, Source.SOURCE, recipe.detail))
    for recipe, image in built.control_plane(kubernetes):
        origins.append(Origin(image.reference, Source.SOURCE, recipe.detail))
    node = built.cluster_node(kubernetes)
    parts = [kubernetes, *map(recipes.load, ("kind", *built.NODE_COMPONENTS))]
    origins.append(Origin("node", Source.SOURCE, ", ".join(part.detail for part in parts)))
    target = built.profile_node(profile.name, node, images)
    return _Plan(Source.SOURCE, target, agent.name, kubernetes.version, tuple(origins), lambda: True)


def _from_registry(profile: Profile, cni: Cni, cni_version: str, kubernetes_version: str | None) -> _Plan:
    kubernetes, base = registry.node(kubernetes_version)
    agent, origin = _registry_agent()
    images = {agent.name: agent}
    origins = [origin, Origin("node", Source.REGISTRY, str(base))]
    for wanted in cni.images(cni_version):
        reference = registry.image(wanted.reference)
        images[wanted.reference] = registry.pulled(reference)
        origins.append(Origin(wanted.reference, Source.REGISTRY, str(reference)))
    target = built.profile_node(profile.name, registry.pulled(base), images)
    return _Plan(Source.REGISTRY, target, agent.name, kubernetes, tuple(origins), lambda: registry.answers(base))


def _agent_from_source() -> _Plan:
    agent, origin = _source_agent()
    return _Plan(Source.SOURCE, agent, agent.name, "", (origin,), lambda: True)


def _agent_from_registry() -> _Plan:
    agent, origin = _registry_agent()
    return _Plan(Source.REGISTRY, agent, agent.name, "", (origin,), lambda: registry.answers(registry.debian()))


def _source_agent() -> tuple[Artifact, Origin]:
    agent = built.agent_image(built.debian_base())
    return agent, Origin(agent.name, Source.SOURCE, f"our prober on Debian {debian.SUITE} by debootstrap")


def _registry_agent() -> tuple[Artifact, Origin]:
    base = registry.debian()
    agent = built.agent_image(registry.pulled(base))
    return agent, Origin(agent.name, Source.REGISTRY, f"our prober on {base}")
