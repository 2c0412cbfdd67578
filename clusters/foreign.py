"""A cluster of somebody else's: found by a kubeconfig file, checked as it is, and left as it was."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

from clusters.api import POD, Api, ApiRefused, Kind
from clusters.cluster import Cluster
from clusters.datapath import Datapath, RoutedVeth
from clusters.images.provide import NodeImage
from clusters.model import KubeProxy, Profile, UsageError
from clusters.nodes import Node, nodes

SERVICE_CIDR = Kind("networking.k8s.io/v1", "ServiceCIDR")
NAME = "foreign"
"""What stands where else a profile's name does, and a CNI's."""

_KEEPS = TemporaryDirectory(prefix="netproof-")
"""What clients keep while they live; it goes with this process."""

IPNetwork = IPv4Network | IPv6Network


def found(kubeconfig: Path, context: str | None, agent: str) -> Cluster:
    """The cluster behind that file, of which nothing is known but what its API server says.

    `agent` is the agent's image, by the name under which its nodes have it or can pull it. UsageError where nobody
    answers, or where there are fewer than three nodes.
    """
    try:
        if not isinstance(yaml.safe_load(kubeconfig.read_text()), dict):
            raise UsageError(f"--kubeconfig: {kubeconfig} is no kubeconfig")
        api = Api(kubeconfig, context, Path(_KEEPS.name))
        machines = nodes(api)
    except yaml.YAMLError as error:
        raise UsageError(f"--kubeconfig: {kubeconfig} is no kubeconfig: {error}") from error
    except (ApiRefused, OSError) as error:
        raise UsageError(f"--kubeconfig: {error}") from error
    if len(machines) < 3:
        raise UsageError(
            f"--kubeconfig: three nodes are needed to tell placements apart, and there are {len(machines)}"
        )
    return Cluster(
        name=context or NAME,
        profile=_profile(api, machines),
        cni=NAME,
        cni_version="",
        features=frozenset(),
        datapath=Datapath(RoutedVeth("")),
        versions={"kubernetes": api.version()},
        image=NodeImage("", agent, api.version(), ()),
        nodes=machines,
        drain="",
        kubeconfig=kubeconfig,
        api=api,
        bring_up=None,
        adopted=True,
    )


def _profile(api: Api, machines: Sequence[Node]) -> Profile:
    """What a profile would say of it: the ranges that its pods and Services have addresses of."""
    return Profile(
        name=NAME,
        summary="a cluster of somebody else's",
        cni=NAME,
        kube_proxy=KubeProxy.IPTABLES,
        workers=len(machines) - 1,
        pod_subnet=_pods(api, machines),
        service_subnet=_services(api),
    )


def _pods(api: Api, machines: Sequence[Node]) -> tuple[IPNetwork, ...]:
    """The smallest range of each family that has every node's podCIDR, and every pod on a network of its own."""
    known = [cidr for node in machines for cidr in node.pod_cidrs]
    for pod in api.everywhere(POD):
        if not pod["spec"].get("hostNetwork"):
            known += [ip_network(it["ip"]) for it in pod.get("status", {}).get("podIPs", [])]
    if not known:
        raise UsageError("--kubeconfig: no node has a podCIDR, and no pod an address: its CNI does not work yet")
    return tuple(_around([cidr for cidr in known if cidr.version == family]) for family in _families(known))


def _services(api: Api) -> tuple[IPNetwork, ...]:
    """The ranges that the API server gives ClusterIPs from, as it says itself since Kubernetes 1.33."""
    try:
        listed = api.list(SERVICE_CIDR).values()
    except ApiRefused:
        return ()
    return tuple(ip_network(cidr) for item in listed for cidr in item["spec"]["cidrs"])


def _families(known: Sequence[IPNetwork]) -> list[int]:
    return sorted({cidr.version for cidr in known})


def _around(known: Sequence[IPNetwork]) -> IPNetwork:
    """The smallest network that has all of these, which are of one family."""
    lowest = min(int(cidr.network_address) for cidr in known)
    highest = max(int(cidr.broadcast_address) for cidr in known)
    width = known[0].max_prefixlen - (lowest ^ highest).bit_length()
    kind = IPv4Network if known[0].version == 4 else IPv6Network
    return kind((lowest, width), strict=False)
