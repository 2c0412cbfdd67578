"""Random worlds for the policy oracle: namespaces, pods and policies as plain objects, by hypothesis."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

Object = dict[str, Any]

KEYS, VALUES = ("app", "tier"), ("a", "b", "c")
NAMESPACES = {"x": {"ns": "x"}, "y": {"ns": "y", "team": "a"}, "z": {}}
PORTS = {"web": ["TCP", 80], "names": ["UDP", 53]}
NUMBERS = (53, 80, 81, 8080)
PROTOCOLS = ("TCP", "UDP")
RANGES = ("192.0.2.0/24", "192.0.2.0/28", "192.0.2.8/29", "192.0.2.1/32", "198.51.100.0/24")


def labels(keys: tuple[str, ...] = KEYS) -> st.SearchStrategy[dict[str, str]]:
    return st.dictionaries(st.sampled_from(keys), st.sampled_from(VALUES), max_size=2)


def requirements(keys: tuple[str, ...]) -> st.SearchStrategy[Object]:
    values = st.lists(st.sampled_from(VALUES), min_size=1, max_size=2, unique=True)
    compares = st.fixed_dictionaries(
        {"key": st.sampled_from(keys), "operator": st.sampled_from(["In", "NotIn"]), "values": values}
    )
    asks = st.fixed_dictionaries(
        {"key": st.sampled_from(keys), "operator": st.sampled_from(["Exists", "DoesNotExist"])}
    )
    return compares | asks


def selectors(keys: tuple[str, ...] = KEYS) -> st.SearchStrategy[Object]:
    return st.fixed_dictionaries(
        {},
        optional={
            "matchLabels": labels(keys),
            "matchExpressions": st.lists(requirements(keys), max_size=2),
        },
    )


def peers() -> st.SearchStrategy[Object]:
    by_labels = st.fixed_dictionaries(
        {}, optional={"podSelector": selectors(), "namespaceSelector": selectors(("ns", "team"))}
    ).filter(bool)
    blocks = [
        st.fixed_dictionaries(
            {"cidr": st.just(cidr)},
            optional={"except": st.just(["192.0.2.1/32"] if cidr in RANGES[:2] else [])},
        )
        for cidr in RANGES
    ]
    return by_labels | st.fixed_dictionaries({"ipBlock": st.one_of(blocks)})


def ports() -> st.SearchStrategy[Object]:
    protocol = {"protocol": st.sampled_from(PROTOCOLS)}
    by_number = st.fixed_dictionaries({}, optional={**protocol, "port": st.sampled_from(NUMBERS)})
    by_name = st.fixed_dictionaries({"port": st.sampled_from([*PORTS, "other"])}, optional=protocol)
    by_range = st.fixed_dictionaries(
        {"port": st.sampled_from([53, 79]), "endPort": st.sampled_from([80, 8080])}, optional=protocol
    )
    return by_number | by_name | by_range


def rules(side: str) -> st.SearchStrategy[Object]:
    return st.fixed_dictionaries(
        {}, optional={side: st.lists(peers(), max_size=2), "ports": st.lists(ports(), max_size=2)}
    )


# Made once: most of the time of a draw goes into making strategies.
_SPECS = st.fixed_dictionaries(
    {"podSelector": selectors()},
    optional={
        "ingress": st.lists(rules("from"), max_size=2),
        "egress": st.lists(rules("to"), max_size=2),
        "policyTypes": st.lists(st.sampled_from(["Ingress", "Egress"]), max_size=2, unique=True),
    },
)
_NAMESPACES, _LABELS = st.sampled_from(list(NAMESPACES)), labels()
_NAMES, _NUMBERS, _ONE_IN_SIX = st.integers(0, 99), st.integers(1, 20), st.integers(0, 5)


@st.composite
def policies(draw: st.DrawFn) -> Object:
    metadata = {"namespace": draw(_NAMESPACES), "name": f"p{draw(_NAMES)}"}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata,
        "spec": draw(_SPECS),
    }


@st.composite
def ends(draw: st.DrawFn) -> Object:
    """A pod, or an address outside."""
    number = draw(_NUMBERS)
    if draw(_ONE_IN_SIX) == 0:
        return {"ns": "", "name": "out", "labels": {}, "ns_labels": {}, "ip": f"192.0.2.{number}", "ports": {}}
    namespace = draw(_NAMESPACES)
    return {
        "ns": namespace,
        "name": f"pod{number}",
        "labels": draw(_LABELS),
        "ns_labels": NAMESPACES[namespace],
        "ip": f"192.0.2.{number}",
        "ports": PORTS,
    }
