"""Upstream's manifests as objects, and the few things that are done to them."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import yaml

from clusters.model import Change, Cni, Objects, Profile, UsageError
from clusters.upstream import Document, fetch

OWN_IMAGE = "netproof/agent"
"""What a manifest calls netproof's own image, which every node has: Python, iproute2 and a shell."""


def upstream(document: Document, images: set[str]) -> Objects:
    """The objects of a manifest as its release ships it; UsageError unless its containers run these images."""
    objects = [item for item in yaml.safe_load_all(fetch(document)) if item]
    named = images_of(objects)
    if named != images:
        raise UsageError(
            f"{document.path} of {document.repository} {document.version} names other images than its release"
            f" here: {', '.join(sorted(named ^ images))}"
        )
    return objects


def images_of(objects: Objects) -> set[str]:
    """The images that the containers of these objects run."""
    return {container["image"] for item in objects for container in _containers(item)}


def changed(objects: Objects, *changes: Change) -> Objects:
    """The objects after these changes, one after the other."""
    for change in changes:
        objects = change(objects)
    return objects


def of(cni: Cni, profile: Profile, version: str) -> Objects:
    """The objects to apply for a release: upstream's own, with the declared changes."""
    return changed(cni.upstream(profile, version), *cni.changes(profile))


def find(objects: Objects, kind: str, name: str) -> dict[str, Any]:
    """The object of that kind and name; LookupError where there is none."""
    for item in objects:
        if (item["kind"], item["metadata"]["name"]) == (kind, name):
            return item
    raise LookupError(f"the manifest has no {kind} {name}")


def container(objects: Objects, daemon: str, name: str) -> dict[str, Any]:
    """A container of a DaemonSet, one that runs once at the start included; LookupError where there is none."""
    for found in _containers(find(objects, "DaemonSet", daemon)):
        if found["name"] == name:
            return found
    raise LookupError(f"the DaemonSet {daemon} has no container {name}")


def with_environment(daemon: str, name: str, variables: dict[str, str]) -> Change:
    """The change that sets variables of a DaemonSet's container, in place of those that the manifest sets."""

    def change(objects: Objects) -> Objects:
        copy = deepcopy(objects)
        found = container(copy, daemon, name)
        kept = [it for it in found.get("env", []) if it["name"] not in variables]
        found["env"] = kept + [{"name": key, "value": value} for key, value in variables.items()]
        return copy

    return change


def with_images(instead: dict[str, str]) -> Change:
    """The change that has containers run other images: by the name that the manifest has, the one to run."""

    def change(objects: Objects) -> Objects:
        copy = deepcopy(objects)
        for item in copy:
            for found in _containers(item):
                found["image"] = instead.get(found["image"], found["image"])
        return copy

    return change


def _containers(item: dict[str, Any]) -> list[dict[str, Any]]:
    """Every container of a workload; none of what is no workload."""
    template = item.get("spec", {}).get("template", {}) if item["kind"] in ("DaemonSet", "Deployment") else {}
    pod = template.get("spec", {})
    return [*pod.get("initContainers", []), *pod.get("containers", [])]
