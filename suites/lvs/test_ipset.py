"""A set of addresses is looked up once for each packet, a list of rules is walked through; both say the same.

    client 192.0.2.200, 192.0.2.210 ──→ one 192.0.2.11   INPUT → a list of 10 000 rules, one for each address
                                                         INPUT → one rule, for a set of the same 10 000

192.0.2.210 is the last of the addresses, which are refused; 192.0.2.200 is none of them. Fails where list and set
do not hold the same, and where packets leave the list before its end.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address

import pytest

from fixtures.endpoints.inside import routed
from fixtures.evidence.drawing import in_words
from fixtures.faults.fault import fault
from fixtures.lab.flood import RoundTrips, flood
from fixtures.lab.ipvs import PORT
from fixtures.lab.topologies.lvs_farm import CLIENT, Farm
from fixtures.plugins.proof import Proof
from fixtures.probes.plan import address_of, at, every
from fixtures.probes.runner import Prober
from fixtures.probes.ways import tcp, udp
from fixtures.verdicts.expectation import Expectation, all_of, reached, refused
from fixtures.verdicts.judge import Judgement, judge

pytestmark = [pytest.mark.needs("ipset"), pytest.mark.claim("LVS-5")]

MEMBER = IPv4Address("192.0.2.210")
ADDRESSES = [*(IPv4Address("198.18.0.0") + number for number in range(9_999)), MEMBER]
LIST, SET = "NETPROOF-LIST", "NETPROOF-SET"
"""Chains; each ends with a rule that does nothing, and so counts the packets that have come to the end."""
NAME = "netproof"
"""The set's."""
PACKETS = 300


@dataclass(frozen=True)
class Filtered:
    """The farm, where `one` has both chains, and packets go through neither yet."""

    farm: Farm

    def run(self, *words: str, tool: str = "", stdin: str = "") -> str:
        """Run iptables, or a tool that goes with it ("restore"), on `one`."""
        iptables = self.farm.lab.engine.iptables
        return self.farm.one.run("-".join(filter(None, (iptables, tool))), *words, stdin=stdin).out

    @contextmanager
    def through(self, chain: str) -> Iterator[None]:
        """What arrives at `one` goes through that chain while a block lasts."""
        self.run("-I", "INPUT", "-j", chain)
        try:
            yield
        finally:
            self.run("-D", "INPUT", "-j", chain)

    def asked(self, prober: Prober, source: IPv4Address, promise: Expectation) -> Judgement:
        """The client asks `one` by TCP and UDP from that address of its own."""
        client, one = self.farm.client.endpoint, self.farm.one.endpoint
        ways = [way(PORT, timeout=self.farm.lab.engine.patience) for way in (tcp, udp)]
        cells = every([client], [at(one)], ways)
        route = (str(address_of(one)), "dev", "eth0", "src", str(source))
        with routed(self.farm.lab.conversations, client, *route):
            return judge(all_of(cells, promise), prober.sweep(cells))

    def flooded(self, chain: str) -> tuple[RoundTrips, int]:
        """Round trips of packets that go through that chain, and how many of them came to its end."""
        self.run("-Z", chain)
        with self.through(chain):
            trips = flood(self.farm.client, address_of(self.farm.one.endpoint), PACKETS)
        counted = self.run("-L", chain, str(self.rules(chain)), "-v", "-x", "-n")
        return trips, int(counted.split()[0])

    def rules(self, chain: str) -> int:
        """How many rules a chain has."""
        return sum(line.startswith("-A ") for line in self.run("-S", chain).splitlines())


@pytest.fixture(scope="module")
def filtered(farm: Farm) -> Iterator[Filtered]:
    """Both chains, the set, and one more address of the client."""
    made = Filtered(farm)
    adds = [f"add {NAME} {address}" for address in ADDRESSES]
    farm.one.run("ipset", "restore", stdin="\n".join([f"create {NAME} hash:ip", *adds, ""]))
    rules = [f"-A {LIST} -s {address}/32 -j REJECT" for address in ADDRESSES]
    rules += [f"-A {SET} -m set --match-set {NAME} src -j REJECT", f"-A {LIST}", f"-A {SET}"]
    chains = [f":{chain} - [0:0]" for chain in (LIST, SET)]
    made.run("--noflush", tool="restore", stdin="\n".join(["*filter", *chains, *rules, "COMMIT", ""]))
    farm.client.configure(f"address add {MEMBER}/32 dev eth0")
    yield made
    farm.client.configure(f"address delete {MEMBER}/32 dev eth0")
    for chain in (LIST, SET):
        made.run("-F", chain)
        made.run("-X", chain)
    farm.one.run("ipset", "destroy", NAME)


@fault(
    site="filtered",
    reddens={"lvs/ipset/lookup_or_walk": "the list has a rule for each address"},
    spares=("lvs/ipset/same_verdict",),
)
def the_list_is_left_at_once(filtered: Filtered) -> Iterator[None]:
    """A first rule sends echo requests back out of the list."""
    filtered.run("-I", LIST, "-p", "icmp", "-j", "RETURN")
    yield
    filtered.run("-D", LIST, "-p", "icmp", "-j", "RETURN")


@fault(site="filtered", reddens={"lvs/ipset/same_verdict": "client → one"}, spares=("lvs/ipset/lookup_or_walk",))
def the_set_lacks_a_member(filtered: Filtered) -> Iterator[None]:
    """The set does not have the client's address that the list has."""
    filtered.farm.one.run("ipset", "del", NAME, str(MEMBER))
    yield
    filtered.farm.one.run("ipset", "add", NAME, str(MEMBER))


def test_same_verdict(filtered: Filtered, lab_prober: Prober, proof: Proof) -> None:
    """The last of 10 000 addresses is refused, one that is none of them answered, by the list as by the set.

        client 192.0.2.210, the last of them ──→ one 192.0.2.11   list ‹list, last›
                                                                  set  ‹set, last›
        client 192.0.2.200, none of them     ──→ one 192.0.2.11   list ‹list, none›
                                                                  set  ‹set, none›

    By TCP and UDP.
    """
    judged = {}
    for name, chain in (("list", LIST), ("set", SET)):
        with filtered.through(chain):
            judged[f"{name}, last"] = filtered.asked(lab_prober, MEMBER, refused())
            judged[f"{name}, none"] = filtered.asked(lab_prober, CLIENT, reached(seen_as=[CLIENT]))

    proof.draws({place: in_words([*judgement.sweep]) for place, judgement in judged.items()})
    proof.concludes(*judged.values())


def test_lookup_or_walk(filtered: Filtered, proof: Proof) -> None:
    """300 packets walk through all 10 000 rules of the list, 300 through the one of the set: a ratio of times.

        client 192.0.2.200 ──→ one 192.0.2.11   a list of ‹list rules› rules   round trip ‹list trip›
                                                a set and ‹set rules› rules    round trip ‹set trip›
                                                                               ‹ratio› times as long

    The quickest of all round trips is taken, which hardly anything else on the machine can slow down.
    """
    by_list, walked = filtered.flooded(LIST)
    by_set, looked_up = filtered.flooded(SET)

    rules, rule = filtered.rules(LIST), filtered.rules(SET)
    proof.draws(
        {
            "list rules": rules,
            "set rules": rule,
            "list trip": f"{by_list.quickest * 1e6:.0f} µs",
            "set trip": f"{by_set.quickest * 1e6:.0f} µs",
            "ratio": f"{by_list.quickest / by_set.quickest:.1f}",
        }
    )
    proof.measured("round trip by list / by set", by_list.quickest / by_set.quickest, "times")
    proof.fact("the list has a rule for each address", rules == len(ADDRESSES) + 1, rules)
    proof.fact("the set has one for all", rule == 2, rule)
    proof.fact("every packet was answered", (by_list.answered, by_set.answered) == (PACKETS, PACKETS), by_list)
    proof.fact("each walked to the end", walked == looked_up == PACKETS, (walked, looked_up))
    proof.fact("the walk takes longer than the look-up", by_list.quickest > by_set.quickest, (by_list, by_set))
