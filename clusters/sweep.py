"""What runs that are over left behind, removed: clusters by their record, all else by its label."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, replace

from docker import DockerClient
from docker.errors import NotFound

from clusters import cluster
from clusters.host import client
from clusters.labels import LABEL, is_over


@dataclass(frozen=True)
class Swept:
    """The names of what was removed."""

    clusters: tuple[str, ...] = ()
    containers: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()

    def __str__(self) -> str:
        parts = (f"{kind} {', '.join(names)}" for kind, names in vars(self).items() if names)
        return "; ".join(parts) or "nothing"


def sweep() -> Swept:
    """Remove what belongs to a run that is over, except clusters that are kept on purpose."""
    clusters = tuple(cluster.sweep())
    with closing(client()) as docker:
        return replace(_labelled(docker), clusters=clusters)


def is_left_behind(labels: Mapping[str, str]) -> bool:
    """Whether what carries these labels is of a run that is over."""
    return is_over(labels.get(LABEL, ""))


def _labelled(docker: DockerClient) -> Swept:
    """Containers first, since networks and volumes are not let go while one uses them."""
    ours = {"label": LABEL}
    containers = {
        found["Id"]: found["Names"][0].removeprefix("/")
        for found in docker.api.containers(all=True, filters=ours)
        if is_left_behind(found["Labels"])
    }
    for identity in containers:
        with suppress(NotFound):
            docker.api.remove_container(identity, force=True, v=True)
    networks = {
        found["Id"]: found["Name"]
        for found in docker.api.networks(filters=ours)
        if is_left_behind(found["Labels"])
    }
    for identity in networks:
        with suppress(NotFound):
            docker.api.remove_network(identity)
    volumes = [
        found["Name"]
        for found in docker.api.volumes(filters=ours)["Volumes"] or []
        if is_left_behind(found["Labels"] or {})
    ]
    for name in volumes:
        with suppress(NotFound):
            docker.api.remove_volume(name, force=True)
    return Swept(containers=tuple(containers.values()), networks=tuple(networks.values()), volumes=tuple(volumes))
