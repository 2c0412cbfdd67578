"""Services as typed values: the manifests that they write, and what is read back."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest

from fixtures.verdicts.observation import Protocol
from fixtures.world.services import (
    Service,
    ServicePort,
    ServiceSpec,
    ServiceType,
    TrafficPolicy,
    endpoints_by_hand,
)


def living(spec: ServiceSpec, **given: Any) -> Service:
    return Service.read(spec, {"metadata": {"namespace": "ns"}, "spec": given})


def test_a_plain_service_selects_the_pods_that_carry_its_label() -> None:
    spec = ServiceSpec("web", ("a", "b"))
    written = spec.manifest("ns")["spec"]
    assert written["selector"] == spec.labels
    assert {(port["port"], port["protocol"]) for port in written["ports"]} == {(80, "TCP"), (80, "UDP")}
    assert "clusterIP" not in written


def test_each_kind_says_what_makes_it_that_kind() -> None:
    assert ServiceSpec("h", headless=True).manifest("ns")["spec"]["clusterIP"] == "None"
    assert ServiceSpec("s", affinity=True).manifest("ns")["spec"]["sessionAffinity"] == "ClientIP"
    assert "selector" not in ServiceSpec("c", by_hand=True).manifest("ns")["spec"]
    local = ServiceSpec("l", type=ServiceType.NODE_PORT, external_traffic=TrafficPolicy.LOCAL).manifest("ns")[
        "spec"
    ]
    assert (local["type"], local["externalTrafficPolicy"]) == ("NodePort", "Local")
    alias = ServiceSpec("n", type=ServiceType.EXTERNAL_NAME, external_name="web.ns").manifest("ns")["spec"]
    assert alias == {"type": "ExternalName", "externalName": "web.ns"}


def test_what_is_extra_is_merged_over_the_rest() -> None:
    spec = ServiceSpec("x", ("a",), extra={"selector": {"app": "y"}, "internalTrafficPolicy": "Local"}).manifest(
        "ns"
    )
    assert (spec["spec"]["selector"], spec["spec"]["internalTrafficPolicy"]) == ({"app": "y"}, "Local")


def test_a_node_port_is_chosen_only_where_it_is_given() -> None:
    assert ServicePort("tcp", 80, 8080, node_port=30010).manifest()["nodePort"] == 30010
    assert "nodePort" not in ServicePort("tcp", 80, 8080).manifest()


def test_a_named_target_port_stays_a_name() -> None:
    port = ServicePort("web", 80, "http", Protocol.UDP).manifest()
    assert port == {"name": "web", "port": 80, "targetPort": "http", "protocol": "UDP"}


def test_what_it_was_given_is_read_back() -> None:
    ports = [{"name": "tcp", "port": 80, "nodePort": 30080}, {"name": "udp", "port": 80}]
    service = living(ServiceSpec("web"), clusterIP="10.96.0.9", ports=ports, healthCheckNodePort=31000)
    assert service.cluster_ip == ip_address("10.96.0.9")
    assert (service.node_port("tcp"), service.health_port) == (30080, 31000)
    assert service.full_name == "web.ns.svc.cluster.local."
    with pytest.raises(LookupError, match="it has: tcp"):
        service.node_port("udp")


def test_a_headless_one_has_no_address() -> None:
    with pytest.raises(LookupError, match="no ClusterIP"):
        _ = living(ServiceSpec("direct", headless=True), clusterIP="None").cluster_ip
    with pytest.raises(LookupError, match="no ClusterIP"):
        _ = living(ServiceSpec("alias", type=ServiceType.EXTERNAL_NAME)).cluster_ip


def test_endpoints_by_hand_belong_to_their_service() -> None:
    service = living(ServiceSpec("crowd", by_hand=True, headless=True), clusterIP="None")
    slice_ = endpoints_by_hand(service, [ip_address("198.51.100.1"), ip_address("198.51.100.2")])
    assert slice_["metadata"]["labels"] == {"kubernetes.io/service-name": "crowd"}
    assert [endpoint["addresses"] for endpoint in slice_["endpoints"]] == [["198.51.100.1"], ["198.51.100.2"]]
    assert slice_["ports"] == [{"name": "tcp", "port": 8080, "protocol": "TCP"}]
    assert slice_["metadata"]["name"] == "crowd-by-hand"


def test_a_slice_may_be_of_one_port_and_of_another_family() -> None:
    service = living(ServiceSpec("halves", by_hand=True), clusterIP="10.96.0.9")
    udp = service.spec.ports[1]
    slice_ = endpoints_by_hand(service, [ip_address("2001:db8::1")], udp, name="udp")
    assert (slice_["metadata"]["name"], slice_["addressType"]) == ("halves-udp", "IPv6")
    assert slice_["ports"] == [{"name": "udp", "port": 8080, "protocol": "UDP"}]
