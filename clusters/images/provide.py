"""One interface to images, whichever source they come from.

`ensure` hands out the node image that a cluster of a profile starts from. CNI and agent images are in its
containerd store already, so that nothing is loaded after the cluster is up.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from clusters import shell
from clusters.host.packages import which
from clusters.images import cache, mirror, plans, programs, recipes, registry
from clusters.images.mirror import Mirror
from clusters.images.plans import Origin as Origin
from clusters.images.plans import Plan
from clusters.images.plans import Source as Source
from clusters.images.source import go_programs
from clusters.images.steps import Artifact, Lane, carry_out, missing
from clusters.images.unavailable import ImagesUnavailable as ImagesUnavailable
from clusters.model import Cni, ManifestImage, Profile, UsageError, load_cni
from clusters.progress import Progress, say


@dataclass(frozen=True)
class Image:
    """An image in the local Docker: its name there, and where it came from."""

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
    """Make sure of the node image for `profile` with that release of its CNI, making what is missing.

    Without `kubernetes_version` it is the default of the source. Raises UsageError for an unknown version and
    ImagesUnavailable when the source cannot deliver; both say what can be done.
    """
    makers: dict[Source, Callable[[], Plan]] = {
        Source.REGISTRY: lambda: plans.from_registry(profile, cni, cni_version, kubernetes_version),
        Source.SOURCE: lambda: plans.from_source(profile, cni, cni_version, kubernetes_version),
    }
    plan = deliver(makers, source)
    return NodeImage(plan.target.name, plan.agent, plan.kubernetes, plan.origins())


def needed(
    profile: Profile, cni: Cni, cni_version: str, *, kubernetes_version: str | None = None
) -> tuple[list[str], list[str]]:
    """The images of a profile by name: finished ones of each source that knows the versions, and public ones.

    UsageError where no source knows them. Nothing is made or asked for.
    """
    makers: dict[Source, Callable[[], Plan]] = {
        Source.SOURCE: lambda: plans.from_source(profile, cni, cni_version, kubernetes_version),
        Source.REGISTRY: lambda: plans.from_registry(profile, cni, cni_version, kubernetes_version),
    }
    possible, refusals = _possible(makers)
    if not possible:
        raise _refusal(refusals)
    public = [
        str(registry.Reference.parse(origin.detail.rpartition(" ")[2]))
        for plan in possible
        if plan.source is Source.REGISTRY
        for origin in plan.origins()
    ]
    return list(dict.fromkeys(name for plan in possible for name in plan.finished)), public


def ensure_agent(source: Source = Source.AUTO) -> Image:
    """Make sure of the agent image alone, for suites that need no Kubernetes."""
    plan = deliver({Source.REGISTRY: plans.agent_from_registry, Source.SOURCE: plans.agent_from_source}, source)
    return Image(plan.agent, plan.origins()[0])


def ensure_docker_host(source: Source = Source.AUTO) -> Image:
    """Make sure of the image of a Docker host: Debian's Docker, to run in a privileged container."""
    return _ensure(plans.docker_host, source)


def ensure_docker_guest(source: Source = Source.AUTO) -> Image:
    """Make sure of the image of the guest: Debian's Docker and a kernel that runs as a process."""
    return _ensure(plans.docker_guest, source)


def ensure_registry(source: Source = Source.AUTO) -> Image:
    """Make sure of the image of a registry to try mirrors with: Debian's docker-registry."""
    return _ensure(plans.registry_server, source)


def ensure_etcd(source: Source = Source.AUTO) -> Image:
    """Make sure of etcd's image, with etcdctl in it: the one that clusters have by default."""
    recipe = recipes.load(f"etcd/{recipes.load('kubernetes').needs['etcd']}")
    return _ensure(lambda one: plans.program(one, recipe.name, recipe.image("etcd").reference), source)


@dataclass(frozen=True)
class KubernetesPrograms:
    """Programs of one release of Kubernetes, each in an image of its own, and the etcd that goes with them."""

    version: str
    etcd: Image
    api_server: Image
    proxy: Image


def ensure_kubernetes(version: str | None = None, source: Source = Source.AUTO) -> KubernetesPrograms:
    """Make sure of etcd, the API server and kube-proxy without a node; UsageError for an unknown version.

    Without `version` it is the recipe's own default.
    """
    kubernetes = recipes.load(f"kubernetes/{version}" if version else "kubernetes")
    etcd = recipes.load(f"etcd/{kubernetes.needs['etcd']}")

    def image(recipe: recipes.Recipe, of: str) -> Image:
        reference = recipe.image(of).reference
        return _ensure(lambda one: plans.program(one, recipe.name, reference, of), source)

    return KubernetesPrograms(
        kubernetes.version,
        etcd=image(etcd, "etcd"),
        api_server=image(kubernetes, "kube-apiserver"),
        proxy=image(kubernetes, "kube-proxy"),
    )


def ensure_flannel(version: str, source: Source = Source.AUTO) -> Image:
    """Make sure of flanneld's image of that release; UsageError for one that is not known."""
    return _ensure_of(load_cni("flannel").images(version)[0], source)


def ensure_release(cni: Cni, version: str, source: Source = Source.AUTO) -> dict[str, Image]:
    """Make sure of a release's images alone, by the names that its manifest has for them."""
    return {image.reference: _ensure_of(image, source) for image in cni.images(version)}


def _ensure_of(image: ManifestImage, source: Source) -> Image:
    return _ensure(lambda one: plans.program(one, image.recipe, image.reference, image.program), source)


def _ensure(make: Callable[[Source], Plan], source: Source) -> Image:
    plan = deliver({one: partial(make, one) for one in (Source.REGISTRY, Source.SOURCE)}, source)
    return Image(plan.target.name, plan.origins()[0])


def tool(name: str) -> Path:
    """The path of a program that we start on the host (`kind`), of the pinned version; built when missing."""
    recipe = recipes.load(name)
    found = which(name)
    if found and recipe.version in shell.run([found, "version"], check=False).stdout.split():
        return Path(found)
    _make(go_programs(recipe))
    return programs.path(recipe, name)


def deliver(makers: dict[Source, Callable[[], Plan]], source: Source) -> Plan:
    """Make what is missing by the chosen source's plan; with auto by the first that has or can make it.

    Where a mirror is chosen, everything comes from there, whatever the source.
    """
    if (through := mirror.chosen()) is not None:
        return _from_mirror(makers, through)
    if source is not Source.AUTO:
        plan = makers[source]()
        _make(plan.target)
        return plan
    possible, refusals = _possible(makers)
    for plan in possible:
        if plan.target.present():
            return plan
    for plan in possible:
        try:
            plan.reach()
            _make(plan.target)
        except ImagesUnavailable as error:
            say(f"images: not from {plan.source}: {error}")
            refusals[plan.source] = error
        else:
            return plan
    raise _refusal(refusals)


def _from_mirror(makers: dict[Source, Callable[[], Plan]], through: Mirror) -> Plan:
    """What is here already, else what somebody has put into the mirror, else made of the images that it has."""
    possible, refusals = _possible(makers)
    if not possible:
        raise _refusal(refusals)
    for plan in possible:
        if plan.target.present():
            return plan
    for plan in possible:
        if through.has(plan.target.name):
            return _pulled(plan, through)
        refusals[plan.source] = ImagesUnavailable(f"it does not have {plan.target.name}")
    for plan in (plan for plan in possible if plan.source is Source.REGISTRY):
        try:
            plan.reach()
            _make(plan.target)
        except ImagesUnavailable as error:
            refusals[plan.source] = ImagesUnavailable(f"{refusals[plan.source]}, and cannot be made: {error}")
        else:
            return plan
    raise ImagesUnavailable(
        f"the mirror {through.address} has not what is needed\n{_refusal(refusals)}\n"
        f"Fill it from where images are: python -m clusters images PROFILE --push {through.address}"
    )


def _pulled(plan: Plan, through: Mirror) -> Plan:
    """The plan's images, brought from the mirror; the same plan, which says so."""
    with cache.locked("build"), Progress("images", len(plan.finished)) as progress:
        came = tuple(_brought(name, through, progress) for name in plan.finished)
    return replace(plan, origins=lambda: (*plan.origins(), *came))


def _brought(name: str, through: Mirror, progress: Progress) -> Origin:
    with progress.step(f"pull {name}"):
        return Origin(name, Source.REGISTRY, through.pull(name))


def _possible(makers: dict[Source, Callable[[], Plan]]) -> tuple[list[Plan], dict[Source, Exception]]:
    """The plans of those that know the versions asked for, and what the others said."""
    possible: list[Plan] = []
    refusals: dict[Source, Exception] = {}
    for source, make in makers.items():
        try:
            possible.append(make())
        except UsageError as error:
            refusals[source] = error
    return possible, refusals


def _refusal(refusals: dict[Source, Exception]) -> Exception:
    """One error out of what every source said: about usage only where all of them say so."""
    kind = UsageError if all(isinstance(error, UsageError) for error in refusals.values()) else ImagesUnavailable
    return kind("\n".join(f"from {source}: {error}" for source, error in refusals.items()))


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
