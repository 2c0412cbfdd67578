"""A cluster's own Docker network, whose containers are told a gateway that is none of the host's.

Docker tells the address that is reserved under the name DefaultGatewayIPv4 (or 6) to every container as its
default gateway. The cluster's drain takes that address over, so that nothing is handed on to the host and from
there to a real network.
"""

from __future__ import annotations

from contextlib import closing
from hashlib import sha256
from ipaddress import IPv4Network, IPv6Network, ip_network

from docker import DockerClient
from docker.errors import NotFound
from docker.types import IPAMConfig, IPAMPool

from clusters.host import client
from clusters.labels import CLUSTER_LABEL

_MTU = "com.docker.network.driver.mtu"


def create(name: str, *, ipv6: bool) -> dict[int, str]:
    """Make the network anew, with the MTU of the engine's default bridge; by family the gateway that is told."""
    remove(name)
    with closing(client()) as docker:
        subnets: list[IPv4Network | IPv6Network] = [_unused_subnet(docker, name)]
        subnets += [_local_subnet(name)] if ipv6 else []
        gateways: dict[int, str] = {subnet.version: str(subnet[-2]) for subnet in subnets}
        pools = [
            IPAMPool(
                subnet=str(subnet),
                aux_addresses={f"DefaultGatewayIPv{subnet.version}": gateways[subnet.version]},
            )
            for subnet in subnets
        ]
        docker.networks.create(
            name,
            driver="bridge",
            labels={CLUSTER_LABEL: name},
            options=_options(docker),
            enable_ipv6=ipv6,
            ipam=IPAMConfig(pool_configs=pools),
            check_duplicate=True,
        )
    return gateways


def remove(name: str) -> None:
    """Remove the cluster's network with our own containers on it, taking off it whatever else is still there."""
    with closing(client()) as docker:
        for network in docker.networks.list(filters={"label": f"{CLUSTER_LABEL}={name}"}):
            network.reload()
            for container in network.containers:
                if container.labels.get(CLUSTER_LABEL) == name:
                    container.remove(force=True, v=True)
                else:
                    network.disconnect(container, force=True)
            network.remove()


def _options(docker: DockerClient) -> dict[str, str]:
    try:
        options = docker.networks.get("bridge").attrs["Options"] or {}
    except NotFound:
        return {}
    return {_MTU: options[_MTU]} if _MTU in options else {}


def _unused_subnet(docker: DockerClient, name: str) -> IPv4Network:
    """The subnet that Docker itself would choose now, which knows what the host has in use."""
    trial = docker.networks.create(f"{name}-trial", driver="bridge", labels={CLUSTER_LABEL: name})
    try:
        trial.reload()
        return next(
            found
            for pool in trial.attrs["IPAM"]["Config"]
            if isinstance(found := ip_network(pool["Subnet"]), IPv4Network)
        )
    finally:
        trial.remove()


def _local_subnet(name: str) -> IPv6Network:
    """A /64 out of the unique local addresses, always the same for the same name."""
    return IPv6Network((b"\xfd" + sha256(name.encode()).digest()[:7] + bytes(8), 64))
