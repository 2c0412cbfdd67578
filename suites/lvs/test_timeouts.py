"""Within a timeout of the director a client's port has one real server; once it is forgotten the next one in turn.

    client 192.0.2.200 :p ──→ director 192.0.2.1, direct routing, round robin ──→ one, two, three
        UDP           p asks ‹udp first›, within the timeout ‹udp within›, after it ‹udp after›
        TCP by FIN    p asks ‹fin first›, within the timeout ‹fin within›, after it ‹fin after›

UDP has no end, and of a connection that was closed the director keeps who had it: for as long as `ipvsadm --set`
says, for UDP and for TCP that has seen a FIN. Sessions break where it forgets sooner, and a client that keeps its
port sticks to one real server, be it a dead one, where it never does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address

import pytest

from clusters.waiting import TIMEOUTS, poll
from fixtures.faults.fault import fault
from fixtures.lab.ipvs import PORT, Forwarding, Scheduler, VirtualServer, virtual_server
from fixtures.lab.topologies.lvs_farm import Farm
from fixtures.plugins.proof import Proof
from fixtures.probes.orderly import REUSE, asked_in_order
from fixtures.probes.plan import every
from fixtures.probes.runner import Prober
from fixtures.probes.source_ports import unused_port
from fixtures.probes.ways import tcp, udp
from fixtures.verdicts.expectation import all_of, reached
from fixtures.verdicts.judge import judge
from fixtures.verdicts.observation import Protocol, Sweep

pytestmark = [pytest.mark.needs("ipvs"), pytest.mark.claim("LVS-5")]

HERE = "lvs/timeouts"
VIRTUAL = IPv4Address("192.0.2.111")
ON_LO = f"{VIRTUAL}/32 dev lo"
LONG, SHORT = 120, 2
"""Seconds of a director that certainly remembers while a check asks twice, and of one that forgets soon."""
_TIMEOUTS = re.compile(r"Timeout \(tcp tcpfin udp\): (\d+) (\d+) (\d+)")


@dataclass(frozen=True)
class Remembering:
    """The farm with a virtual server by direct routing: the director sees requests alone, a FIN the last."""

    farm: Farm
    service: VirtualServer

    @contextmanager
    def keeping(self, seconds: int) -> Iterator[None]:
        """The director forgets closed TCP connections, and UDP, after so long while a block lasts."""
        found = _TIMEOUTS.search(self.farm.director.run("ipvsadm", "--list", "--timeout").out)
        assert found, "ipvsadm says them in this form"
        self.farm.director.run("ipvsadm", "--set", found[1], str(seconds), str(seconds))
        try:
            yield
        finally:
            self.farm.director.run("ipvsadm", "--set", *found.groups())

    def remembers(self, port: int) -> bool:
        """Whether the director has anything of that port of the client's in its table."""
        return any(it.asked.source_port == port for it in self.service.connections())

    def forgotten(self, port: int) -> None:
        """Wait until it has nothing. TimedOut."""
        what = f"the director to forget port {port}"
        poll(lambda: self.remembers(port), until=lambda it: not it, what=what, within=TIMEOUTS.converge)


@pytest.fixture(scope="module")
def remembering(farm: Farm) -> Iterator[Remembering]:
    """The virtual server, its address on every real server's lo, and a client that may use a port again."""
    for server in farm.servers:
        server.configure(f"address add {ON_LO}")
    with (
        virtual_server(farm.director, VIRTUAL, farm.servers, Forwarding.DIRECT) as service,
        farm.lab.setting(farm.client, REUSE, "1"),
    ):
        yield Remembering(farm, service)
    for server in farm.servers:
        server.configure(f"address delete {ON_LO}")


@fault(
    site="remembering",
    reddens={f"{HERE}/udp": "within the timeout the same"},
    spares=(f"{HERE}/closed_tcp",),
)
def each_datagram_anew(remembering: Remembering) -> Iterator[None]:
    """The service chooses anew for each datagram (one-packet scheduling)."""
    ends = ("--udp-service", f"{VIRTUAL}:{PORT}", "--scheduler", str(Scheduler.ROUND_ROBIN))
    remembering.farm.director.run("ipvsadm", "--edit-service", *ends, "--ops")
    yield
    remembering.service.schedule(Scheduler.ROUND_ROBIN)


@fault(
    site="remembering",
    reddens={f"{HERE}/closed_tcp": "within the timeout the same"},
    spares=(f"{HERE}/udp",),
)
def closed_is_forgotten(remembering: Remembering) -> Iterator[None]:
    """The director chooses anew for a port whose last connection was closed (conn_reuse_mode=3)."""
    director = remembering.farm.director
    with remembering.farm.lab.setting(director, "net.ipv4.vs.conn_reuse_mode", "3"):
        yield


@fault(
    site="remembering",
    reddens={f"{HERE}/udp": "after it another"},
    spares=(f"{HERE}/closed_tcp",),
)
def udp_by_source_hash(remembering: Remembering) -> Iterator[None]:
    """The service chooses by the client's address for UDP: who is forgotten is given to the same again."""
    yield from by_source_hash(remembering, Protocol.UDP)


@fault(
    site="remembering",
    reddens={f"{HERE}/closed_tcp": "after it another"},
    spares=(f"{HERE}/udp",),
)
def tcp_by_source_hash(remembering: Remembering) -> Iterator[None]:
    """The same for TCP."""
    yield from by_source_hash(remembering, Protocol.TCP)


def by_source_hash(remembering: Remembering, protocol: Protocol) -> Iterator[None]:
    """The service chooses by the client's address for one protocol, and then in turns again."""
    remembering.service.schedule(Scheduler.SOURCE_HASH, [protocol])
    yield
    remembering.service.schedule(Scheduler.ROUND_ROBIN, [protocol])


def test_udp(remembering: Remembering, lab_prober: Prober, proof: Proof) -> None:
    """A port that asks by UDP has the same real server within the timeout, and after it another."""
    patience, client = remembering.farm.lab.engine.patience, remembering.farm.client.endpoint
    port, other = unused_port(), unused_port()
    own = every([client], [remembering.service.destination], [udp(PORT, source_port=port, timeout=patience)])
    one_more = every([client], [remembering.service.destination], [udp(PORT, source_port=other, timeout=patience)])
    with remembering.keeping(LONG):
        early = [lab_prober.sweep(cells) for cells in (own, one_more, own)]
    with remembering.keeping(SHORT):
        early.append(lab_prober.sweep(own))  # from this one on it is forgotten soon
        remembering.forgotten(port)
        late = lab_prober.sweep(own)

    (first,), _, *within = (answered_by(sweep) for sweep in early)
    for sweep in (*early, late):
        proof.concludes(judge(all_of([one.cell for one in sweep], reached()), sweep))
    told(proof, "udp", [first, *(one for some in within for one in some), *answered_by(late)])


def test_closed_tcp(remembering: Remembering, lab_prober: Prober, proof: Proof) -> None:
    """A port whose connection was closed gets the same real server within the timeout, and after it another."""
    farm, port = remembering.farm, unused_port()
    one_more = every(
        [farm.client.endpoint], [remembering.service.destination], [tcp(PORT, timeout=farm.lab.engine.patience)]
    )

    def asks() -> str:
        client = farm.lab.conversations.with_(farm.client.endpoint)
        return asked_in_order(client, remembering.service.destination, PORT, port, farm.lab.engine.patience)

    with remembering.keeping(LONG):
        first, between, within = asks(), lab_prober.sweep(one_more), asks()
    with remembering.keeping(SHORT):
        again = asks()  # from this one on it is forgotten soon
        remembering.forgotten(port)
        late = asks()

    proof.concludes(judge(all_of(one_more, reached()), between))
    told(proof, "fin", [first, within, again, late])


def answered_by(sweep: Sweep) -> list[str]:
    """Who answered each of its cells."""
    return [one.answered_by for one in sweep]


def told(proof: Proof, way: str, answered: list[str]) -> None:
    """State who answered, in the order in which a port asked: at first, twice within the timeout, and after it."""
    first, within, again, late = answered
    proof.draws({f"{way} first": first, f"{way} within": f"{within}, {again}", f"{way} after": late})
    servers = {"one", "two", "three"}
    proof.fact("a real server answers each time", set(answered) <= servers, answered)
    proof.fact("within the timeout the same real server answers", first == within == again, answered)
    proof.fact("after it another real server answers", late in servers - {first}, answered)
