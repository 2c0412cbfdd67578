"""A connection that says nothing is the director's to forget: before its timeout it lives, and after it is reset.

    client 192.0.2.200 ── TCP, silent ── director 192.0.2.1, NAT ── one, two, three 192.0.2.11 to 13
                                         remembers it for ‹timeout› s
    used within it:  answered by ‹kept›
    used after it:   ‹forgotten›

Client and server both believe in the connection, and only the director knows that it is over: databases and
message queues find out at their next word. Others that come and go in the meantime change nothing.
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
from fixtures.lab.ipvs import PORT, Forwarding, VirtualServer, virtual_server
from fixtures.lab.topologies.lvs_farm import Farm
from fixtures.plugins.proof import Proof
from fixtures.probes.idle import IdleConnection, opened
from fixtures.probes.plan import address_of
from fixtures.probes.runner import Prober
from fixtures.verdicts.expectation import all_of, reached
from fixtures.verdicts.judge import judge

pytestmark = [pytest.mark.needs("ipvs", "conntrack"), pytest.mark.claim("LVS-5")]

HERE = "lvs/idle_connections"
VIRTUAL = IPv4Address("192.0.2.100")
SHORT = 3
"""Seconds of a director that forgets soon."""
_TIMEOUTS = re.compile(r"Timeout \(tcp tcpfin udp\): (\d+) (\d+) (\d+)")


@dataclass(frozen=True)
class Quiet:
    """The farm with a virtual server by NAT."""

    farm: Farm
    service: VirtualServer

    def open(self) -> IdleConnection:
        """The client opens a connection to the virtual server, and says nothing."""
        client = self.farm.lab.conversations.with_(self.farm.client.endpoint)
        return opened(client, self.service.destination, PORT)

    def remembers(self, connection: IdleConnection) -> bool:
        """Whether the director has it in its table."""
        return any(it.asked.source_port == connection.source_port for it in self.service.connections())

    @property
    def timeouts(self) -> tuple[str, ...]:
        """Seconds for TCP, for TCP that is being closed, and for UDP."""
        found = _TIMEOUTS.search(self.farm.director.run("ipvsadm", "--list", "--timeout").out)
        assert found, "ipvsadm says them in this form"
        return found.groups()

    @contextmanager
    def forgetting_after(self, seconds: int) -> Iterator[None]:
        """The director forgets silent TCP connections after so long, while a block lasts."""
        before = self.timeouts
        self.farm.director.run("ipvsadm", "--set", str(seconds), *before[1:])
        try:
            yield
        finally:
            self.farm.director.run("ipvsadm", "--set", *before)


@pytest.fixture(scope="module")
def silent(farm: Farm) -> Iterator[Quiet]:
    """The virtual server, and ways back through the director."""
    with virtual_server(farm.director, VIRTUAL, farm.servers, Forwarding.NAT) as service, farm.way_back():
        yield Quiet(farm, service)


@fault(
    site="silent",
    reddens={f"{HERE}/kept_within_the_timeout": "it is answered by a real server"},
    spares=(f"{HERE}/reset_after_it",),
)
def forgets_at_once(silent: Quiet) -> Iterator[None]:
    """The director forgets a silent connection after a second."""
    with silent.forgetting_after(1):
        yield


@fault(
    site="silent",
    reddens={f"{HERE}/reset_after_it": "nobody answers over it any more"},
    spares=(f"{HERE}/kept_within_the_timeout",),
)
def another_translates_first(silent: Quiet) -> Iterator[None]:
    """A rule takes the requests before IPVS sees them: the kernel remembers those for days."""
    director, iptables = silent.farm.director, silent.farm.lab.engine.iptables
    target = str(address_of(silent.farm.two.endpoint))
    rule = ["PREROUTING", "-d", str(VIRTUAL), "-j", "DNAT", "--to-destination", target]
    director.run(iptables, "-t", "nat", "-A", *rule)
    yield
    director.run(iptables, "-t", "nat", "-D", *rule)
    director.run("conntrack", "--delete", "--orig-dst", str(VIRTUAL), check=False)


def test_kept_within_the_timeout(silent: Quiet, lab_prober: Prober, proof: Proof) -> None:
    """While others are handed out in turn it says nothing for three seconds; the same real server answers then."""
    connection, others = silent.open(), silent.farm.asked(silent.service.destination, times=2)
    first, silent_from = connection.answers(), connection.idle

    def others_come_and_go() -> float:
        proof.concludes(judge(all_of(others, reached()), lab_prober.sweep(others)))
        return connection.idle - silent_from

    poll(
        others_come_and_go, until=lambda idle: idle > SHORT, what="three silent seconds", within=TIMEOUTS.converge
    )
    answer = connection.answers()

    proof.draws({"timeout": silent.timeouts[0], "kept": answer})
    names = {server.name for server in silent.farm.servers}
    proof.fact("it is answered by a real server", answer in names, answer)
    proof.fact("it is the one that answered at first", answer == first, (first, answer))


def test_reset_after_it(silent: Quiet, proof: Proof) -> None:
    """Once the director has forgotten it, the client's next word is answered by a reset, and a new one is well."""
    with silent.forgetting_after(SHORT):
        connection = silent.open()
        known = silent.remembers(connection)
        what = "the director to forget a silent connection"
        poll(lambda: silent.remembers(connection), until=lambda it: not it, what=what, within=TIMEOUTS.converge)
        answer = connection.answers()
        fresh = silent.open().answers()

    proof.draws({"forgotten": answer})
    names = {server.name for server in silent.farm.servers}
    proof.fact("nobody answers over it any more", answer not in names, answer)
    proof.fact("the client is told so by a reset", "ECONNRESET" in answer, answer)
    proof.fact("the director remembered it at first", known, known)
    proof.fact("a new one is answered", fresh in names, fresh)
