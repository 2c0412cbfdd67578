"""The generated cases: every peer with every set of ports, in both directions, for pods chosen in turn.

A case is one policy or a few. Of two cases that decide alike for every pair of pods one is left out: it would try
nothing that the other does not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from ipaddress import IPv4Network
from itertools import cycle, permutations, product
from typing import Any

from fixtures.verdicts.network_policy import NAME_OF_NAMESPACE, Transport, manifest, read
from fixtures.verdicts.policy_oracle import Allowed, Connection, Party, decide
from fixtures.world.populace import NAMESPACES, PODS, PORTS, placed

Object = dict[str, Any]


def _labelled(key: str, value: str) -> Object:
    return {"matchLabels": {key: value}}


def _expressed(key: str, operator: str, *values: str) -> Object:
    return {
        "matchExpressions": [{"key": key, "operator": operator, **({"values": list(values)} if values else {})}]
    }


TARGETS: Mapping[str, Object] = {
    "all": {},
    "one": _labelled("pod", "a"),
    "some": _expressed("pod", "In", "b", "c"),
    "others": _expressed("pod", "NotIn", "a"),
}
"""Which pods of namespace x a policy selects."""

PEERS: Mapping[str, list[Object]] = {
    "anybody": [],
    "own-pods": [{"podSelector": {}}],
    "own-pod": [{"podSelector": _labelled("pod", "b")}],
    "own-pods-by-in": [{"podSelector": _expressed("pod", "In", "a", "b")}],
    "own-pods-by-not-in": [{"podSelector": _expressed("pod", "NotIn", "b")}],
    "namespace": [{"namespaceSelector": _labelled("ns", "y")}],
    "namespaces": [{"namespaceSelector": {}}],
    "namespaces-by-not-in": [{"namespaceSelector": _expressed("ns", "NotIn", "x")}],
    "namespace-by-its-name": [{"namespaceSelector": _expressed("ns", "In", "z")}],
    "pod-of-namespace": [{"namespaceSelector": _labelled("ns", "y"), "podSelector": _labelled("pod", "c")}],
    "pod-of-namespaces": [{"namespaceSelector": {}, "podSelector": _labelled("pod", "c")}],
    "namespace-or-pod": [{"namespaceSelector": _labelled("ns", "z")}, {"podSelector": _labelled("pod", "a")}],
    "nobody": [{"podSelector": _expressed("nobody-has-it", "Exists")}],
    "address": [{"ipBlock": {"cidr": "‹y-b›/32"}}],
    "pods-but-one": [{"ipBlock": {"cidr": "‹pods›", "except": ["‹y-a›/32"]}}],
    "pod-or-address": [{"podSelector": _labelled("pod", "b")}, {"ipBlock": {"cidr": "‹z-c›/32"}}],
}
"""Who may come, or where to: the peers of a rule."""

PORT_SETS: Mapping[str, list[Object]] = {
    "any-port": [],
    "tcp-80": [{"protocol": "TCP", "port": 80}],
    "udp-81": [{"protocol": "UDP", "port": 81}],
    "tcp": [{"protocol": "TCP"}],
    "protocol-missing": [{"port": 81}],
    "by-name": [{"protocol": "UDP", "port": "serve-80-udp"}],
    "by-range": [{"protocol": "TCP", "port": 80, "endPort": 81}],
    "two-ports": [{"protocol": "TCP", "port": 80}, {"protocol": "UDP", "port": 80}],
}
"""By which ports."""


ALL_PODS = "192.0.2.0/24"
"""The range of pods' addresses where cases are only compared."""


@dataclass(frozen=True)
class Case:
    """Policies of namespace x that are tried together; tags are what cases are counted by."""

    name: str
    tags: tuple[str, ...]
    policies: tuple[Object, ...]


def _rule(direction: str, peer: str, ports: str) -> Object:
    ends = {"ingress": "from", "egress": "to"}[direction]
    rule: Object = {}
    if PEERS[peer]:
        rule[ends] = PEERS[peer]
    if PORT_SETS[ports]:
        rule["ports"] = PORT_SETS[ports]
    return rule


def _spec(target: str, **rules: list[Object]) -> Object:
    return {"podSelector": TARGETS[target], "policyTypes": [it.title() for it in rules], **rules}


def _case(name: str, tags: tuple[str, ...], *specs: Object) -> Case:
    made = (manifest("x", f"case-{number}", spec) for number, spec in enumerate(specs))
    return Case(name, tags, tuple(made))


def _single() -> Iterator[Case]:
    """Each peer by each set of ports, in each direction; the targets take turns, for peers and for ports."""
    targets = list(TARGETS)
    for direction, (turn, peer), (other, ports) in product(
        ("ingress", "egress"), enumerate(PEERS), enumerate(PORT_SETS)
    ):
        target = targets[(turn + other) % len(targets)]
        spec = _spec(target, **{direction: [_rule(direction, peer, ports)]})
        yield _case(f"{direction}-{target}-{peer}-{ports}", (direction, target, peer, ports), spec)


def _both() -> Iterator[Case]:
    """One policy for both directions, with another peer and other ports in each."""
    pairs = zip(PEERS, reversed(list(PEERS)), strict=True)
    for (inward, outward), ports, target in zip(pairs, cycle(PORT_SETS), cycle(TARGETS), strict=False):
        rules = {"ingress": [_rule("ingress", inward, ports)], "egress": [_rule("egress", outward, "any-port")]}
        yield _case(f"both-{target}-{inward}-{outward}-{ports}", ("both", target), _spec(target, **rules))


def _stacked() -> Iterator[Case]:
    """Policies that add up: a deny of all with an allowance, two allowances, and a later one that opens all."""
    peers, names = list(PEERS), list(PORT_SETS)
    for place, (direction, peer) in enumerate(product(("ingress", "egress"), PEERS)):
        other, ports = peers[(place + 5) % len(peers)], names[place % len(names)]
        deny = _spec("all", **{direction: []})
        first = _spec("one", **{direction: [_rule(direction, peer, ports)]})
        second = _spec("some", **{direction: [_rule(direction, other, "any-port")]})
        yield _case(f"stacked-{direction}-{peer}-{other}-{ports}", ("stacked", direction), deny, first, second)
    for direction in ("ingress", "egress"):
        opened = _spec("one", **{direction: [_rule(direction, "anybody", "any-port")]})
        yield _case(f"opened-{direction}", ("stacked", direction), _spec("all", **{direction: []}), opened)


@cache
def cases() -> tuple[Case, ...]:
    """All of them, without those that decide as an earlier one does, or as no policy would."""
    known = {decisions(())}
    kept = []
    for case in (*_single(), *_both(), *_stacked()):
        decided = decisions(case.policies)
        if decided not in known:
            known.add(decided)
            kept.append(case)
    return tuple(kept)


def decisions(policies: tuple[Object, ...]) -> frozenset[tuple[str, str, str, int]]:
    """What the oracle denies between pods like those that cases are tried on: source, destination, port."""
    parties = _parties()
    addresses = {name: str(party.addresses[0]) for name, party in parties.items()}
    known = [read(placed(policy, addresses, ALL_PODS)) for policy in policies]
    return frozenset(
        (source.name, destination.name, port.protocol, port.number)
        for source, destination in permutations(parties.values(), 2)
        for port in PORTS
        if decide(known, Connection(source, destination, Transport(port.protocol), port.number)).allowed
        is Allowed.NO
    )


@cache
def _parties() -> dict[str, Party]:
    """Pods as they are labelled in a cluster, at addresses of documentation."""
    names = [f"{namespace}-{pod}" for namespace, pod in product(NAMESPACES, PODS)]
    ports = {port.name: (Transport(port.protocol), port.number) for port in PORTS}
    return {
        name: Party(
            name,
            (address,),
            namespace=name[0],
            labels={"pod": name[-1]},
            namespace_labels={"ns": name[0], NAME_OF_NAMESPACE: name[0]},
            ports=ports,
            node="worker",
        )
        for address, name in zip(IPv4Network(ALL_PODS).hosts(), names, strict=False)
    }
