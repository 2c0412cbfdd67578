"""Images from source: what is made of what, down to the Go modules and Debian."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from clusters.images import agent, assemble, debian, golang, local, programs, store
from clusters.images.recipes import SCRATCH, USERLAND, ImageRecipe, Recipe, digest, load, tree
from clusters.images.steps import Artifact, Lane

NODE_COMPONENTS = ("containerd", "runc", "cri-tools", "cni-plugins")
"""Whose programs a node has, besides Kubernetes' own."""


def debian_base() -> Artifact:
    """The Debian that everything stands on."""
    return _image("Debian base", debian.reference(), debian.bootstrap)


def layer(name: str, base: Artifact) -> Artifact:
    """A context of ours on a base image."""
    tag = agent.layer(name, base.name)
    return _image(name, tag, lambda: agent.build_layer(name, base.name, tag), base)


def agent_tools(base: Artifact) -> Artifact:
    """What the agent's image is before the prober's code comes in."""
    return layer("agent-tools", layer(USERLAND, base))


def docker_host(base: Artifact) -> Artifact:
    """A Docker daemon for a container, on a Debian base of either source."""
    return layer("docker-host", agent_tools(base))


def docker_guest(base: Artifact) -> Artifact:
    """The same with a kernel of its own."""
    return layer("docker-guest", docker_host(base))


def registry_server(base: Artifact) -> Artifact:
    """A registry for a container, on a Debian base of either source."""
    return layer("registry", base)


def agent_image(base: Artifact) -> Artifact:
    """The agent, prober and tools, on a Debian base of either source."""
    tools, resolvers = agent_tools(base), layer("resolvers", layer("toolchain", base))
    tag = agent.reference(tools.name, resolvers.name)
    return _image("agent", tag, lambda: agent.build(tools.name, resolvers.name, tag), tools, resolvers)


def sources(recipe: Recipe) -> Artifact:
    """All Go modules of a recipe, in our module cache. Go itself knows what is there."""
    return Artifact(
        name=f"sources of {recipe.name}",
        shown=f"{recipe.name} sources",
        lane=Lane.NETWORK,
        present=lambda: False,
        make=lambda: golang.find().download(recipe),
    )


def go_programs(recipe: Recipe) -> Artifact:
    """The Go programs of a recipe."""
    toolchain = layer("toolchain", debian_base())
    return Artifact(
        name=str(programs.folder(recipe)),
        shown=f"{recipe.name} compiled",
        lane=Lane.COMPILER,
        present=programs.folder(recipe).is_dir,
        make=lambda: programs.compile_go(recipe, golang.find(), toolchain.name),
        needs=(sources(recipe), toolchain) if recipe.cgo else (sources(recipe),),
    )


def c_programs(recipe: Recipe) -> Artifact:
    """The C programs of a recipe."""
    toolchain = layer("toolchain", debian_base())
    return Artifact(
        name=str(programs.c_folder(recipe)),
        shown=f"{recipe.name} compiled (C)",
        lane=Lane.DISK,
        present=programs.c_folder(recipe).is_dir,
        make=lambda: programs.compile_c(recipe, golang.find(), toolchain.name),
        needs=(sources(recipe), toolchain),
    )


def component(recipe: Recipe, image: ImageRecipe) -> Artifact:
    """An image made of a recipe's programs."""
    program = next(iter(image.files))
    base = _base(image)
    under = base.name if base else SCRATCH
    tag = f"netproof/{recipe.component}-{program}:{digest([under, recipe.hash, image.model_dump_json()])}"
    made_of = c_programs(recipe) if program in recipe.c else go_programs(recipe)
    return _image(
        f"image of {program} {recipe.version}",
        tag,
        lambda: assemble.component(golang.find(), recipe, image, under, tag),
        made_of,
        *([base] if base else []),
    )


def _base(image: ImageRecipe) -> Artifact | None:
    """What lies under an image; None for nothing."""
    if image.base == SCRATCH:
        return None
    userland = layer(USERLAND, debian_base())
    return userland if image.base == USERLAND else layer(image.base, userland)


def bare_node(kubernetes: Recipe) -> Artifact:
    """A kind node with all its programs and no images in its store."""
    kind = load("kind")
    recipes = [kubernetes, *map(load, NODE_COMPONENTS)]
    base = layer("node-system", debian_base())
    known = [image.reference for _, image in control_plane(kubernetes)]
    hashes = [recipe.hash for recipe in [kind, *recipes]]
    tag = f"netproof/node-bare:{digest([base.name, *hashes, *tree(agent.CONTEXTS / 'node')])}"
    return _image(
        "node without images",
        tag,
        lambda: assemble.node(golang.find(), kind, recipes, known, base.name, tag),
        *map(go_programs, recipes),
        sources(kind),
        base,
    )


def cluster_node(kubernetes: Recipe) -> Artifact:
    """A node with the control plane's images in its store, under the names that kubeadm asks for."""
    base = bare_node(kubernetes)
    images = {image.reference: component(recipe, image) for recipe, image in control_plane(kubernetes)}
    return _stored("node with Kubernetes' images", "node-kubernetes", base, images)


def control_plane(kubernetes: Recipe) -> list[tuple[Recipe, ImageRecipe]]:
    """The images that every cluster of that version has."""
    recipes = [kubernetes, *(load(f"{component}/{version}") for component, version in kubernetes.needs.items())]
    return [(recipe, image) for recipe in recipes for image in recipe.images]


def profile_node(name: str, base: Artifact, cni: Mapping[str, Artifact], agent_of: Artifact) -> Artifact:
    """The node of a profile: `cni` maps the names of the CNI's images on the nodes to what they are.

    The agent is put in last and on its own, so that changing its code costs seconds: the tools below it, which are
    most of it, are in the store already.
    """
    tools = {tool.name: tool for tool in agent_of.needs}
    below = _stored(f"node with the CNI of {name}", f"node-cni-{name}", base, {**cni, **tools})
    return _stored(f"node for {name}", f"node-{name}", below, {agent_of.name: agent_of})


def _stored(shown: str, repository: str, base: Artifact, images: Mapping[str, Artifact]) -> Artifact:
    parts = [part for name, image in sorted(images.items()) for part in (name, image.name)]
    tag = f"netproof/{repository}:{digest([base.name, *parts])}"
    named = {name: image.name for name, image in images.items()}
    return _image(shown, tag, lambda: store.put(base.name, named, tag), base, *images.values())


def _image(shown: str, tag: str, make: Callable[[], object], *needs: Artifact) -> Artifact:
    return Artifact(tag, shown, Lane.DISK, lambda: local.have(tag), make, needs)
