"""A client drops the reply of a peer that it never asked; a way back by the director, or masquerade, mends it.

    client 192.0.2.200 ──asks 192.0.2.101──→ director 192.0.2.1 ──NAT──→ real server
       ↑                                                                    │
       └────────── replies with its own address, past the director ─────────┘

All are on one segment, so that real servers know a way to the client that leaves the director out. Fails where
they reply by the director although nobody told them, and where masquerade works although nothing is tracked.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address

import pytest

from fixtures.faults.fault import fault
from fixtures.lab.ipvs import PORT, Forwarding, VirtualServer, virtual_server
from fixtures.lab.topologies.lvs_farm import CLIENT, CLIENTS, DIRECTOR, Farm
from fixtures.plugins.proof import Proof
from fixtures.probes.capture import Taps, rendered
from fixtures.probes.frames import Packet
from fixtures.probes.plan import address_of, at, every
from fixtures.probes.runner import Prober
from fixtures.probes.ways import tcp
from fixtures.verdicts.expectation import all_of, reached, unanswered
from fixtures.verdicts.judge import judge
from fixtures.verdicts.observation import Cell, Observation, Sweep

pytestmark = [pytest.mark.needs("ipvs", "conntrack"), pytest.mark.claim("LVS-5")]

VIRTUAL = IPv4Address("192.0.2.101")
MASQUERADE = ("POSTROUTING", "--source", CLIENTS, "-j", "MASQUERADE")


@dataclass(frozen=True)
class Astray:
    """The farm with a virtual server by NAT, whose real servers know of no way back by the director."""

    farm: Farm
    service: VirtualServer

    def cells(self, times: int = 1) -> tuple[Cell, ...]:
        """The client asks by TCP and UDP."""
        return self.farm.asked(self.service.destination, times)

    def witnesses(self, prober: Prober) -> list[Sweep]:
        """The client reaches each real server as such, and with a way back also the virtual one."""
        servers = [at(server.endpoint) for server in self.farm.servers]
        own = every([self.farm.client.endpoint], servers, [tcp(PORT, timeout=self.farm.lab.engine.patience)])
        with self.farm.way_back():
            return [prober.sweep(self.cells()), prober.sweep(own)]

    @contextmanager
    def masqueraded(self, conntrack: str) -> Iterator[None]:
        """The director masquerades what clients send, with net.ipv4.vs.conntrack at that value."""
        iptables, director = self.farm.lab.engine.iptables, self.farm.director
        director.run(iptables, "-t", "nat", "-A", *MASQUERADE)
        try:
            with self.farm.lab.setting(director, "net.ipv4.vs.conntrack", conntrack):
                yield
        finally:
            director.run(iptables, "-t", "nat", "-D", *MASQUERADE)


@pytest.fixture(scope="module")
def astray(farm: Farm) -> Iterator[Astray]:
    """The virtual server, and nothing else."""
    with virtual_server(farm.director, VIRTUAL, farm.servers, Forwarding.NAT) as service:
        yield Astray(farm, service)


@fault(
    site="astray",
    reddens={"lvs/unknown_peer/dropped": "client → vip", "lvs/unknown_peer/masquerade_untracked": "client → vip"},
    spares=("lvs/unknown_peer/masquerade_tracked",),
)
def servers_know_a_way_back(astray: Astray) -> Iterator[None]:
    """Every real server has a route to the client by the director."""
    for server in astray.farm.servers:
        server.configure(f"route add {CLIENT}/32 via {DIRECTOR}")
    yield
    for server in astray.farm.servers:
        server.configure(f"route delete {CLIENT}/32 via {DIRECTOR}")


@fault(
    site="astray",
    reddens={"lvs/unknown_peer/way_back": "client → vip"},
    spares=("lvs/unknown_peer/dropped", "lvs/unknown_peer/masquerade_tracked"),
)
def two_takes_the_short_way(astray: Astray) -> Iterator[None]:
    """The real server `two` has a route straight to the client that wins over any other."""
    astray.farm.two.configure(f"route add {CLIENT}/32 dev eth0")
    yield
    astray.farm.two.configure(f"route delete {CLIENT}/32 dev eth0")


@fault(
    site="astray",
    reddens={"lvs/unknown_peer/masquerade_tracked": "client → vip"},
    spares=("lvs/unknown_peer/dropped", "lvs/unknown_peer/way_back", "lvs/unknown_peer/masquerade_untracked"),
)
def an_earlier_rule_accepts(astray: Astray) -> Iterator[None]:
    """A rule before that for masquerade takes the clients' packets as they are."""
    rule = ["POSTROUTING", "--source", CLIENTS, "-j", "ACCEPT"]
    iptables, director = astray.farm.lab.engine.iptables, astray.farm.director
    director.run(iptables, "-t", "nat", "-A", *rule)
    yield
    director.run(iptables, "-t", "nat", "-D", *rule)


def test_dropped(astray: Astray, lab_prober: Prober, proof: Proof) -> None:
    """No way back: the reply reaches the client from the real server's own address, and is sent away there.

        client 192.0.2.200 ──asks 192.0.2.101──→ director 192.0.2.1 ──NAT──→ real server

        TCP ‹client→vip tcp›   the reply came from ‹tcp peer›, to whom the client said: ‹tcp reply›
        UDP ‹client→vip udp›   the reply came from ‹udp peer›, to whom the client said: ‹udp reply›

    The client asked the virtual address, and has nothing to do with whoever else speaks to it.
    """
    farm, cells = astray.farm, astray.cells()
    witnesses = astray.witnesses(lab_prober)

    with farm.lab.capture.on([farm.client.endpoint], cells, ports=[PORT]) as taps:
        by_tcp, by_udp = sweep = lab_prober.sweep(cells)

    proof.concludes(judge(all_of(cells, unanswered()), sweep, witnesses))
    proof.evidence("at-the-client.txt", rendered(taps.frames))
    for seen, answer, refusal in ((by_tcp, "SA", "tcp R"), (by_udp, "", "icmp")):
        asked, replied, refused = first_three(taps, seen)
        proof.fact(
            "the client asks the virtual address", (asked.source, asked.destination) == (CLIENT, VIRTUAL), asked
        )
        reals = [address_of(server.endpoint) for server in farm.servers]
        proof.fact(
            "a real server's own address replies", replied.source in reals and replied.flags == answer, replied
        )
        said = f"{refused.protocol} {refused.flags}".rstrip()
        proof.fact("the client refuses it", (refused.destination, said) == (replied.source, refusal), refused)
        way = seen.cell.probe.protocol
        proof.draws({f"{way} peer": replied.source, f"{way} reply": said})


def first_three(taps: Taps, seen: Observation) -> list[Packet]:
    """What the client sent and got first for a probe: by its source port, or by its marker as ICMP quotes it."""
    assert seen.source_address is not None
    frames = [*taps.using(seen.source_address[1]), *taps.hops(seen.cell)]
    found = dict.fromkeys(frame for frame in sorted(frames, key=lambda frame: frame.at))
    return [frame.packet for frame in found if frame.packet is not None][:3]


def test_way_back(astray: Astray, lab_prober: Prober, proof: Proof) -> None:
    """Real servers send what is for clients to the director: the service answers, and sees the client.

        client 192.0.2.200 ──asks 192.0.2.101──→ director 192.0.2.1 ──NAT──→ one, two, three 192.0.2.11 to 13
               TCP ‹client→vip tcp›                 └─────── way back ───────┘
               UDP ‹client→vip udp›

    So the director sees the reply, and can put the virtual address on it.
    """
    cells = astray.cells(3)

    with astray.farm.way_back():
        sweep = lab_prober.sweep(cells)

    proof.concludes(judge(all_of(cells, reached(seen_as=[CLIENT])), sweep))


def test_masquerade_tracked(astray: Astray, lab_prober: Prober, proof: Proof) -> None:
    """Masquerade, net.ipv4.vs.conntrack=1: no way back is needed, the service answers, and sees the director.

        client 192.0.2.200 ──asks 192.0.2.101──→ director 192.0.2.1 ──NAT, as 192.0.2.1──→ one, two, three
               TCP ‹client→vip tcp›
               UDP ‹client→vip udp›

    The director is whom real servers reply to.
    """
    cells = astray.cells(3)

    with astray.masqueraded(conntrack="1"):
        sweep = lab_prober.sweep(cells)

    proof.concludes(judge(all_of(cells, reached(seen_as=[DIRECTOR])), sweep))


def test_masquerade_untracked(astray: Astray, lab_prober: Prober, proof: Proof) -> None:
    """Masquerade, net.ipv4.vs.conntrack=0: IPVS's packets pass the rule by, and the reply is dropped again.

        client 192.0.2.200 ──asks 192.0.2.101──→ director 192.0.2.1 ──NAT, as 192.0.2.200──→ one, two, three
               TCP ‹client→vip tcp›
               UDP ‹client→vip udp›

    Masquerade is conntrack's, and knows nothing of packets that are not tracked.
    """
    cells, witnesses = astray.cells(), astray.witnesses(lab_prober)

    with astray.masqueraded(conntrack="0"):
        sweep = lab_prober.sweep(cells)

    proof.concludes(judge(all_of(cells, unanswered()), sweep, witnesses))
