"""A worker that joins a cluster which runs already, as kind would have made it at the start; and its end.

It is a container like the other worker's, and is removed with the cluster if nobody does so before.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from typing import Any

from clusters import shell
from clusters.api import NODE, POD, Api
from clusters.host import client
from clusters.readiness import heartbeat
from clusters.settling import node_becomes
from clusters.waiting import TIMEOUTS, poll

_JOINING = "/kind/kubeadm.conf"
_COPIED = ("/etc/containerd/config.toml", _JOINING)
"""What kind writes into a node once it runs: with the node's own name and address where they stand."""


def join(api: Api, like: str, name: str) -> None:
    """Start a node like the worker of that name, and wait until it is Ready; CommandFailed, TimedOut."""
    with closing(client()) as docker:
        model = docker.containers.get(like).attrs
        host, config = model["HostConfig"], model["Config"]
        docker.containers.run(
            config["Image"],
            name=name,
            hostname=name,
            detach=True,
            tty=True,
            privileged=True,
            network=host["NetworkMode"],
            labels=config["Labels"],
            environment=config["Env"],
            volumes=host["Binds"] + ["/var"],
            tmpfs=host["Tmpfs"],
            security_opt=host["SecurityOpt"],
            cgroupns=host["CgroupnsMode"],
        )
        own, others = (address_in(docker.containers.get(it).attrs) for it in (name, like))
    await_system(name)
    for path in _COPIED:
        text = on_node(like, "cat", path).replace(others, own).replace(f"/{like}", f"/{name}")
        on_node(name, "tee", path, stdin=text)
    on_node(name, "systemctl", "restart", "containerd")
    on_node(name, "kubeadm", "join", f"--config={_JOINING}", "--skip-phases=preflight")
    node_becomes(api, name)


def restart(api: Api, name: str) -> None:
    """Have its machine end and start again, and wait until its kubelet says anew that it is Ready."""
    before = heartbeat(api.list(NODE)[name])
    shell.run(["docker", "restart", name], timeout=TIMEOUTS.cluster_up)
    await_system(name)
    node_becomes(api, name, after=before)


def remove(api: Api, name: str) -> None:
    """Take it out of the cluster for good; fine where it is gone.

    Its pods are ended in the API by force: nobody is there any more to say that they have ended.
    """
    api.delete(NODE, name)
    shell.run(["docker", "rm", "--force", "--volumes", name], check=False, timeout=TIMEOUTS.cluster_up)
    for pod, item in api.list(POD, fields=f"spec.nodeName={name}").items():
        api.delete(POD, pod, namespace=item["metadata"]["namespace"], grace=0)


def on_node(name: str, *words: str, stdin: str | None = None) -> str:
    """Run words in the node; what they print."""
    return shell.run(
        ["docker", "exec", "--interactive", name, *words], stdin=stdin, timeout=TIMEOUTS.cluster_up
    ).stdout


def address_in(attributes: Mapping[str, Any]) -> str:
    """The IPv4 address that Docker gave a container, from what it says of it."""
    (network,) = attributes["NetworkSettings"]["Networks"].values()
    return str(network["IPAddress"])


def await_system(name: str) -> None:
    """Wait until containerd answers there: systemd has come so far."""
    poll(
        lambda: shell.run(["docker", "exec", name, "ctr", "version"], check=False),
        until=lambda done: done.ok,
        what=f"containerd on {name}",
        within=TIMEOUTS.cluster_up,
    )
