"""Waiting until a cluster that has its CNI is fit for use: its nodes, the CNI's own pods, its name server."""

from __future__ import annotations

import time

from clusters.api import DAEMON_SET, NODE, POD, Api, Kind, Object, Seen
from clusters.bring_up import COREDNS
from clusters.readiness import all_ready, complaints, heartbeat, ready, rolled_out
from clusters.waiting import TIMEOUTS, poll


def nodes_ready(api: Api, machines: int) -> None:
    """Wait until there are so many nodes, and all are Ready."""
    api.wait(
        NODE,
        until=lambda seen: all_ready(seen, machines),
        what=f"all {machines} nodes Ready",
        within=TIMEOUTS.cluster_up,
        show=complaints,
    )


def node_becomes(api: Api, name: str, *, is_ready: bool = True, after: str = "") -> None:
    """Wait until the node is Ready, or is not, by what its kubelet said after that time.

    `after` is a `heartbeat`; TimedOut.
    """
    api.wait(
        NODE,
        until=lambda seen: name in seen and ready(seen[name]) is is_ready and heartbeat(seen[name]) > after,
        what=f"{name} to be {'Ready' if is_ready else 'not Ready'}",
        within=TIMEOUTS.cluster_up,
        show=complaints,
    )


def daemons_running(api: Api, manifests: list[Object]) -> None:
    """Wait for the DaemonSets among the objects that were applied, the CNI's own pods on every node.

    A node says Ready before that, as soon as the CNI's configuration file is there.
    """
    daemons = [item["metadata"] for item in manifests if Kind.of(item) == DAEMON_SET]
    for namespace in sorted({daemon["namespace"] for daemon in daemons}):
        _running(api, namespace, {daemon["name"] for daemon in daemons if daemon["namespace"] == namespace})


def _running(api: Api, namespace: str, names: set[str]) -> None:
    def all_run(seen: Seen) -> bool:
        return all(name in seen and rolled_out(seen[name]) for name in names)

    def statuses(seen: Seen) -> str:
        return "; ".join(f"{name}: {item.get('status')}" for name, item in seen.items())

    api.wait(
        DAEMON_SET,
        namespace=namespace,
        until=all_run,
        what=f"{', '.join(sorted(names))} running on every node",
        within=TIMEOUTS.cluster_up,
        show=statuses,
    )


def coredns_ready(api: Api) -> None:
    """Wait for CoreDNS, and have its kubelet try again at once for as long as it is not ready.

    A node starts it as soon as it is Ready, which is before the CNI can serve it. The kubelet would try again
    after 10 to 15 s by itself, but also does so whenever the pod changes, if only by an annotation.
    """

    def look() -> dict[str, Object]:
        pods = api.list(POD, "kube-system", COREDNS)
        for name, pod in pods.items():
            if not ready(pod) and pod["spec"].get("nodeName"):
                mark = {"metadata": {"annotations": {"netproof/tried": f"{time.time():.1f}"}}}
                api.patch(POD, name, mark, "kube-system")
        return pods

    poll(look, until=all_ready, what="CoreDNS Ready", within=TIMEOUTS.cluster_up, every=0.5)
