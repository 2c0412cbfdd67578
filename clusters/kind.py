"""kind, driven: create, delete, look, and collect logs. What a cluster is made of is decided elsewhere.

kind is always told which kubeconfig and which Docker network to use, so that it writes to no file of the user's
and joins no network that other clusters are on.
"""

from __future__ import annotations

from contextlib import closing
from hashlib import sha256
from ipaddress import IPv6Network
from pathlib import Path

from docker.errors import NotFound
from docker.types import IPAMConfig, IPAMPool

from clusters import shell
from clusters.host import client
from clusters.images.provide import tool
from clusters.labels import CLUSTER_LABEL
from clusters.waiting import TIMEOUTS

NODE_LABEL = "io.x-k8s.kind.cluster"
"""kind's own label on its nodes; the value is the cluster's name."""


def version() -> str:
    """The version of kind itself, as "v0.33.0"."""
    return "v" + shell.run([tool("kind"), "version", "-q"]).stdout.strip()


def create(name: str, config: Path, kubeconfig: Path, *, ipv6: bool, log: Path) -> None:
    """Create a cluster and return as soon as its nodes have joined; without a CNI they are not ready then.

    Everything stays as it is on failure (CommandFailed), for `export_logs` to look at.
    """
    _create_network(name, ipv6=ipv6)
    words = (f"--name={name}", f"--config={config}", f"--kubeconfig={kubeconfig}", "--wait=0s", "--retain")
    try:
        _kind("create", "cluster", *words, network=name, log=log)
    except shell.CommandFailed as error:
        said = [line for line in log.read_text().splitlines() if line.startswith("ERROR")]
        raise shell.CommandFailed(error.command, "; ".join(said) or error.reason) from error
    kubeconfig.chmod(0o600)


def delete(name: str, kubeconfig: Path) -> None:
    """Remove a cluster's nodes and network, or what there is of them."""
    _kind("delete", "cluster", f"--name={name}", f"--kubeconfig={kubeconfig}", network=name)
    _remove_network(name)


def export_logs(name: str, target: Path) -> None:
    """Collect what `kind export logs` knows of the nodes into a folder, as far as it can be had."""
    target.mkdir(parents=True, exist_ok=True)
    _kind("export", "logs", str(target), f"--name={name}", network=name, check=False)


def standing() -> set[str]:
    """The names of all kind clusters on the engine that have a node, whoever made them."""
    with closing(client()) as docker:
        nodes = docker.api.containers(all=True, filters={"label": NODE_LABEL})
    return {node["Labels"][NODE_LABEL] for node in nodes}


def _kind(*words: str, network: str, check: bool = True, log: Path | None = None) -> None:
    shell.run(
        [tool("kind"), *words],
        check=check,
        timeout=TIMEOUTS.cluster_up,
        log=log,
        env={"KIND_EXPERIMENTAL_DOCKER_NETWORK": network, "KIND_EXPERIMENTAL_PROVIDER": "docker"},
    )


def _create_network(name: str, *, ipv6: bool) -> None:
    """A network of the cluster's own, with the MTU of the engine's default bridge, as kind would make it."""
    _remove_network(name)
    with closing(client()) as docker:
        try:
            options = docker.networks.get("bridge").attrs["Options"] or {}
        except NotFound:
            options = {}
        mtu = "com.docker.network.driver.mtu"
        docker.networks.create(
            name,
            driver="bridge",
            labels={CLUSTER_LABEL: name},
            options={mtu: options[mtu]} if mtu in options else {},
            enable_ipv6=ipv6,
            ipam=IPAMConfig(pool_configs=[IPAMPool(subnet=str(_local_subnet(name)))]) if ipv6 else None,
            check_duplicate=True,
        )


def _remove_network(name: str) -> None:
    """Remove the cluster's network, taking off it whatever container is still there."""
    with closing(client()) as docker:
        for network in docker.networks.list(filters={"label": f"{CLUSTER_LABEL}={name}"}):
            network.reload()
            for container in network.containers:
                network.disconnect(container, force=True)
            network.remove()


def _local_subnet(name: str) -> IPv6Network:
    """A /64 out of the unique local addresses, always the same for the same name."""
    return IPv6Network((b"\xfd" + sha256(name.encode()).digest()[:7] + bytes(8), 64))
