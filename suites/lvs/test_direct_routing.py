"""By direct routing the director changes nothing but the card that a packet goes to, and never sees the reply.

    client 192.0.2.200 ──asks 192.0.2.110──→ director 192.0.2.1 ──→ one, two, three
       ↑                                                              192.0.2.110 on lo
       └───────────────────────── straight ───────────────────────────┘

    TCP ‹client→vip tcp›
    UDP ‹client→vip udp›

Director and real servers all have the address, and on one segment the director alone may say so. Fails where a
real server answers or asks ARP with it, where one lacks it, and where the director rewrites addresses.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from ipaddress import IPv4Address

import pytest

from fixtures.faults.fault import fault
from fixtures.lab.ipvs import Forwarding, VirtualServer, virtual_server
from fixtures.lab.topologies.lvs_farm import CLIENT, Farm
from fixtures.plugins.proof import Proof
from fixtures.probes.addressed import looks
from fixtures.probes.capture import rendered
from fixtures.probes.plan import at, every
from fixtures.probes.runner import Prober
from fixtures.verdicts.expectation import all_of, blocked, reached
from fixtures.verdicts.judge import judge
from fixtures.verdicts.observation import Cell
from fixtures.verdicts.spread import shares

pytestmark = [pytest.mark.needs("ipvs"), pytest.mark.claim("LVS-5")]

VIRTUAL = IPv4Address("192.0.2.110")
ON_LO = f"{VIRTUAL}/32 dev lo"


@dataclass(frozen=True)
class Direct:
    """The farm with a virtual server by direct routing."""

    farm: Farm
    service: VirtualServer

    def cells(self, times: int = 1) -> tuple[Cell, ...]:
        """The client asks by TCP and UDP."""
        return self.farm.asked(self.service.destination, times)

    def known_card(self) -> str:
        """Whose card the client believes the virtual address to be at."""
        known = {entry["dst"]: entry.get("lladdr", "") for entry in self.farm.client.ip("neigh")}
        return self.farm.cards().get(known.get(str(VIRTUAL), ""), "nobody")


@pytest.fixture(scope="module")
def direct(farm: Farm) -> Iterator[Direct]:
    """The virtual server, and its address on every real server's lo."""
    for server in farm.servers:
        server.configure(f"address add {ON_LO}")
    with virtual_server(farm.director, VIRTUAL, farm.servers, Forwarding.DIRECT) as service:
        yield Direct(farm, service)
    for server in farm.servers:
        server.configure(f"address delete {ON_LO}")


@fault(
    site="direct",
    reddens={
        "lvs/direct_routing/answers_in_turn": "client → vip",
        "lvs/direct_routing/only_the_card_is_rewritten": "client → vip",
    },
    spares=("lvs/direct_routing/servers_do_not_answer_for_it",),
)
def two_lacks_the_address(direct: Direct) -> Iterator[None]:
    """The real server `two` does not have the virtual address."""
    direct.farm.two.configure(f"address delete {ON_LO}")
    yield
    direct.farm.two.configure(f"address add {ON_LO}")


@fault(
    site="direct",
    reddens={
        "lvs/direct_routing/answers_in_turn": "client → vip",
        "lvs/direct_routing/only_the_card_is_rewritten": "client → vip",
    },
    spares=("lvs/direct_routing/servers_do_not_answer_for_it",),
)
def two_is_translated_to(direct: Direct) -> Iterator[None]:
    """The director hands requests to `two` by NAT."""
    replace(direct.service, forwarding=Forwarding.NAT).weigh(direct.farm.two, 1)
    yield
    direct.service.weigh(direct.farm.two, 1)


@fault(
    site="direct",
    reddens={"lvs/direct_routing/servers_do_not_answer_for_it": "client → vip"},
    spares=("lvs/direct_routing/only_the_card_is_rewritten",),
)
def one_answers_for_it(direct: Direct) -> Iterator[None]:
    """The real server `one` answers ARP for any address that it has on any link (arp_ignore=0)."""
    card = direct.farm.director.ip("link", "show", "dev", "eth0")[0]["address"]
    # Who is quicker would else decide; a client that knows the director asks nobody else.
    direct.farm.client.configure(f"neigh replace {VIRTUAL} lladdr {card} dev eth0 nud reachable")
    with direct.farm.lab.setting(direct.farm.one, "net.ipv4.conf.all.arp_ignore", "0"):
        yield


@fault(
    site="direct",
    reddens={"lvs/direct_routing/servers_do_not_ask_with_it": "client → vip"},
    spares=("lvs/direct_routing/servers_do_not_answer_for_it",),
)
def one_asks_with_it(direct: Direct) -> Iterator[None]:
    """The real server `one` asks ARP with whatever address its packet has (arp_announce=0)."""
    with direct.farm.lab.setting(direct.farm.one, "net.ipv4.conf.all.arp_announce", "0"):
        yield


def test_answers_in_turn(direct: Direct, lab_prober: Prober, proof: Proof) -> None:
    """12 requests by TCP, 12 by UDP: each real server answers 8, as the virtual address, and sees the client."""
    cells = direct.cells(12)

    sweep = lab_prober.sweep(cells)

    proof.concludes(judge(all_of(cells, reached(seen_as=[CLIENT])), sweep))
    proof.fact("each real server answers 8", shares(sweep) == {"one": 8, "two": 8, "three": 8}, shares(sweep))
    served = {str(one.served_at[0]) for one in sweep if one.served_at}
    proof.fact("it is asked at the virtual address itself", served == {str(VIRTUAL)}, served)


def test_only_the_card_is_rewritten(direct: Direct, lab_prober: Prober, proof: Proof) -> None:
    """Captured everywhere: same addresses on every link, other cards; the reply passes the director by.

        client ──→ director                  ‹asked›
                   director ──→ real server  ‹passed on›
        client ←──────────────── real server  ‹answered›

    What is written on a packet is held against the promise at every link that it passes.
    """
    farm, cells = direct.farm, direct.cells(3)

    with farm.lab.capture.on([machine.endpoint for machine in farm.machines], cells) as taps:
        sweep = lab_prober.sweep(cells)

    proof.concludes(judge(all_of(cells, reached()), sweep))
    proof.evidence("frames.txt", rendered(taps.frames))
    cards = farm.cards()
    seen = [looks(taps.hops(cell), cards) for cell in cells]
    proof.draws(dict(zip(("asked", "passed on", "answered"), seen[0][::2], strict=False)))
    proof.fact("nothing but the card is rewritten", seen == [passed(one.answered_by) for one in sweep], seen)


def passed(server: str) -> list[str]:
    """What is on a request and its reply, link after link."""
    return [
        f"client eth0 out {CLIENT} > {VIRTUAL} to the card of director",
        f"director eth0 in {CLIENT} > {VIRTUAL} to the card of director",
        f"director eth0 out {CLIENT} > {VIRTUAL} to the card of {server}",
        f"{server} eth0 in {CLIENT} > {VIRTUAL} to the card of {server}",
        f"{server} eth0 out {VIRTUAL} > {CLIENT} to the card of client",
        f"client eth0 in {VIRTUAL} > {CLIENT} to the card of client",
    ]


def test_servers_do_not_answer_for_it(direct: Direct, lab_prober: Prober, proof: Proof) -> None:
    """The director gives the address up: the real servers have it, and none answers ARP for it (arp_ignore=1)."""
    farm, cells = direct.farm, direct.cells()
    own = every([farm.client.endpoint], [at(server.endpoint) for server in farm.servers], [cells[0].probe])
    before = lab_prober.sweep(direct.cells(3))

    with direct.service.given_up():
        farm.client.run("ip", "neigh", "flush", "to", str(VIRTUAL))
        sweep = lab_prober.sweep([*cells, *own])

    proof.concludes(judge(all_of(cells, blocked()) | all_of(own, reached()), sweep, [before]))


def test_servers_do_not_ask_with_it(direct: Direct, lab_prober: Prober, proof: Proof) -> None:
    """Real servers ask ARP for the client: it goes on taking the director's card for the virtual address."""
    for server in direct.farm.servers:
        server.run("ip", "neigh", "flush", "to", str(CLIENT))
    direct.farm.client.run("ip", "neigh", "flush", "to", str(VIRTUAL))
    first, then = direct.cells(3), direct.cells(3)

    sweep = [*lab_prober.sweep(first), *lab_prober.sweep(then)]

    proof.concludes(judge(all_of([*first, *then], reached()), sweep))
    card = direct.known_card()
    proof.fact("the client has the director's card for the address", card == "director", card)
    proof.fact("each real server answers 4", shares(sweep) == {"one": 4, "two": 4, "three": 4}, shares(sweep))
