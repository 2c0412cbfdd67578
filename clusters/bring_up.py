"""What was seen while a cluster came up: how long each part took, and its state before and after the CNI."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

from clusters.api import NODE, POD, Api, Seen
from clusters.readiness import condition, ready

COREDNS = "k8s-app=kube-dns"
"""The label of CoreDNS's pods in kube-system, as kubeadm sets it."""


@dataclass(frozen=True)
class Phase:
    """A part of the bring-up and the seconds that it took."""

    name: str
    seconds: float


@dataclass(frozen=True)
class NodeSeen:
    """A node's Ready condition at one moment; `message` names what is missing where it is not ready."""

    name: str
    ready: bool
    reason: str
    message: str


@dataclass(frozen=True)
class PodSeen:
    """A pod at one moment: `node` is "" until it is scheduled, and `message` then says why it is not."""

    name: str
    node: str
    phase: str
    ready: bool
    scheduled: bool
    reason: str
    message: str


@dataclass(frozen=True)
class State:
    """Nodes and CoreDNS at one moment, `at` seconds after the creation of the cluster began."""

    at: float
    nodes: tuple[NodeSeen, ...]
    coredns: tuple[PodSeen, ...]


@dataclass(frozen=True)
class BringUp:
    """The record of one bring-up: `before_cni` is seen when nothing of the CNI is installed yet."""

    phases: tuple[Phase, ...]
    before_cni: State
    after_cni: State


Timing = Callable[[str], AbstractContextManager[object]]
"""Somebody who wants to know which phase is on: entered with its name, left at its end."""


class Stopwatch:
    """Takes the time of phases, one after the other, and tells `also` of each."""

    def __init__(self, also: Timing = nullcontext) -> None:
        self.phases: list[Phase] = []
        self._also = also

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time what happens inside; a phase that fails is not recorded."""
        started = time.monotonic()
        with self._also(name):
            yield
        self.phases.append(Phase(name, round(time.monotonic() - started, 3)))


def look(api: Api, since: float) -> State:
    """The state of nodes and CoreDNS now; `since` is the monotonic time at which creation began."""
    seen_nodes = api.list(NODE)
    seen_pods = api.list(POD, "kube-system", COREDNS)
    return state(seen_nodes, seen_pods, round(time.monotonic() - since, 3))


def state(nodes: Seen, pods: Seen, at: float) -> State:
    """The same from objects that were seen."""
    return State(
        at=at,
        nodes=tuple(
            NodeSeen(name, said.holds, said.reason, said.message)
            for name, said in ((name, condition(item, "Ready")) for name, item in sorted(nodes.items()))
        ),
        coredns=tuple(
            PodSeen(
                name=name,
                node=item["spec"].get("nodeName", ""),
                phase=item["status"]["phase"],
                ready=ready(item),
                scheduled=said.holds,
                reason=said.reason,
                message=said.message,
            )
            for name, item, said in (
                (name, item, condition(item, "PodScheduled")) for name, item in sorted(pods.items())
            )
        ),
    )
