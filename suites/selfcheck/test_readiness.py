"""What nodes and pods say of themselves is read as they mean it."""

from __future__ import annotations

from typing import Any

from clusters.bring_up import state
from clusters.readiness import all_ready, complaints, condition, ready, rolled_out

NO_CNI = "container runtime network not ready: NetworkReady=false"


def item(kind: str, status: str, *, reason: str = "", message: str = "", **more: Any) -> dict[str, Any]:
    conditions = [{"type": kind, "status": status, "reason": reason, "message": message}]
    return {"metadata": {}, "spec": {}, "status": {"phase": "Pending", "conditions": conditions, **more}}


def test_only_true_is_ready() -> None:
    assert ready(item("Ready", "True"))
    assert not ready(item("Ready", "False"))
    assert not ready(item("Ready", "Unknown"))
    assert not ready({"metadata": {}})


def test_what_is_being_deleted_is_not_ready() -> None:
    assert not ready(item("Ready", "True") | {"metadata": {"deletionTimestamp": "now"}})


def test_none_at_all_is_not_all_ready() -> None:
    assert not all_ready({})
    assert not all_ready({"one": item("Ready", "True")}, at_least=2)
    assert all_ready({"one": item("Ready", "True")})


def test_a_condition_has_its_reason_and_message() -> None:
    said = condition(item("Ready", "False", reason="KubeletNotReady", message=NO_CNI), "Ready")
    assert (said.holds, said.reason, said.message) == (False, "KubeletNotReady", NO_CNI)


def test_complaints_name_what_a_container_waits_for() -> None:
    waiting = [{"name": "app", "state": {"waiting": {"reason": "ErrImagePull", "message": "no such image"}}}]
    text = complaints({"b": item("Ready", "False", containerStatuses=waiting), "a": item("Ready", "True")})
    assert text == "b: container app ErrImagePull: no such image"


def test_complaints_say_why_a_pod_is_not_scheduled() -> None:
    text = complaints({"b": item("PodScheduled", "False", reason="Unschedulable", message="taints")})
    assert text == "b: PodScheduled is not True: Unschedulable: taints"


def test_the_state_of_a_cluster_without_cni() -> None:
    nodes = {"worker": item("Ready", "False", reason="KubeletNotReady", message=NO_CNI)}
    pods = {"coredns-1": item("PodScheduled", "False", reason="Unschedulable", message="taints")}
    seen = state(nodes, pods, at=20.5)
    assert (seen.at, seen.nodes[0].ready, seen.nodes[0].message) == (20.5, False, NO_CNI)
    assert (seen.coredns[0].phase, seen.coredns[0].scheduled, seen.coredns[0].node) == ("Pending", False, "")


def test_a_daemon_is_rolled_out_when_its_present_version_is_ready_everywhere() -> None:
    status = {"observedGeneration": 2, "desiredNumberScheduled": 3, "updatedNumberScheduled": 3, "numberReady": 3}
    daemon = {"metadata": {"generation": 2}, "status": status}
    assert rolled_out(daemon)
    assert not rolled_out(daemon | {"metadata": {"generation": 3}})
    assert not rolled_out(daemon | {"status": {**status, "numberReady": 2}})
    assert not rolled_out(daemon | {"status": {**status, "updatedNumberScheduled": 1}})
    assert not rolled_out(daemon | {"status": {}})


def test_complaints_tell_none_from_no_complaint() -> None:
    assert complaints({}) == "there is none"
    assert complaints({"one": item("Ready", "True")}) == "all 1 ready"
