"""The clauses of the policy suite are what the API takes, each named once, and counted."""

from __future__ import annotations

import json
from collections import Counter
from ipaddress import ip_address

import pytest

from fixtures.verdicts.network_policy import NetworkPolicy, Transport, read
from fixtures.verdicts.policy_oracle import Allowed, Connection, Party, decide
from suites.policy.clauses import CLAUSES, Clause

PODS = {
    f"{namespace}-{pod}": Party(
        f"{namespace}-{pod}",
        (ip_address(f"192.0.2.{10 * row + column}"),),
        namespace,
        {"pod": pod},
        {"ns": namespace},
        {"serve-80-tcp": (Transport.TCP, 80), "serve-81-udp": (Transport.UDP, 81)},
    )
    for row, namespace in enumerate("xyz", start=1)
    for column, pod in enumerate("abc", start=1)
}
OPEN_ON_PURPOSE = {
    "allow-all-ingress",
    "an-exception-that-another-peer-allows",
    "empty-lists-in-a-rule",
    "from-all-namespaces",
    "selected-by-does-not-exist",
}


def policies(clause: Clause) -> list[NetworkPolicy]:
    text = json.dumps(clause.policies, ensure_ascii=False).replace("‹pods›", "192.0.2.0/24")
    for name, party in PODS.items():
        text = text.replace(f"‹{name}›", str(party.addresses[0]))
    return [read(item) for item in json.loads(text)]


def test_each_has_a_name_of_its_own() -> None:
    assert [name for name, times in Counter(clause.name for clause in CLAUSES).items() if times > 1] == []


def test_they_are_counted() -> None:
    counted = Counter(clause.tag for clause in CLAUSES)
    assert counted == {"isolation": 8, "selector": 5, "peer": 9, "port": 7, "rules": 4, "block": 5}


@pytest.mark.parametrize("clause", CLAUSES, ids=lambda clause: clause.name)
def test_each_denies_something_and_leaves_something_open(clause: Clause) -> None:
    known = policies(clause)
    asked = [
        Connection(one, other, protocol, port)
        for one in PODS.values()
        for other in PODS.values()
        for protocol in (Transport.TCP, Transport.UDP)
        for port in (80, 81)
    ]
    seen = {decide(known, it).allowed for it in asked}
    assert seen == ({Allowed.YES} if clause.name in OPEN_ON_PURPOSE else {Allowed.YES, Allowed.NO})
