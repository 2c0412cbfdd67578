"""A packet passes the hooks in one order: prerouting, then input or forward, then postrouting where it leaves.

    red 192.0.2.11 ── to-red  router  to-blue ── blue 203.0.113.12

Each hook raises the packet's mark by one, and counts by the mark that it found: the order is the kernel's own
word. It fails where a hook is passed twice or not at all, or where something has marked the packet before.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from clusters.capabilities import Capability
from fixtures.faults.fault import fault
from fixtures.lab.lab import Lab
from fixtures.lab.machine import Machine
from fixtures.lab.topologies.router import NEAR, Routed, routed
from fixtures.lab.trail import Filter, in_words, trail
from fixtures.plugins.proof import Proof
from fixtures.probes.plan import Destination, at, every
from fixtures.probes.runner import Prober
from fixtures.probes.ways import udp
from fixtures.verdicts.expectation import all_of, reached
from fixtures.verdicts.judge import judge

pytestmark = pytest.mark.claim("LNX-8")

by_each = pytest.mark.parametrize(
    "by",
    [
        pytest.param(Filter.IPTABLES, marks=pytest.mark.needs("nftables"), id="iptables-nft"),
        pytest.param(Filter.LEGACY, marks=pytest.mark.needs("iptables-legacy"), id="iptables-legacy"),
        pytest.param(Filter.NFT, marks=pytest.mark.needs("nftables"), id="nft"),
    ],
)
PORT = 41_101
"""The source port that the rules look for: answers do not have it."""


@pytest.fixture(scope="module")
def way(lab: Lab) -> Routed:
    """Red, the router and blue."""
    return routed(lab)


@fault(
    site="way",
    reddens=("linux/hooks/through_the_router",),
    spares=("linux/hooks/to_the_router_itself", "linux/hooks/from_the_router_itself"),
    says="blue",
)
def not_forwarding(way: Routed) -> Iterator[None]:
    """The router does not forward."""
    with way.lab.setting(way.router, "net.ipv4.ip_forward", "0"):
        yield


@fault(
    site="way",
    reddens={
        "linux/hooks/through_the_router": "prerouting, forward, postrouting",
        "linux/hooks/to_the_router_itself": "prerouting, input",
    },
    spares=("linux/hooks/from_the_router_itself",),
)
def marked_on_arrival(way: Routed) -> Iterator[None]:
    """Something marks every packet that comes in before the first hook counts."""
    with marked(way, "PREROUTING"):
        yield


@fault(
    site="way",
    reddens={"linux/hooks/from_the_router_itself": "output, postrouting"},
    spares=("linux/hooks/through_the_router", "linux/hooks/to_the_router_itself"),
)
def marked_at_birth(way: Routed) -> Iterator[None]:
    """Something marks every packet of the router's own before the first hook counts."""
    with marked(way, "OUTPUT"):
        yield


@contextmanager
def marked(way: Routed, chain: str) -> Iterator[None]:
    """Every UDP packet is marked in that chain of the table raw, which comes before mangle."""
    iptables = "iptables-legacy" if way.lab.engine.can(Capability.IPTABLES_LEGACY) else "iptables"
    rule = (chain, "-p", "udp", "-j", "MARK", "--set-mark", "1")
    way.router.run(iptables, "-t", "raw", "-A", *rule)
    try:
        yield
    finally:
        way.router.run(iptables, "-t", "raw", "-D", *rule)


def passes(
    way: Routed, by: Filter, who: Machine, whom: Destination, prober: Prober, proof: Proof
) -> list[tuple[int, str, int]]:
    """Have one datagram sent, judge that it arrived, and say which hooks of the router it passed, in order."""
    cells = every([who.endpoint], [whom], [udp(8080, source_port=PORT, timeout=way.lab.engine.patience)])
    with trail(way.router, by, PORT) as marks:
        seen = prober.sweep(cells)
        passed = marks.steps()
    proof.shows(in_words(passed))
    proof.concludes(judge(all_of(cells, reached()), seen))
    return passed


@by_each
def test_through_the_router(way: Routed, lab_prober: Prober, proof: Proof, by: Filter) -> None:
    """A packet for another passes prerouting, forward and postrouting, in this order and each once.

        red 192.0.2.11 ──→ router: ‹forwarded› ──→ blue 203.0.113.12

    In brackets is how many packets a hook counted at its place in the order.
    """
    passed = passes(way, by, way.red, at(way.blue.endpoint), lab_prober, proof)

    proof.draws({"forwarded": in_words(passed)})
    promised = [(0, "prerouting", 1), (1, "forward", 1), (2, "postrouting", 1)]
    proof.fact("prerouting, forward, postrouting", passed == promised, in_words(passed))


@by_each
def test_to_the_router_itself(way: Routed, lab_prober: Prober, proof: Proof, by: Filter) -> None:
    """A packet for the router itself passes prerouting and input, and no other.

        red 192.0.2.11 ──→ router 192.0.2.1: ‹delivered›

    In brackets is how many packets a hook counted at its place in the order.
    """
    passed = passes(way, by, way.red, way.router_at(NEAR), lab_prober, proof)

    proof.draws({"delivered": in_words(passed)})
    proof.fact("prerouting, input", passed == [(0, "prerouting", 1), (1, "input", 1)], in_words(passed))


@by_each
def test_from_the_router_itself(way: Routed, lab_prober: Prober, proof: Proof, by: Filter) -> None:
    """A packet of the router's own passes output and postrouting, and no other.

        router 203.0.113.1: ‹sent› ──→ blue 203.0.113.12

    In brackets is how many packets a hook counted at its place in the order.
    """
    passed = passes(way, by, way.router, at(way.blue.endpoint), lab_prober, proof)

    proof.draws({"sent": in_words(passed)})
    proof.fact("output, postrouting", passed == [(0, "output", 1), (1, "postrouting", 1)], in_words(passed))
