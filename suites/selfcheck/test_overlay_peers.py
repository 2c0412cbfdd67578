"""A host's entries for a swarm's network and the truth are told apart in words."""

from __future__ import annotations

from ipaddress import ip_address

from fixtures.lab.overlay_peers import Difference, Peer

MAC = "02:42:c6:33:64:0c"
HERE, THERE = ip_address("192.0.2.2"), ip_address("192.0.2.3")
AT_BLUE = Peer(ip_address("198.51.100.12"), MAC, HERE)


def test_none_is_false_and_says_so() -> None:
    same = Difference("red", frozenset(), frozenset())
    assert not same
    assert str(same) == "as they are"


def test_what_leads_elsewhere_is_missing_and_stale() -> None:
    moved = Difference("red", frozenset({AT_BLUE}), frozenset({Peer(AT_BLUE.address, MAC, THERE)}))
    assert moved
    assert str(moved) == (f"lacks 198.51.100.12 {MAC} behind 192.0.2.2; has 198.51.100.12 {MAC} behind 192.0.2.3")


def test_half_an_entry_is_named() -> None:
    halves = Difference("red", frozenset(), frozenset({Peer(None, MAC, HERE), Peer(AT_BLUE.address, MAC, None)}))
    assert str(halves) == f"has 198.51.100.12 {MAC} behind no host; has nobody {MAC} behind 192.0.2.2"
