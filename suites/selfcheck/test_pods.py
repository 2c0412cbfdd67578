"""Pods as manifests: what is asked for in few words stands where Kubernetes looks for it."""

from __future__ import annotations

from typing import Any

from clusters.labels import RunId
from fixtures.world.pods import NAME_LABEL, Container, Pod, Port, manifest


def spec(pod: Pod) -> dict[str, Any]:
    found: dict[str, Any] = manifest(pod, "ns", RunId.current(), "agent:1")["spec"]
    return found


def test_a_pod_ends_at_once_unless_it_lingers() -> None:
    assert spec(Pod("a"))["terminationGracePeriodSeconds"] == 0
    lingering = spec(Pod("a", lingers=30))
    assert lingering["containers"][0]["lifecycle"]["preStop"] == {"sleep": {"seconds": 30}}
    assert lingering["terminationGracePeriodSeconds"] > 30


def test_a_host_port_says_its_address_only_where_it_has_one() -> None:
    ports = (Port(8080, host_port=18080, host_ip="192.0.2.1"), Port(8081, "UDP", host_port=18081), Port(8082))
    written = spec(Pod("a", containers=(Container(ports=ports),)))["containers"][0]["ports"]
    assert written == [
        {"containerPort": 8080, "protocol": "TCP", "hostPort": 18080, "hostIP": "192.0.2.1"},
        {"containerPort": 8081, "protocol": "UDP", "hostPort": 18081},
        {"containerPort": 8082, "protocol": "TCP"},
    ]


def test_what_is_extra_goes_before_what_is_usual() -> None:
    pod = Pod("a", host_network=True, extra={"dnsPolicy": "Default"})
    assert (spec(pod)["hostNetwork"], spec(pod)["dnsPolicy"]) == (True, "Default")


def test_labels_of_ours_and_annotations_of_the_check_are_there() -> None:
    pod = Pod("a", labels={"app": "x"}, annotations={"kubernetes.io/ingress-bandwidth": "10M"})
    metadata = manifest(pod, "ns", RunId.current(), "agent:1")["metadata"]
    assert (metadata["labels"]["app"], metadata["labels"][NAME_LABEL]) == ("x", "a")
    assert metadata["annotations"] == {"kubernetes.io/ingress-bandwidth": "10M"}
