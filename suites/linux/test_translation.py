"""The destination is changed in prerouting, the source in postrouting, and conntrack knows both directions.

    red 192.0.2.11 ── to-red ── router ── to-blue ── blue 203.0.113.12
      asks 198.51.100.80:80

      comes in at to-red       ‹came›
      passes forward           ‹forward›
      goes out at to-blue      ‹went›
      the router remembers     ‹remembered›

Between the two hooks the packet has its new destination and still its old source. It fails where a packet is not
tracked, where a hook comes too late for what it is to change, or where the answer is not turned back.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address

import pytest

from clusters.capabilities import Capability
from fixtures.faults.fault import fault
from fixtures.probes.capture import Taps, rendered
from fixtures.probes.connections import Connection, Way, connections, listed
from fixtures.probes.kube_proxy_rules import rules
from fixtures.probes.plan import Destination, every
from fixtures.probes.runner import Prober
from fixtures.probes.trail import Filter
from fixtures.probes.ways import udp
from fixtures.proof import Proof
from fixtures.verdicts.expectation import all_of, reached
from fixtures.verdicts.judge import judge
from fixtures.verdicts.observation import Cell
from fixtures.workloads.lab import Lab
from fixtures.workloads.router import BLUE, FAR, RED, Routed, empty, routed
from fixtures.workloads.shadowing import WITHOUT_RIGHTS, shadowed

pytestmark = [pytest.mark.claim("LNX-8"), pytest.mark.needs("conntrack")]

VIRTUAL = IPv4Address("198.51.100.80")
PORT = 41_102
"""The source port that red asks from."""
WRONG_HOOKS = [("POSTROUTING", "DNAT", "--to-destination"), ("PREROUTING", "SNAT", "--to-source")]
by_each = pytest.mark.parametrize(
    "by",
    [
        pytest.param(Filter.IPTABLES, marks=pytest.mark.needs("nftables"), id="iptables-nft"),
        pytest.param(Filter.LEGACY, marks=pytest.mark.needs("iptables-legacy"), id="iptables-legacy"),
    ],
)


@pytest.fixture(scope="module")
def way(lab: Lab) -> Routed:
    """Red, the router and blue."""
    return routed(lab)


@fault(
    ground="way",
    reddens=("linux/translation/both_ends_are_changed_and_remembered",),
    spares=("linux/translation/each_has_its_hook",),
)
def untracked(way: Routed) -> Iterator[None]:
    """The router does not track what comes from red, and so translates nothing of it."""
    rule = ("PREROUTING", "-s", str(RED), "-j", "CT", "--notrack")
    iptables = "iptables-legacy" if way.lab.engine.can(Capability.IPTABLES_LEGACY) else "iptables"
    way.router.run(iptables, "-t", "raw", "-A", *rule)
    yield
    way.router.run(iptables, "-t", "raw", "-D", *rule)


@fault(
    ground="way",
    reddens=("linux/translation/each_has_its_hook",),
    spares=("linux/translation/both_ends_are_changed_and_remembered",),
)
def no_right_to_lay_rules(way: Routed) -> Iterator[None]:
    """Whoever lays rules in the router has no right to."""
    run = way.router.run
    real = f'exec {WITHOUT_RIGHTS} /usr/sbin/$(basename "$0") "$@"'
    with shadowed(run, "iptables-nft", real), shadowed(run, "iptables-legacy", real):
        yield


@contextmanager
def translating(way: Routed, by: Filter) -> Iterator[None]:
    """Rules that change the destination in prerouting and the source in postrouting; two that count between."""
    lines = [
        "*filter",
        f"-A FORWARD -s {RED} -d {BLUE} -p udp --sport {PORT} --dport 8080",
        f"-A FORWARD -p udp --sport {PORT}",
        "COMMIT",
        "*nat",
        f"-A PREROUTING -d {VIRTUAL} -p udp --dport 80 -j DNAT --to-destination {BLUE}:8080",
        f"-A POSTROUTING -d {BLUE} -p udp --dport 8080 -j SNAT --to-source {FAR}",
        "COMMIT",
        "",
    ]
    way.router.run(f"{by}-restore", "--noflush", stdin="\n".join(lines))
    try:
        yield
    finally:
        way.router.run(f"{by}-restore", stdin=empty("filter", "nat"))
        way.router.run("conntrack", "-D", "-p", "udp", "--orig-port-src", str(PORT), check=False)


def seen_at(taps: Taps, cell: Cell, link: str) -> list[str]:
    """From whom to whom the cell's request and answer went at that link of the router."""
    frames = [frame.packet for frame in taps.hops(cell) if frame.link == link]
    return [f"{it.source}:{it.source_port} → {it.destination}:{it.destination_port}" for it in frames if it]


@by_each
def test_both_ends_are_changed_and_remembered(way: Routed, lab_prober: Prober, proof: Proof, by: Filter) -> None:
    """Red asks an address that nobody has: blue answers, having been asked by the router; every stage is seen."""
    blue = Destination("blue", str(VIRTUAL), frozenset({"blue"}), way.blue.endpoint)
    patience = way.lab.engine.patience
    (cell,) = every([way.red.endpoint], [blue], [udp(80, source_port=PORT, timeout=patience)])
    with translating(way, by), way.lab.capture.on([way.router.endpoint], [cell]) as taps:
        seen = lab_prober.sweep([cell])
        counted = rules(way.router.run(f"{by}-save", "-c", "-t", "filter").out)
        known = connections(way.router.run("conntrack", "-L", "-p", "udp", "--orig-port-src", str(PORT)).out)

    proof.concludes(judge(all_of([cell], reached(seen_as=[FAR])), seen))
    proof.shows(rendered(taps.hops(cell)))
    came, went = seen_at(taps, cell, "to-red"), seen_at(taps, cell, "to-blue")
    between = [rule.packets for rule in counted if rule.chain == "FORWARD"]
    proof.draws({"came": came[0], "went": went[0], "remembered": listed([known])})
    proof.draws({"forward": f"{between[0]} of {between[1]} as {RED}:{PORT} → {BLUE}:8080"})
    wanted = Connection(Way(RED, PORT, VIRTUAL, 80), Way(BLUE, 8080, FAR, PORT))
    out = [f"{FAR}:{PORT} → {BLUE}:8080", f"{BLUE}:8080 → {FAR}:{PORT}"]
    proof.fact("asked as is, answered as asked", came == [str(wanted.asked), f"{VIRTUAL}:80 → {RED}:{PORT}"], came)
    proof.fact("in forward the destination is new and the source old", between == [1, 1], between)
    proof.fact("on blue's link both are new", went == out, went)
    proof.fact("conntrack has the original and the reply tuple", known == [wanted], listed([known]))


@by_each
def test_each_has_its_hook(way: Routed, proof: Proof, by: Filter) -> None:
    """DNAT in postrouting and SNAT in prerouting are refused by the kernel, which takes either in its own hook."""
    for (chain, target, option), (own, _, _) in zip(WRONG_HOOKS, reversed(WRONG_HOOKS), strict=True):
        rule = ("-j", target, option, str(BLUE))
        wrong = way.router.run(by, "-t", "nat", "-A", chain, *rule, check=False)
        right = way.router.run(by, "-t", "nat", "-A", own, *rule, check=False)
        way.router.run(by, "-t", "nat", "-F", check=False)

        refused = wrong.status != 0 and "Invalid argument" in wrong.err
        proof.fact(f"{target} in {chain} is refused as invalid", refused, wrong.err.strip())
        proof.fact(f"{target} in {own} is taken", right.status == 0, right.err.strip() or "taken")
