"""Removing images and programs that nothing leads to any more: code, a package list or a version changed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

from clusters.images import cache, local, plans, registry
from clusters.images.recipes import load, versions
from clusters.images.source import go_programs
from clusters.images.steps import Artifact
from clusters.model import load_cni, load_profile, profile_names


def prune() -> list[str]:
    """Remove them; the names of what was removed. An image that a container uses is left alone."""
    with cache.locked("build"):
        wanted = {name for target in _targets() for name in names(target)}
        removed = [image for image in local.ours() if image not in wanted and local.remove(image)]
        for folder in cache.folder("programs").iterdir():
            if str(folder) not in wanted:
                shutil.rmtree(folder)
                removed.append(str(folder))
    return removed


def names(target: Artifact) -> set[str]:
    """The names of an artifact and of all that it is made of."""
    found: set[str] = set()
    waiting = [target]
    while waiting:
        artifact = waiting.pop()
        if artifact.name not in found:
            found.add(artifact.name)
            waiting.extend(artifact.needs)
    return found


def _targets() -> Iterator[Artifact]:
    """Everything that can be asked for: every profile with every version, from both sources."""
    yield plans.agent_from_source().target
    yield plans.agent_from_registry().target
    for source in (plans.Source.SOURCE, plans.Source.REGISTRY):
        yield plans.docker_guest(source).target
        yield plans.registry_server(source).target
    yield go_programs(load("kind"))
    for name in profile_names():
        profile = load_profile(name)
        cni = load_cni(profile.cni)
        for version in cni.versions:
            for kubernetes in versions("kubernetes"):
                yield plans.from_source(profile, cni, version, kubernetes).target
            for kubernetes in registry.pins().node:
                yield plans.from_registry(profile, cni, version, kubernetes).target
