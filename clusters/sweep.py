"""What runs that are over left behind, removed: containers, networks and volumes by their label."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass

from docker import DockerClient
from docker.errors import NotFound

from clusters.host import client
from clusters.labels import KEEP_LABEL, LABEL, RunId


@dataclass(frozen=True)
class Swept:
    """The names of what was removed."""

    containers: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()

    def __str__(self) -> str:
        parts = (("container", self.containers), ("network", self.networks), ("volume", self.volumes))
        return "; ".join(f"{kind} {', '.join(names)}" for kind, names in parts if names) or "nothing"


def sweep() -> Swept:
    """Remove what carries the label of a run that is over, unless it is marked as kept."""
    with closing(client()) as docker:
        return _sweep(docker, is_left_behind)


def remove_run(run: RunId) -> Swept:
    """Remove everything of one run, kept or not: for the run itself, at its end."""
    with closing(client()) as docker:
        return _sweep(docker, lambda labels: labels.get(LABEL) == str(run))


def is_left_behind(labels: Mapping[str, str]) -> bool:
    """Whether what carries these labels is of a run that is over, and not kept on purpose."""
    if KEEP_LABEL in labels:
        return False
    try:
        return not RunId.parse(labels[LABEL]).alive()
    except (KeyError, ValueError):
        return False


def _sweep(docker: DockerClient, doomed: Callable[[Mapping[str, str]], bool]) -> Swept:
    """Containers first, since networks and volumes are not let go while one uses them."""
    ours = {"label": LABEL}
    containers = {
        found["Id"]: found["Names"][0].removeprefix("/")
        for found in docker.api.containers(all=True, filters=ours)
        if doomed(found["Labels"])
    }
    for identity in containers:
        with suppress(NotFound):
            docker.api.remove_container(identity, force=True, v=True)
    networks = {
        found["Id"]: found["Name"] for found in docker.api.networks(filters=ours) if doomed(found["Labels"])
    }
    for identity in networks:
        with suppress(NotFound):
            docker.api.remove_network(identity)
    volumes = [
        found["Name"]
        for found in docker.api.volumes(filters=ours)["Volumes"] or []
        if doomed(found["Labels"] or {})
    ]
    for name in volumes:
        with suppress(NotFound):
            docker.api.remove_volume(name, force=True)
    return Swept(tuple(containers.values()), tuple(networks.values()), tuple(volumes))
