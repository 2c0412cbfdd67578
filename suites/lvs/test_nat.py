"""By NAT the director rewrites the destination on the way in and the source on the way out, so it has to see both.

    client 192.0.2.200                        one, two, three 192.0.2.11 to 13
       │ asks 192.0.2.100:8080                   │ way back to 192.0.2.192/26: by 192.0.2.1
       └──────── director 192.0.2.1, NAT ────────┘

    TCP ‹client→vip tcp›
    UDP ‹client→vip udp›

Fails where a packet takes another way than by the director alone, where requests are not handed out in turn, and
where something else than IPVS translates.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from ipaddress import IPv4Address

import pytest

from fixtures.faults.fault import fault
from fixtures.lab.ipvs import PORT, Forwarding, Scheduler, VirtualServer, afresh, virtual_server
from fixtures.lab.topologies.lvs_farm import CLIENT, Farm
from fixtures.plugins.proof import Proof
from fixtures.probes.addressed import looks
from fixtures.probes.capture import rendered
from fixtures.probes.connections import Connection, Way, connections, listed
from fixtures.probes.plan import address_of, every
from fixtures.probes.runner import Prober
from fixtures.probes.ways import get, tcp, udp
from fixtures.verdicts.expectation import all_of, reached
from fixtures.verdicts.judge import judge
from fixtures.verdicts.spread import shares, shares_in_words

pytestmark = [pytest.mark.needs("ipvs", "conntrack"), pytest.mark.claim("LVS-5")]

VIRTUAL = IPv4Address("192.0.2.100")
TRACKED = ("FORWARD", "-m", "conntrack", "--ctstate", "ESTABLISHED")
"""A rule that has the kernel track connections at all, as any firewall on a director does."""


@dataclass(frozen=True)
class Nat:
    """The farm with a virtual server by NAT, and ways back through the director."""

    farm: Farm
    service: VirtualServer
    iptables: str


@pytest.fixture(scope="module")
def nat(farm: Farm) -> Iterator[Nat]:
    """The virtual server, ways back, and a rule on the director that tracks connections."""
    iptables = farm.lab.engine.iptables
    with virtual_server(farm.director, VIRTUAL, farm.servers, Forwarding.NAT) as service, farm.way_back():
        farm.director.run(iptables, "-A", *TRACKED)
        yield Nat(farm, service, iptables)
        farm.director.run(iptables, "-D", *TRACKED)


@fault(
    site="nat",
    reddens={"lvs/nat/both_ways_are_rewritten": "both ways are rewritten by the director"},
    spares=("lvs/nat/answers_in_turn", "lvs/nat/conntrack_on"),
)
def two_is_reached_by_one(nat: Nat) -> Iterator[None]:
    """What the director has for `two` goes by `one`, which forwards it."""
    one, two = nat.farm.one, nat.farm.two
    detour = f"{address_of(two.endpoint)}/32 via {address_of(one.endpoint)}"
    with ExitStack() as settings:
        for key, value in (
            ("ip_forward", "1"),
            ("conf.all.send_redirects", "0"),
            ("conf.eth0.send_redirects", "0"),
        ):
            settings.enter_context(nat.farm.lab.setting(one, f"net.ipv4.{key}", value))
        nat.farm.director.configure(f"route add {detour}")
        yield
        nat.farm.director.configure(f"route delete {detour}")


@fault(
    site="nat",
    reddens={"lvs/nat/answers_in_turn": "each real server answers 9"},
    spares=("lvs/nat/both_ways_are_rewritten",),
)
def two_weighs_more(nat: Nat) -> Iterator[None]:
    """The director chooses by weight, and `two` has as much as the others together."""
    nat.service.schedule(Scheduler.WEIGHTED)
    nat.service.weigh(nat.farm.two, 2)
    yield
    nat.service.weigh(nat.farm.two, 1)
    nat.service.schedule(Scheduler.ROUND_ROBIN)


@fault(
    site="nat",
    reddens={"lvs/nat/conntrack_on": "conntrack has both sides of each"},
    spares=("lvs/nat/answers_in_turn", "lvs/nat/conntrack_off"),
)
def nothing_is_tracked(nat: Nat) -> Iterator[None]:
    """The director is told not to track connections to the virtual server."""
    rule = ["PREROUTING", "-d", str(VIRTUAL), "-j", "CT", "--notrack"]
    nat.farm.director.run(nat.iptables, "-t", "raw", "-A", *rule)
    yield
    nat.farm.director.run(nat.iptables, "-t", "raw", "-D", *rule)


@fault(
    site="nat",
    reddens={
        "lvs/nat/answers_in_turn": "each real server answers 9",
        "lvs/nat/conntrack_on": "IPVS remembers them",
        "lvs/nat/conntrack_off": "IPVS remembers them",
    },
    spares=("lvs/nat/both_ways_are_rewritten",),
)
def iptables_translates(nat: Nat) -> Iterator[None]:
    """A DNAT rule takes the requests before IPVS sees them, all to `two`."""
    rule = [
        "PREROUTING",
        "-d",
        str(VIRTUAL),
        "-j",
        "DNAT",
        "--to-destination",
        str(address_of(nat.farm.two.endpoint)),
    ]
    nat.farm.director.run(nat.iptables, "-t", "nat", "-A", *rule)
    yield
    nat.farm.director.run(nat.iptables, "-t", "nat", "-D", *rule)
    nat.farm.director.run("conntrack", "--delete", "--orig-dst", str(VIRTUAL), check=False)


def test_answers_in_turn(nat: Nat, lab_prober: Prober, proof: Proof) -> None:
    """12 requests by TCP, 12 by UDP, 3 large ones by HTTP: each real server answers 9, and sees the client.

        client 192.0.2.200 ──asks 192.0.2.100──→ director 192.0.2.1 ──NAT──→ one, two, three 192.0.2.11 to 13

        TCP ‹client→vip tcp›, UDP ‹client→vip udp›, HTTP ‹client→vip http›
        answered by ‹shares›

    The large ones need many packets each way, all of one connection.
    """
    patience = nat.farm.lab.engine.patience
    ways = afresh([tcp(PORT, timeout=patience), udp(PORT, timeout=patience)] * 12)
    ways += [get(PORT, size=200_000, timeout=patience)] * 3
    cells = every([nat.farm.client.endpoint], [nat.service.destination], ways)

    seen = lab_prober.sweep(cells)

    proof.concludes(judge(all_of(cells, reached(seen_as=[CLIENT])), seen))
    proof.draws({"shares": shares_in_words(shares(seen))})
    proof.fact("each real server answers 9", shares(seen) == {"one": 9, "two": 9, "three": 9}, shares(seen))


def test_both_ways_are_rewritten(nat: Nat, lab_prober: Prober, proof: Proof) -> None:
    """Captured everywhere: the director puts the real server's address on a request, and its own on the reply.

        client ──→ director                  ‹asked›
                   director ──→ real server  ‹passed on›
                   director ←── real server  ‹answered›
        client ←── director                  ‹passed back›

    What is written on a packet is held against the promise at every link that it passes.
    """
    farm, patience = nat.farm, nat.farm.lab.engine.patience
    ways = [tcp(PORT, timeout=patience)] * 3 + [udp(PORT, timeout=patience)] * 3
    cells = every([farm.client.endpoint], [nat.service.destination], ways)

    with farm.lab.capture.on([machine.endpoint for machine in farm.machines], cells) as taps:
        sweep = lab_prober.sweep(cells)

    proof.concludes(judge(all_of(cells, reached()), sweep))
    proof.evidence("frames.txt", rendered(taps.frames))
    seen = [looks(taps.hops(cell)) for cell in cells]
    proof.draws(dict(zip(("asked", "passed on", "answered", "passed back"), seen[0][::2], strict=False)))
    promised = [rewritten(farm, one.answered_by) for one in sweep]
    proof.fact("both ways are rewritten by the director", seen == promised, seen)


def rewritten(farm: Farm, server: str) -> list[str]:
    """What is on a request and its reply, link after link."""
    real = address_of(farm.lab.machines[server].endpoint)
    return [
        f"client eth0 out {CLIENT} > {VIRTUAL}",
        f"director eth0 in {CLIENT} > {VIRTUAL}",
        f"director eth0 out {CLIENT} > {real}",
        f"{server} eth0 in {CLIENT} > {real}",
        f"{server} eth0 out {real} > {CLIENT}",
        f"director eth0 in {real} > {CLIENT}",
        f"director eth0 out {VIRTUAL} > {CLIENT}",
        f"client eth0 in {VIRTUAL} > {CLIENT}",
    ]


def test_conntrack_off(nat: Nat, lab_prober: Prober, proof: Proof) -> None:
    """With net.ipv4.vs.conntrack=0 the director's own table has a connection, and conntrack has not.

        client 192.0.2.200 ──asks 192.0.2.100──→ director 192.0.2.1 ──NAT──→ real server
                                                 IPVS remembers ‹by IPVS›
                                                 conntrack has  ‹by conntrack›

    A rule on the director has conntrack look at all that passes; what IPVS handles it is kept from.
    """
    with nat.farm.lab.setting(nat.farm.director, "net.ipv4.vs.conntrack", "0"):
        made = answered(nat, lab_prober, proof)

    remembered, known = made & nat.service.connections(), made & tracked(nat)
    proof.draws({"by IPVS": listed([remembered]), "by conntrack": listed([known])})
    proof.fact("IPVS remembers them", remembered == made, listed([remembered]))
    proof.fact("conntrack has no entry of them", not known, listed([known]))


def test_conntrack_on(nat: Nat, lab_prober: Prober, proof: Proof) -> None:
    """With net.ipv4.vs.conntrack=1 conntrack has it too: asked of the virtual server, answered by a real one.

        client 192.0.2.200 ──asks 192.0.2.100──→ director 192.0.2.1 ──NAT──→ real server
                                                 IPVS remembers ‹by IPVS›
                                                 conntrack has  ‹by conntrack›

    Firewall rules by connection and masquerade rest on that entry.
    """
    with nat.farm.lab.setting(nat.farm.director, "net.ipv4.vs.conntrack", "1"):
        made = answered(nat, lab_prober, proof)

    remembered, known = made & nat.service.connections(), made & tracked(nat)
    proof.draws({"by IPVS": listed([remembered]), "by conntrack": listed([known])})
    proof.fact("IPVS remembers them", remembered == made, listed([remembered]))
    proof.fact("conntrack has both sides of each", known == made, listed([known]))


def answered(nat: Nat, prober: Prober, proof: Proof) -> frozenset[Connection]:
    """Ask by TCP and UDP; each connection as a translator has to remember it, by what the two ends saw of it."""
    patience = nat.farm.lab.engine.patience
    cells = every(
        [nat.farm.client.endpoint],
        [nat.service.destination],
        [tcp(PORT, timeout=patience), udp(PORT, timeout=patience)],
    )
    sweep = prober.sweep(cells)
    proof.concludes(judge(all_of(cells, reached(seen_as=[CLIENT])), sweep))
    ends = [(one.source_address, one.served_at) for one in sweep if one.source_address and one.served_at]
    return frozenset(Connection(Way(*client, VIRTUAL, PORT), Way(*server, *client)) for client, server in ends)


def tracked(nat: Nat) -> frozenset[Connection]:
    """What conntrack has on the director."""
    return frozenset(connections(nat.farm.director.run("conntrack", "--dump").out))
