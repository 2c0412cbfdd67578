"""kind, driven: create, delete, look, and collect logs. What a cluster is made of is decided elsewhere.

kind is always told which kubeconfig and which Docker network to use, so that it writes to no file of the user's
and joins no network that other clusters are on.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from clusters import network, shell
from clusters.host import client
from clusters.images.provide import tool
from clusters.waiting import TIMEOUTS

NODE_LABEL = "io.x-k8s.kind.cluster"
"""kind's own label on its nodes; the value is the cluster's name."""


def version() -> str:
    """The version of kind itself, as "v0.33.0"."""
    return "v" + shell.run([tool("kind"), "version", "-q"]).stdout.strip()


def create(name: str, config: Path, kubeconfig: Path, *, log: Path) -> None:
    """Create a cluster on the network of its name, and return as soon as its nodes have joined.

    Without a CNI they are not ready then.

    Everything stays as it is on failure (CommandFailed), for `export_logs` to look at.
    """
    words = (f"--name={name}", f"--config={config}", f"--kubeconfig={kubeconfig}", "--wait=0s", "--retain")
    try:
        _kind("create", "cluster", *words, on=name, log=log)
    except shell.CommandFailed as error:
        said = [line for line in log.read_text().splitlines() if line.startswith("ERROR")]
        raise shell.CommandFailed(error.command, "; ".join(said) or error.reason) from error
    kubeconfig.chmod(0o600)


def delete(name: str, kubeconfig: Path) -> None:
    """Remove a cluster's nodes and network, or what there is of them."""
    _kind("delete", "cluster", f"--name={name}", f"--kubeconfig={kubeconfig}", on=name)
    network.remove(name)


def export_logs(name: str, target: Path) -> None:
    """Collect what `kind export logs` knows of the nodes into a folder, as far as it can be had."""
    target.mkdir(parents=True, exist_ok=True)
    _kind("export", "logs", str(target), f"--name={name}", on=name, check=False)


def standing() -> set[str]:
    """The names of all kind clusters on the engine that have a node, whoever made them."""
    return {name for name, _ in _nodes()}


def never_started() -> set[str]:
    """Those of which no node was ever started: their creation was cut off, and Docker went on with it."""
    nodes = _nodes()
    return {name for name, _ in nodes} - {name for name, state in nodes if state != "created"}


def _nodes() -> list[tuple[str, str]]:
    """Of every node of any kind cluster the cluster's name and the container's state."""
    with closing(client()) as docker:
        found = docker.api.containers(all=True, filters={"label": NODE_LABEL})
    return [(node["Labels"][NODE_LABEL], node["State"]) for node in found]


def _kind(*words: str, on: str, check: bool = True, log: Path | None = None) -> None:
    shell.run(
        [tool("kind"), *words],
        check=check,
        timeout=TIMEOUTS.cluster_up,
        log=log,
        env={"KIND_EXPERIMENTAL_DOCKER_NETWORK": on, "KIND_EXPERIMENTAL_PROVIDER": "docker"},
    )
