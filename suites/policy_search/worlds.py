"""Worlds by chance: up to four policies over nine pods of three namespaces, as their authors might write them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from fixtures.verdicts.network_policy import manifest
from fixtures.world.populace import NAMESPACES, NUMBERS, PODS, PORTS

Object = dict[str, Any]
World = tuple[Object, ...]

_VALUES = {"pod": PODS, "ns": NAMESPACES}


def _requirements(key: str) -> st.SearchStrategy[Object]:
    values = st.lists(st.sampled_from(_VALUES[key]), min_size=1, max_size=2, unique=True)
    compared = st.fixed_dictionaries(
        {"key": st.just(key), "operator": st.sampled_from(["In", "NotIn"]), "values": values}
    )
    asked = st.fixed_dictionaries(
        {"key": st.sampled_from([key, "unknown"]), "operator": st.sampled_from(["Exists", "DoesNotExist"])}
    )
    return compared | asked


def _selectors(key: str) -> st.SearchStrategy[Object]:
    labelled = st.sampled_from(_VALUES[key]).map(lambda value: {"matchLabels": {key: value}})
    expressed = st.lists(_requirements(key), min_size=1, max_size=2).map(lambda them: {"matchExpressions": them})
    return st.just({}) | labelled | expressed


def _peers() -> st.SearchStrategy[Object]:
    pods, namespaces = _selectors("pod"), _selectors("ns")
    pod = st.sampled_from([f"‹{namespace}-{pod}›/32" for namespace in NAMESPACES for pod in PODS])
    block = pod.map(lambda cidr: {"ipBlock": {"cidr": cidr}})
    all_but = pod.map(lambda cidr: {"ipBlock": {"cidr": "‹pods›", "except": [cidr]}})
    return (
        pods.map(lambda it: {"podSelector": it})
        | namespaces.map(lambda it: {"namespaceSelector": it})
        | st.builds(lambda one, two: {"podSelector": one, "namespaceSelector": two}, pods, namespaces)
        | block
        | all_but
    )


def _ports() -> st.SearchStrategy[Object]:
    protocols, first = st.sampled_from(["TCP", "UDP"]), NUMBERS[0]
    return (
        protocols.map(lambda it: {"protocol": it})
        | st.builds(lambda it, port: {"protocol": it, "port": port}, protocols, st.sampled_from(NUMBERS))
        | st.sampled_from(PORTS).map(lambda it: {"protocol": it.protocol, "port": it.name})
        | protocols.map(lambda it: {"protocol": it, "port": first, "endPort": NUMBERS[-1]})
    )


def _rules(ends: str) -> st.SearchStrategy[Object]:
    return st.fixed_dictionaries(
        {}, optional={ends: st.lists(_peers(), max_size=2), "ports": st.lists(_ports(), max_size=2)}
    )


def _specs() -> st.SearchStrategy[Object]:
    ingress, egress = st.lists(_rules("from"), max_size=2), st.lists(_rules("to"), max_size=2)
    types = st.sampled_from([["Ingress"], ["Egress"], ["Ingress", "Egress"]])
    return st.fixed_dictionaries(
        {"podSelector": _selectors("pod")}, optional={"ingress": ingress, "egress": egress, "policyTypes": types}
    )


def worlds() -> st.SearchStrategy[World]:
    """Policies with names of their own, in the namespaces x, y and z."""
    one = st.tuples(st.sampled_from(NAMESPACES), _specs())
    return st.lists(one, min_size=1, max_size=4).map(
        lambda them: tuple(manifest(it, f"world-{number}", spec) for number, (it, spec) in enumerate(them))
    )
