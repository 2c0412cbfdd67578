"""Addresses that two pods have, pods in a foreign subnet, subnets outside the pool: each is told."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_address

from fixtures.world.addresses import IPNetwork, Located, astray, misplaced, shared

POOL: list[IPNetwork] = [IPv4Network("10.244.0.0/16"), IPv6Network("fd00:10:244::/56")]
OF_WORKER: list[IPNetwork] = [IPv4Network("10.244.1.0/24"), IPv6Network("fd00:10:244:1::/64")]
SUBNETS = {"worker": OF_WORKER}


def pod(name: str, address: str) -> Located:
    return Located(name, "worker", ip_address(address))


def test_shared_addresses() -> None:
    known = [pod("a", "10.244.1.2"), pod("b", "10.244.1.3"), pod("c", "10.244.1.2")]
    assert shared(known) == ["10.244.1.2: a, c"]
    assert shared(known[:2]) == []


def test_pods_astray() -> None:
    assert astray([pod("a", "10.244.1.2"), pod("b", "fd00:10:244:1::2")], SUBNETS) == []
    assert astray([pod("c", "10.88.0.2")], SUBNETS) == ["c 10.88.0.2 on worker"]


def test_misplaced_subnets() -> None:
    assert misplaced(OF_WORKER, POOL) == []
    assert misplaced([IPv4Network("10.224.0.0/24")], POOL) == ["10.224.0.0/24"]
    assert misplaced([IPv4Network("10.0.0.0/8")], POOL) == ["10.0.0.0/8"]
    twice: list[IPNetwork] = [IPv4Network("10.244.1.0/24"), IPv4Network("10.244.1.128/25")]
    assert misplaced(twice, POOL) == ["10.244.1.0/24 and 10.244.1.128/25"]
