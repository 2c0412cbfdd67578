"""A second reading of NetworkPolicy, on the plain objects, written apart from the oracle and as dull as can be.

It asks one question of one policy at a time and enumerates; nothing of the oracle is used.
"""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Any

Object = dict[str, Any]


def allowed(policies: list[Object], source: Object, destination: Object, protocol: str, port: int) -> bool:
    """Whether a connection passes; pods are {"ns", "name", "labels", "ns_labels", "ip", "ports"}."""
    if source["ns"] == destination["ns"] and source["name"] == destination["name"]:
        return True
    leaving = [p for p in policies if chooses(p, source) and is_about(p, "Egress")]
    arriving = [p for p in policies if chooses(p, destination) and is_about(p, "Ingress")]
    may_leave = not leaving
    for policy in leaving:
        for rule in policy["spec"].get("egress") or []:
            right_port = ports_fit(rule.get("ports"), destination, protocol, port)
            if right_port and peers_fit(rule.get("to"), policy, destination):
                may_leave = True
    may_arrive = not arriving
    for policy in arriving:
        for rule in policy["spec"].get("ingress") or []:
            right_port = ports_fit(rule.get("ports"), destination, protocol, port)
            if right_port and peers_fit(rule.get("from"), policy, source):
                may_arrive = True
    return may_leave and may_arrive


def is_about(policy: Object, direction: str) -> bool:
    types = policy["spec"].get("policyTypes")
    if types:
        return direction in types
    if direction == "Ingress":
        return True
    return bool(policy["spec"].get("egress"))


def chooses(policy: Object, pod: Object) -> bool:
    if policy["metadata"]["namespace"] != pod["ns"]:
        return False
    return labels_fit(policy["spec"].get("podSelector") or {}, pod["labels"])


def labels_fit(selector: Object, labels: dict[str, str]) -> bool:
    for key, value in (selector.get("matchLabels") or {}).items():
        if key not in labels or labels[key] != value:
            return False
    for requirement in selector.get("matchExpressions") or []:
        key, has = requirement["key"], requirement["key"] in labels
        if requirement["operator"] == "In" and not (has and labels[key] in requirement["values"]):
            return False
        if requirement["operator"] == "NotIn" and has and labels[key] in requirement["values"]:
            return False
        if requirement["operator"] == "Exists" and not has:
            return False
        if requirement["operator"] == "DoesNotExist" and has:
            return False
    return True


def ports_fit(ports: list[Object] | None, destination: Object, protocol: str, number: int) -> bool:
    if not ports:
        return True
    for port in ports:
        if port.get("protocol", "TCP") != protocol:
            continue
        wanted: Any = port.get("port")
        if wanted is None:
            return True
        if isinstance(wanted, str):
            if destination["ports"].get(wanted) == [protocol, number]:
                return True
        elif wanted <= number <= (port.get("endPort") or wanted):
            return True
    return False


def peers_fit(peers: list[Object] | None, policy: Object, pod: Object) -> bool:
    if not peers:
        return True
    for peer in peers:
        if "ipBlock" in peer:
            address, block = ip_address(pod["ip"]), peer["ipBlock"]
            inside = address in ip_network(block["cidr"])
            outside = [part for part in block.get("except") or [] if address in ip_network(part)]
            if inside and not outside:
                return True
            continue
        if pod["ns"] == "":
            continue
        if "namespaceSelector" in peer:
            if not labels_fit(peer["namespaceSelector"], pod["ns_labels"]):
                continue
        elif pod["ns"] != policy["metadata"]["namespace"]:
            continue
        if "podSelector" in peer and not labels_fit(peer["podSelector"], pod["labels"]):
            continue
        return True
    return False
