"""kube-proxy's nftables table is read: maps, and whom a chain turns packets to."""

from __future__ import annotations

import json
from typing import Any

from fixtures.probes.kube_proxy_maps import read


def rule(chain: str, *expr: Any) -> dict[str, Any]:
    return {"rule": {"family": "ip", "table": "kube-proxy", "chain": chain, "expr": list(expr)}}


TABLE = [
    {"metainfo": {"version": "1.0.6"}},
    {
        "map": {
            "family": "ip",
            "name": "service-ips",
            "table": "kube-proxy",
            "map": "verdict",
            "elem": [
                [{"concat": ["10.96.0.10", "tcp", 53]}, {"goto": {"target": "service-dns"}}],
                [
                    {"elem": {"val": {"concat": ["10.96.0.11", "tcp", 80]}, "comment": "web"}},
                    {"goto": {"target": "service-web"}},
                ],
            ],
        }
    },
    {
        "map": {
            "family": "ip",
            "name": "service-nodeports",
            "table": "kube-proxy",
            "map": "verdict",
            "elem": [[{"concat": ["tcp", 30080]}, {"goto": {"target": "external-web"}}]],
        }
    },
    rule("external-web", {"jump": {"target": "mark-for-masquerade"}}),
    rule("external-web", {"goto": {"target": "service-web"}}),
    rule(
        "service-web",
        {
            "vmap": {
                "key": {"numgen": {"mode": "random", "mod": 2}},
                "data": {
                    "set": [[0, {"goto": {"target": "endpoint-1"}}], [1, {"goto": {"target": "endpoint-2"}}]]
                },
            }
        },
    ),
    rule(
        "endpoint-1",
        {
            "dnat": {
                "addr": {
                    "map": {
                        "key": {"numgen": {"mode": "random", "mod": 1, "offset": 0}},
                        "data": {"set": [[0, {"concat": ["10.244.1.2", 8080]}]]},
                    }
                }
            }
        },
    ),
    rule("endpoint-2", {"dnat": {"addr": "10.244.2.2", "port": 8080}}),
]


BOTH = frozenset({"10.244.1.2:8080", "10.244.2.2:8080"})


def test_a_virtual_address_leads_to_its_endpoints() -> None:
    maps = read(json.dumps({"nftables": TABLE}))
    assert maps.endpoints("10.96.0.11", "tcp", 80) == BOTH
    assert maps.endpoints("10.96.0.10", "tcp", 53) == frozenset()
    assert maps.endpoints("10.96.0.11", "udp", 80) is None


def test_a_node_port_leads_to_the_same() -> None:
    maps = read(json.dumps({"nftables": TABLE}))
    assert maps.endpoints_of_node_port("tcp", 30080) == BOTH
    assert maps.endpoints_of_node_port("tcp", 30081) is None
