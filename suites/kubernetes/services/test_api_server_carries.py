"""Through the API server one gets to pods and Services of every node: proxy, port-forward, exec and logs.

    kubectl ─→ API server ─┬─ proxy ────────→ 10.244.x.y:8080            the server itself is the client
                           └─ kubelet:10250 ─→ port-forward, exec, logs  the pod's node is asked

People debug and operators automate this way, and it is the first thing that they miss when a node is half
reachable: its pods serve everybody, and nobody can look into them. It fails where the server has no way into the
pod network, or to one node's kubelet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest

from clusters.api import POD, SERVICE, Api, ApiRefused, Kind
from fixtures.agent import wire
from fixtures.endpoints.endpoint import StreamBroken
from fixtures.endpoints.pod_exec import said
from fixtures.endpoints.pod_forward import at_forward
from fixtures.faults.fault import fault
from fixtures.faults.rule_levers import packet_rule
from fixtures.faults.site import Site
from fixtures.plugins.proof import Proof
from fixtures.world.world import PORT, World

pytestmark = pytest.mark.claim("SVC-11")

PODS = {name: name for name in ("client", "remote", "third")}
SERVICES = {"near": "neighbour", "far": "remote"}
"""Whom to ask, and who must answer: a pod of each node, and two Services."""


@fault(
    reddens={
        "kubernetes/services/api_server_carries/port_forward": "remote",
        "kubernetes/services/api_server_carries/exec_and_logs": "remote",
    },
    spares=("kubernetes/services/api_server_carries/proxy", "kubernetes/pods/pods_on_other_nodes/every_direction"),
)
def kubelet_not_reached(site: Site) -> Iterator[None]:
    """The far node refuses new connections to its kubelet; those that stand go on."""
    rule = "tcp dport 10250 ct state new reject with tcp reset"
    with packet_rule(site, site.far, "input", rule, priority=0):
        yield


@fault(
    reddens={"kubernetes/services/api_server_carries/proxy": "remote"},
    spares=("kubernetes/services/api_server_carries/exec_and_logs", "kubernetes/services/clusterip_from_pods/*"),
)
def api_server_without_pods(site: Site) -> Iterator[None]:
    """The API server's own node sends nothing by TCP to pods of other nodes."""
    rule = f"ip daddr {site.subnet(site.far)} tcp dport {PORT} reject with icmp type host-unreachable"
    with packet_rule(site, site.bystander, "output", rule):
        yield


@pytest.mark.usefixtures("services")
def test_proxy(world: World, proof: Proof) -> None:
    """A pod on every node and two Services, by number and by name of the port: the right one answers."""
    api, namespace = world.api, world.namespace

    answered = answers(PODS, lambda name: at_proxy(api, POD, f"{name}:{PORT}", namespace))
    by_name = answers(SERVICES, lambda name: at_proxy(api, SERVICE, f"{name}:tcp", namespace))

    proof.fact("each pod that the server was sent to answered", answered == PODS, differing(answered, PODS))
    proof.fact("each Service's endpoint answered", by_name == SERVICES, differing(by_name, SERVICES))


def test_port_forward(world: World, proof: Proof) -> None:
    """A forwarded port of a pod on every node leads to that pod."""
    client, namespace = world.api.client, world.namespace

    answered = answers(PODS, lambda name: at_forward(client, namespace, name, PORT))

    proof.fact("each pod answered at its forwarded port", answered == PODS, differing(answered, PODS))


def test_exec_and_logs(world: World, proof: Proof) -> None:
    """A command runs in a pod of every node and its output comes back, as does what the pod has printed."""
    api, namespace = world.api, world.namespace

    printed = answers(PODS, lambda name: said(api.client, namespace, name, "agent", ["hostname"], within=5))
    logged = answers(PODS, lambda name: first_word(api.log(name, "agent", namespace, within=5)))

    proof.fact("a command ran in each pod", printed == PODS, differing(printed, PODS))
    proof.fact("the log of each pod came", logged == PODS, differing(logged, PODS))


def at_proxy(api: Api, kind: Kind, name: str, namespace: str) -> str:
    """Who answers there over HTTP, as our agent says it in a header."""
    head = wire.parse_head(api.proxied(kind, name, namespace).get("X-Netproof", "").encode())
    return head.identity if head else "somebody who is no agent"


def first_word(log: str) -> str:
    """Our agent's log begins with its identity."""
    return (log.split() or ["nothing"])[0]


def answers(asked: Iterable[str], ask: Callable[[str], str]) -> dict[str, str]:
    """What came of each, or why nothing did; all are asked at once."""
    names = list(asked)

    def answer(name: str) -> str:
        try:
            return ask(name)
        except (ApiRefused, StreamBroken) as error:
            return str(error)

    with ThreadPoolExecutor(len(names)) as pool:
        return dict(zip(names, pool.map(answer, names), strict=True))


def differing(seen: Mapping[str, str], wanted: Mapping[str, str]) -> dict[str, str]:
    """What is not as wanted, or all where nothing differs."""
    return {name: text for name, text in seen.items() if text != wanted[name]} or dict(seen)
