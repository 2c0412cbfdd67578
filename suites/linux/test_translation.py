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
from contextlib import ExitStack

import pytest

from clusters.capabilities import Capability
from fixtures.endpoints.conversation import Ran
from fixtures.endpoints.shadowing import WITHOUT_RIGHTS, shadowed
from fixtures.faults.fault import fault
from fixtures.lab.lab import Lab
from fixtures.lab.topologies.router import BLUE, FAR, RED, Routed, routed
from fixtures.lab.topologies.translating import HOOKS, INVALID, VIRTUAL, Turn, translating, try_out
from fixtures.lab.trail import Filter
from fixtures.plugins.proof import Proof
from fixtures.probes.capture import Taps, rendered
from fixtures.probes.connections import Connection, Way, connections, listed
from fixtures.probes.plan import Destination, every
from fixtures.probes.runner import Prober
from fixtures.probes.ways import udp
from fixtures.verdicts.expectation import all_of, reached
from fixtures.verdicts.judge import judge
from fixtures.verdicts.observation import Cell

pytestmark = [pytest.mark.claim("LNX-8"), pytest.mark.needs("conntrack")]

PORT = 41_102
"""The source port that red asks from."""
by_each = pytest.mark.parametrize(
    "by",
    [
        pytest.param(Filter.IPTABLES, marks=pytest.mark.needs("nftables"), id="iptables-nft"),
        pytest.param(Filter.LEGACY, marks=pytest.mark.needs("iptables-legacy"), id="iptables-legacy"),
        pytest.param(Filter.NFT, marks=pytest.mark.needs("nftables"), id="nft"),
    ],
)


@pytest.fixture(scope="module")
def way(lab: Lab) -> Routed:
    """Red, the router and blue."""
    return routed(lab)


@fault(
    site="way",
    reddens={"linux/translation/both_ends_are_changed_and_remembered": "red → blue"},
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
    site="way",
    reddens={"linux/translation/each_has_its_hook": "dnat in postrouting is refused:"},
    spares=("linux/translation/both_ends_are_changed_and_remembered",),
)
def no_right_to_lay_rules(way: Routed) -> Iterator[None]:
    """Whoever lays a rule by a command of its own has no right to: whole sets of rules are still taken."""
    run = way.router.run
    real = f'case $1 in -t|add*) without="{WITHOUT_RIGHTS}";; esac\nexec $without /usr/sbin/$(basename "$0") "$@"'
    with ExitStack() as stack:
        for by in Filter:
            stack.enter_context(shadowed(run, by, real))
        yield


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
    with translating(way, by, PORT) as rules, way.lab.capture.on([way.router.endpoint], [cell]) as taps:
        seen = lab_prober.sweep([cell])
        between = rules.forwarded()
        known = connections(way.router.run("conntrack", "-L", "-p", "udp", "--orig-port-src", str(PORT)).out)

    proof.concludes(judge(all_of([cell], reached(seen_as=[FAR])), seen))
    proof.shows(rendered(taps.hops(cell)))
    came, went = seen_at(taps, cell, "to-red"), seen_at(taps, cell, "to-blue")
    proof.draws({"came": came[0], "went": went[0], "remembered": listed([known])})
    proof.draws({"forward": f"{between[0]} of {between[1]} as {RED}:{PORT} → {BLUE}:8080"})
    wanted = Connection(Way(RED, PORT, VIRTUAL, 80), Way(BLUE, 8080, FAR, PORT))
    out = [f"{FAR}:{PORT} → {BLUE}:8080", f"{BLUE}:8080 → {FAR}:{PORT}"]
    proof.fact("asked as is, answered as asked", came == [str(wanted.asked), f"{VIRTUAL}:80 → {RED}:{PORT}"], came)
    proof.fact("in forward the destination is new and the source old", between == (1, 1), between)
    proof.fact("on blue's link both are new", went == out, went)
    proof.fact("conntrack has the original and the reply tuple", known == [wanted], listed([known]))


@by_each
def test_each_has_its_hook(way: Routed, proof: Proof, by: Filter) -> None:
    """DNAT in postrouting and SNAT in prerouting are refused by the kernel, which takes either in its own hook.

        red 192.0.2.11 ──→ prerouting ─────────── router ──────────→ postrouting ──→ blue 203.0.113.12
                    dnat   ‹dnat in prerouting›                      ‹dnat in postrouting›
                    snat   ‹snat in prerouting›                      ‹snat in postrouting›

    The kernel's own answer is read, to whoever asks for the rule.
    """
    for turn in Turn:
        right, wrong = try_out(way, by, turn, turn), try_out(way, by, turn, turn.other)

        own, others = f"{turn} in {HOOKS[turn].name}", f"{turn} in {HOOKS[turn.other].name}"
        proof.draws({own: answer(right, by), others: answer(wrong, by)})
        refused = wrong.status != 0 and INVALID[by] in wrong.err
        proof.fact(f"{others} is refused: {INVALID[by]}", refused, wrong.err.strip())
        proof.fact(f"{own} is taken", right.status == 0, right.err.strip() or "taken")


def answer(said: Ran, by: Filter) -> str:
    """What the kernel said, in short."""
    if said.status == 0:
        return "taken"
    return f"refused: {INVALID[by] if INVALID[by] in said.err else said.err.strip()}"
