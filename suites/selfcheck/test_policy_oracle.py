"""The policy oracle says what the API's documentation says, and what a second evaluator says of random worlds."""

from __future__ import annotations

from ipaddress import ip_address
from itertools import product
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.verdicts.network_policy import NotAPolicy, Transport, read
from fixtures.verdicts.policy_oracle import Allowed, Connection, Decision, Party, decide
from suites.selfcheck import naive_policy
from suites.selfcheck.policy_worlds import NUMBERS, PROTOCOLS, ends, policies

Object = dict[str, Any]


def policy(text: str, namespace: str = "x", name: str = "web") -> Object:
    spec = yaml.safe_load(text)
    metadata = {"namespace": namespace, "name": name}
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata, "spec": spec}


def party(namespace: str, name: str, address: str = "192.0.2.1", **labels: str) -> Party:
    ports = {"web": (Transport.TCP, 80)}
    return Party(
        f"{namespace}/{name}", (ip_address(address),), namespace, labels, {"ns": namespace}, ports, "worker"
    )


A, B, C = (
    party("x", "a", "192.0.2.1", app="a"),
    party("x", "b", "192.0.2.2", app="b"),
    party("y", "a", "192.0.2.3", app="a"),
)
OUTSIDE = Party("outside", (ip_address("198.51.100.7"),))


def said(items: list[Object], source: Party, to: Party, port: int = 80, by: Transport = Transport.TCP) -> Decision:
    return decide([read(item) for item in items], Connection(source, to, by, port))


DENY = "podSelector: {}"
OUT_OF = "{namespaceSelector: {matchLabels: {ns: y}}"
B_S = "podSelector: {matchLabels: {app: b}}"
DOCUMENTATION = "198.51.100.0/24"


def into(rule: str) -> list[str]:
    """One policy for all pods of the namespace, with this rule for ingress."""
    return [f"{{podSelector: {{}}, ingress: [{rule}]}}"]


YES, NO = Allowed.YES, Allowed.NO
OF_THE_DOCUMENTATION = [
    ("nothing selects", [], C, A, 80, YES, "no egress policy selects y/a; no ingress policy selects x/a"),
    ("deny all ingress", [DENY], B, A, 80, NO, "no ingress policy of x/a (x/web) allows TCP 80 from x/b"),
    ("egress stays open", [DENY], A, C, 80, YES, "no egress policy selects x/a; no ingress"),
    ("an empty rule allows all", into("{}"), OUTSIDE, A, 80, YES, "allowed by x/web, ingress rule 1"),
    ("empty lists allow all", into("{from: [], ports: []}"), C, A, 80, YES, "ingress rule 1"),
    ("no rule for egress", ["{podSelector: {}, policyTypes: [Egress]}"], A, B, 80, NO, "no egress policy of x/a"),
    ("an empty list is not about egress", ["{podSelector: {}, egress: []}"], A, C, 80, YES, "no egress policy"),
    ("rules for egress are", ["{podSelector: {}, egress: [{ports: [{port: 53}]}]}"], A, C, 80, NO, "egress"),
    ("one peer is AND", into(f"{{from: [{OUT_OF}, {B_S}}}]}}"), C, A, 80, NO, "allows TCP 80 from y/a"),
    ("two peers are OR", into(f"{{from: [{OUT_OF}}}, {{{B_S}}}]}}"), C, A, 80, YES, "ingress rule 1"),
    ("pods of its own namespace", into("{from: [{podSelector: {}}]}"), C, A, 80, NO, "from y/a"),
    ("all namespaces", into("{from: [{namespaceSelector: {}}]}"), C, A, 80, YES, "rule 1"),
    ("selectors name no outsider", into("{from: [{namespaceSelector: {}}]}"), OUTSIDE, A, 80, NO, "from outside"),
    ("a port by name", into("{ports: [{port: web}]}"), B, A, 80, YES, "rule 1"),
    ("another port than that", into("{ports: [{port: web}]}"), B, A, 81, NO, "TCP 81"),
    ("a range", into("{ports: [{port: 79, endPort: 81}]}"), B, A, 81, YES, "rule 1"),
    ("beyond a range", into("{ports: [{port: 79, endPort: 81}]}"), B, A, 82, NO, "TCP 82"),
    ("another protocol", into("{ports: [{protocol: UDP, port: 80}]}"), B, A, 80, NO, "TCP 80"),
    ("a block", into(f"{{from: [{{ipBlock: {{cidr: {DOCUMENTATION}}}}}]}}"), OUTSIDE, A, 80, YES, "rule 1"),
    (
        "an exception",
        into(f"{{from: [{{ipBlock: {{cidr: {DOCUMENTATION}, except: [198.51.100.7/32]}}}}]}}"),
        *(OUTSIDE, A, 80, NO, "from outside"),
    ),
    ("policies add up", [DENY, *into(f"{{from: [{{{B_S}}}]}}")], B, A, 80, YES, "rule 1"),
    ("a pod and itself", [DENY, "{podSelector: {}, policyTypes: [Egress]}"], A, A, 80, YES, "itself"),
]


@pytest.mark.parametrize(
    ("specs", "source", "to", "port", "promised", "because"),
    [row[1:] for row in OF_THE_DOCUMENTATION],
    ids=[row[0] for row in OF_THE_DOCUMENTATION],
)
def test_what_the_documentation_says(
    specs: list[str], source: Party, to: Party, port: int, promised: Allowed, because: str
) -> None:
    found = said([policy(text) for text in specs], source, to, port)
    assert found.allowed is promised
    assert because in found.reason


def test_a_node_reaches_its_own_pods_whatever_is_denied() -> None:
    own, other = (Party(name, (ip_address("203.0.113.1"),), node=name) for name in ("worker", "worker2"))
    assert said([policy(DENY)], own, A).allowed is Allowed.YES
    assert said([policy(DENY)], other, A).allowed is Allowed.NO


def test_pods_on_their_nodes_network_are_left_open() -> None:
    hosted = Party("x/h", (ip_address("203.0.113.1"),), "x", {"app": "h"}, {}, {}, "worker2", host_network=True)
    assert said([policy(DENY)], B, hosted).allowed is Allowed.UNSPECIFIED
    by_label = policy("{podSelector: {matchLabels: {app: a}}, ingress: [{from: [{podSelector: {}}]}]}")
    assert said([by_label], hosted, A).allowed is Allowed.UNSPECIFIED
    assert said([by_label], B, A).allowed is Allowed.YES


@pytest.mark.parametrize(
    ("spec", "place"),
    [
        ("{podSelectr: {}}", "spec.podSelectr: there is no such field"),
        ("{podSelector: {}, ingress: [{from: [{}]}]}", "spec.ingress[0].from[0]: a peer is"),
        ("{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 192.0.2.0/24}, podSelector: {}}]}]}", "a peer is"),
        ("{podSelector: {}, ingress: [{ports: [{endPort: 9}]}]}", "ports[0]: endPort needs a port"),
        ("{podSelector: {}, ingress: [{ports: [{port: 0}]}]}", "spec.ingress[0].ports[0].port"),
        ("{podSelector: {matchExpressions: [{key: a, operator: In}]}}", "In takes values"),
        ("{podSelector: {matchExpressions: [{key: a, operator: Like}]}}", "matchExpressions[0].operator"),
        (
            "{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 192.0.2.0/24, except: [192.0.0.0/8]}}]}]}",
            "except",
        ),
    ],
)
def test_what_the_api_does_not_know_is_refused_with_its_place(spec: str, place: str) -> None:
    with pytest.raises(NotAPolicy) as refused:
        read(policy(spec))
    assert place in str(refused.value)


def as_party(end: Object) -> Party:
    return Party(
        name=f"{end['ns']}/{end['name']}",
        addresses=(ip_address(end["ip"]),),
        namespace=end["ns"],
        labels=end["labels"],
        namespace_labels=end["ns_labels"],
        ports={name: (Transport(protocol), number) for name, (protocol, number) in end["ports"].items()},
    )


PORTS = st.tuples(st.sampled_from(PROTOCOLS), st.sampled_from(NUMBERS))
SOME = st.lists(policies(), max_size=4)


def decided(items: list[Object], source: Object, to: Object, protocol: str, port: int) -> bool:
    found = said(items, as_party(source), as_party(to), port, Transport(protocol))
    assert found.allowed is not Allowed.UNSPECIFIED
    return found.allowed is Allowed.YES


@settings(max_examples=200, deadline=None)
@given(SOME, st.lists(ends(), min_size=2, max_size=4, unique_by=lambda end: (end["ns"], end["name"])))
def test_a_second_evaluator_says_the_same(items: list[Object], everybody: list[Object]) -> None:
    """Some 15 000 connections: every pair of each world, by every port and protocol."""
    known = [read(item) for item in items]
    parties = [(end, as_party(end)) for end in everybody]
    asked = [pair for pair in product(parties, parties) if pair[0][0]["ns"] or pair[1][0]["ns"]]
    for (source, one), (to, other) in asked:
        for protocol, port in product(PROTOCOLS, NUMBERS):
            found = decide(known, Connection(one, other, Transport(protocol), port))
            right = Allowed.YES if naive_policy.allowed(items, source, to, protocol, port) else Allowed.NO
            assert found.allowed is right, found.reason


@settings(max_examples=50, deadline=None)
@given(SOME, policies(), ends(), ends(), PORTS)
def test_a_policy_that_selects_nobody_changes_nothing(
    items: list[Object], more: Object, source: Object, to: Object, port: tuple[str, int]
) -> None:
    more["spec"]["podSelector"] = {"matchLabels": {"nobody": "has-this"}}
    assert decided([*items, more], source, to, *port) == decided(items, source, to, *port)


@settings(max_examples=50, deadline=None)
@given(policies(), SOME, ends(), ends(), PORTS)
def test_one_more_rule_takes_nothing_away(
    first: Object, items: list[Object], source: Object, to: Object, port: tuple[str, int]
) -> None:
    types = first["spec"].get("policyTypes") or ["Ingress", *(["Egress"] if first["spec"].get("egress") else [])]
    first["spec"]["policyTypes"] = types
    before = decided([first, *items], source, to, *port)
    for side in ("ingress", "egress"):
        first["spec"][side] = [*first["spec"].get(side, []), {}]
    assert not before or decided([first, *items], source, to, *port)


@settings(max_examples=50, deadline=None)
@given(SOME, st.randoms(), ends(), ends(), PORTS)
def test_the_order_of_policies_does_not_matter(
    items: list[Object], random: Any, source: Object, to: Object, port: tuple[str, int]
) -> None:
    shuffled = list(items)
    random.shuffle(shuffled)
    assert decided(shuffled, source, to, *port) == decided(items, source, to, *port)
