"""How each source would make what is asked for; nothing is made or looked up here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from clusters import metallb
from clusters.images import debian, recipes, registry
from clusters.images import source as built
from clusters.images.steps import Artifact
from clusters.model import Cni, LoadBalancer, ManifestImage, Profile


class Source(StrEnum):
    """Where images may come from: the value of `--images`."""

    AUTO = "auto"
    """What is on the machine already, then the registry if it answers, then source."""
    REGISTRY = "registry"
    SOURCE = "source"


GIVEN = "given"
"""The origin of an image that the user named."""


@dataclass(frozen=True)
class Origin:
    """Where one image came from, for the report.

    `image` is the name it is used under, `source` says registry, source or given, `detail` is the reference with
    its digest, or the modules with their versions that it was compiled from.
    """

    image: str
    source: str
    detail: str


@dataclass(frozen=True)
class Plan:
    """How one source would make what is asked for.

    `target` is the image, `agent` the name of the agent's, `kubernetes` the version inside ("" where there is
    none). `origins` says where each image came from, once the target is there. `reach` raises ImagesUnavailable
    when the source does not answer.
    """

    source: Source
    target: Artifact
    agent: str
    kubernetes: str
    origins: Callable[[], tuple[Origin, ...]]
    reach: Callable[[], None] = lambda: None

    @property
    def finished(self) -> tuple[str, ...]:
        """The images that the local Docker must have for it, by their names."""
        return tuple(dict.fromkeys(name for name in (self.agent, self.target.name) if name))


def from_source(profile: Profile, cni: Cni, cni_version: str, kubernetes_version: str | None) -> Plan:
    """The node image of a profile, compiled here; UsageError for a version without a recipe."""
    kubernetes = recipes.load(f"kubernetes/{kubernetes_version}" if kubernetes_version else "kubernetes")
    agent, origins = _source_agent()
    images: dict[str, Artifact] = {}
    for wanted in _in_the_store(profile, cni, cni_version):
        recipe = recipes.load(wanted.recipe)
        images[wanted.reference] = built.component(recipe, recipe.image(wanted.program))
        origins.append(Origin(wanted.reference, Source.SOURCE, recipe.detail))
    for recipe, image in built.control_plane(kubernetes):
        origins.append(Origin(image.reference, Source.SOURCE, recipe.detail))
    parts = [kubernetes, *map(recipes.load, ("kind", *built.NODE_COMPONENTS))]
    origins.append(Origin("node", Source.SOURCE, ", ".join(part.detail for part in parts)))
    target = built.profile_node(profile.name, built.cluster_node(kubernetes), images, agent)
    return Plan(Source.SOURCE, target, agent.name, kubernetes.version, lambda: tuple(origins))


def from_registry(profile: Profile, cni: Cni, cni_version: str, kubernetes_version: str | None) -> Plan:
    """The node image of a profile, from registries; UsageError for a version without a pinned node image."""
    kubernetes, base = registry.node(kubernetes_version)
    agent = _registry_agent()
    images: dict[str, Artifact] = {}
    pulled = {"node": base}
    for wanted in _in_the_store(profile, cni, cni_version):
        pulled[wanted.reference] = registry.image(wanted.reference)
        images[wanted.reference] = registry.pulled(pulled[wanted.reference])

    def origins() -> tuple[Origin, ...]:
        rest = (Origin(name, Source.REGISTRY, str(registry.exact(one))) for name, one in pulled.items())
        return (_registry_agent_origin(agent), *rest)

    target = built.profile_node(profile.name, registry.pulled(base), images, agent)
    return Plan(Source.REGISTRY, target, agent.name, kubernetes, origins, lambda: registry.reach(base))


def _in_the_store(profile: Profile, cni: Cni, cni_version: str) -> tuple[ManifestImage, ...]:
    """What the nodes of a profile have in their store besides Kubernetes' own images and the agent's."""
    balancer = metallb.IMAGES if profile.load_balancer is LoadBalancer.METALLB else ()
    return (*cni.images(cni_version), *balancer)


def agent_from_source() -> Plan:
    """The agent's image on a Debian made here."""
    agent, origins = _source_agent()
    return Plan(Source.SOURCE, agent, agent.name, "", lambda: tuple(origins))


def agent_from_registry() -> Plan:
    """The agent's image on a registry's Debian."""
    agent = _registry_agent()
    return Plan(
        source=Source.REGISTRY,
        target=agent,
        agent=agent.name,
        kubernetes="",
        origins=lambda: (_registry_agent_origin(agent),),
        reach=lambda: registry.reach(registry.debian()),
    )


def docker_host(source: Source) -> Plan:
    """Debian's Docker for a container, on that source's Debian."""
    return _layer(source, built.docker_host, "Debian's Docker")


def docker_guest(source: Source) -> Plan:
    """The same with a kernel that runs as a process."""
    return _layer(source, built.docker_guest, "Debian's Docker and User-Mode Linux")


def registry_server(source: Source) -> Plan:
    """Debian's docker-registry on that source's Debian."""
    return _layer(source, built.registry_server, "Debian's docker-registry")


def program(source: Source, recipe_name: str, reference: str, of: str = "") -> Plan:
    """A component's image on its own: compiled here, or the one that registries have under `reference`.

    `of` is a program in it, where the component has several images.
    """
    if source is Source.SOURCE:
        recipe = recipes.load(recipe_name)
        image = built.component(recipe, recipe.image(of))
        origin = Origin(reference, source, recipe.detail)
        return Plan(source, image, "", "", lambda: (origin,))
    wanted = registry.image(reference)

    def origins() -> tuple[Origin, ...]:
        return (Origin(reference, source, str(registry.exact(wanted))),)

    return Plan(source, registry.pulled(wanted), "", "", origins, lambda: registry.reach(wanted))


def _layer(source: Source, make: Callable[[Artifact], Artifact], what: str) -> Plan:
    """Packages on a Debian base."""
    if source is Source.SOURCE:
        image = make(built.debian_base())
        origin = Origin(image.name, source, f"{what} on Debian {debian.SUITE} by debootstrap")
        return Plan(source, image, "", "", lambda: (origin,))
    base = registry.debian()
    image = make(registry.pulled(base))
    origin = Origin(image.name, source, f"{what} on {base}")
    return Plan(source, image, "", "", lambda: (origin,), lambda: registry.reach(base))


def _source_agent() -> tuple[Artifact, list[Origin]]:
    agent = built.agent_image(built.debian_base())
    return agent, [Origin(agent.name, Source.SOURCE, f"our prober on Debian {debian.SUITE} by debootstrap")]


def _registry_agent() -> Artifact:
    return built.agent_image(registry.pulled(registry.debian()))


def _registry_agent_origin(agent: Artifact) -> Origin:
    return Origin(agent.name, Source.REGISTRY, f"our prober on {registry.debian()}")
