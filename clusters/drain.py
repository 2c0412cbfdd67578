"""The drain of a cluster's network: the default gateway of its containers, which leads nowhere and keeps a record.

Without it, whatever a node or the outside client sends to an address that nobody here has (a ClusterIP that is not
programmed, a name server elsewhere) leaves by way of the host for a real network.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import closing
from ipaddress import ip_address

from docker.errors import ImageNotFound

from clusters.api import CONFIG_MAP, Api
from clusters.host import client
from clusters.labels import CLUSTER_LABEL
from clusters.waiting import TIMEOUTS, poll

UPSTREAM_PORT, STUB_PORT = 5353, 5354
"""Where the drain answers for names that the cluster does not own: as everybody's server, and as the one of
`STUB_DOMAIN` alone (fixtures/agent/zones.py has the names)."""
STUB_DOMAIN = "stub.example"
_UPSTREAM = "forward . /etc/resolv.conf"
_SYSCTLS = {
    "net.ipv4.ip_forward": "1",
    "net.ipv4.conf.all.send_redirects": "0",
    "net.ipv4.conf.default.send_redirects": "0",
}
"""It is a router that knows no way, as a network's gateway without a route: it drops without an error."""


class DrainFailed(Exception):
    """The drain did not start, or CoreDNS cannot be told of it; the message says why."""


def container(cluster: str) -> str:
    """The name of the container of a cluster's drain."""
    return f"{cluster}-drain"


def start(cluster: str, image: str, gateways: Collection[str]) -> None:
    """Start it on the cluster's network, in place of these gateways; DrainFailed if it does not get ready."""
    six = any(ip_address(gateway).version == 6 for gateway in gateways)
    sysctls = _SYSCTLS | ({"net.ipv6.conf.all.forwarding": "1"} if six else {})
    with closing(client()) as docker:
        try:
            made = docker.containers.run(
                image,
                ["drain", *gateways],
                name=container(cluster),
                hostname="drain",
                detach=True,
                network=cluster,
                labels={CLUSTER_LABEL: cluster},
                cap_add=["NET_ADMIN", "NET_RAW"],
                sysctls=sysctls,
                restart_policy={"Name": "always", "MaximumRetryCount": 0},
            )
        except ImageNotFound as error:
            raise DrainFailed(f"the agent's image {image} is not on this engine") from error

        def ready() -> bool:
            said = made.logs().decode(errors="replace")
            if "answers on" in said:
                return True
            made.reload()
            if made.status != "running" or made.attrs["RestartCount"]:
                raise DrainFailed(f"{made.name} ended: {said.strip() or 'it said nothing'}")
            return False

        poll(ready, until=bool, what=f"{made.name} to drain", within=TIMEOUTS.pods_ready)


def answer_names(api: Api, gateway: str) -> None:
    """Have CoreDNS ask the drain for names that it does not own, instead of the server that the host asks.

    `STUB_DOMAIN` has a server of its own, as Kubernetes' documentation says how. Before CoreDNS has started, so
    that no question of its goes elsewhere. DrainFailed where its configuration is not the one that kubeadm writes.
    """
    found = api.get(CONFIG_MAP, "coredns", "kube-system")
    corefile = found["data"]["Corefile"] if found else ""
    if _UPSTREAM not in corefile:
        raise DrainFailed(f"CoreDNS's configuration has no line {_UPSTREAM!r}:\n{corefile}")
    host = f"[{gateway}]" if ":" in gateway else gateway
    changed = corefile.replace(_UPSTREAM, f"forward . {host}:{UPSTREAM_PORT}")
    changed += f"{STUB_DOMAIN}:53 {{\n    errors\n    cache 30\n    forward . {host}:{STUB_PORT}\n}}\n"
    api.patch(CONFIG_MAP, "coredns", {"data": {"Corefile": changed}}, "kube-system")
