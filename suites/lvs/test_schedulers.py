"""Each scheduler chooses among real servers as its name says, to the very number.

    client 192.0.2.200 to 206 ──→ director ──NAT──→ one, two, three 192.0.2.11 to 13
                                  192.0.2.131  round robin
                                  192.0.2.132  weighted round robin, 3 : 2 : 1
                                  192.0.2.133  least connections
                                  192.0.2.134  source hash

Requests are many at once, and who answered each is known by name: shares are equal or they are not. Fails where a
scheduler or a weight is another than was asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from ipaddress import IPv4Address

import pytest

from fixtures.endpoints.inside import routed
from fixtures.faults.fault import fault
from fixtures.lab.ipvs import PORT, Forwarding, Scheduler, VirtualServer, virtual_server
from fixtures.lab.topologies.lvs_farm import CLIENT, Farm
from fixtures.plugins.proof import Proof
from fixtures.probes.held import held
from fixtures.probes.runner import Prober
from fixtures.verdicts.expectation import all_of, reached
from fixtures.verdicts.judge import judge
from fixtures.verdicts.observation import Cell, Protocol
from fixtures.verdicts.spread import shares, shares_in_words

pytestmark = [pytest.mark.needs("ipvs"), pytest.mark.claim("LVS-5")]

SERVICES = {
    Scheduler.ROUND_ROBIN: (IPv4Address("192.0.2.131"), (1, 1, 1)),
    Scheduler.WEIGHTED: (IPv4Address("192.0.2.132"), (3, 2, 1)),
    Scheduler.LEAST_CONNECTIONS: (IPv4Address("192.0.2.133"), (1,)),
    Scheduler.SOURCE_HASH: (IPv4Address("192.0.2.134"), (1, 1, 1)),
}
"""The virtual server of each scheduler: its address, and the weights of `one`, `two` and `three` (at first)."""
CLIENTS = [CLIENT + number for number in range(1, 7)]
"""More addresses of the client, each a client of its own to the director."""


@dataclass(frozen=True)
class Scheduled:
    """The farm with a virtual server for each scheduler, by NAT, with ways back."""

    farm: Farm
    services: Mapping[Scheduler, VirtualServer]

    @property
    def patience(self) -> float:
        """Seconds that a probe should wait."""
        return self.farm.lab.engine.patience

    def cells(self, scheduler: Scheduler, times: int) -> tuple[Cell, ...]:
        """The client asks so many times by TCP, and so many times by UDP."""
        return self.farm.asked(self.services[scheduler].destination, times)

    def opened(self, count: int, stack: ExitStack) -> tuple[str, ...]:
        """The client opens connections to the service by least connections, held by `stack`: to whom each went."""
        service = self.services[Scheduler.LEAST_CONNECTIONS]
        connections = held(
            self.farm.client.endpoint, service.destination, PORT, count, patience=self.patience * count
        )
        return stack.enter_context(connections).answered_by()


@pytest.fixture(scope="module")
def scheduled(farm: Farm) -> Iterator[Scheduled]:
    """The virtual servers, ways back, and more addresses of the client."""
    with ExitStack() as stack:
        services = {
            scheduler: stack.enter_context(
                virtual_server(farm.director, address, farm.servers, Forwarding.NAT, scheduler, weights)
            )
            for scheduler, (address, weights) in SERVICES.items()
        }
        stack.enter_context(farm.way_back())
        farm.client.configure(*(f"address add {address}/32 dev eth0" for address in CLIENTS))
        yield Scheduled(farm, services)
        farm.client.configure(*(f"address delete {address}/32 dev eth0" for address in CLIENTS))


@fault(
    site="scheduled",
    reddens={
        "lvs/schedulers/round_robin": "each real server answers 8 by TCP and 8 by UDP",
        "lvs/schedulers/quiesced": "the others answer 12 each",
    },
    spares=("lvs/schedulers/weighted", "lvs/schedulers/source_hash"),
)
def by_source_hash_instead(scheduled: Scheduled) -> Iterator[None]:
    """The service with round robin chooses by source hash."""
    service = scheduled.services[Scheduler.ROUND_ROBIN]
    service.schedule(Scheduler.SOURCE_HASH)
    yield
    service.schedule(Scheduler.ROUND_ROBIN)


@fault(
    site="scheduled",
    reddens={"lvs/schedulers/weighted": "answers are as the weights"},
    spares=("lvs/schedulers/round_robin",),
)
def a_weight_is_wrong(scheduled: Scheduled) -> Iterator[None]:
    """The real server `three` has weight 2 instead of 1 in the service with weighted round robin."""
    service = scheduled.services[Scheduler.WEIGHTED]
    service.weigh(scheduled.farm.three, 2)
    yield
    service.weigh(scheduled.farm.three, 1)


@fault(
    site="scheduled",
    reddens={
        "lvs/schedulers/least_connections": "two joins, and gets the next three",
        "lvs/schedulers/source_hash": "each client has one real server",
    },
    spares=("lvs/schedulers/round_robin", "lvs/schedulers/quiesced"),
)
def by_round_robin_instead(scheduled: Scheduled) -> Iterator[None]:
    """The services with least connections and with source hash choose by round robin."""
    wrong = (Scheduler.LEAST_CONNECTIONS, Scheduler.SOURCE_HASH)
    for scheduler in wrong:
        scheduled.services[scheduler].schedule(Scheduler.ROUND_ROBIN)
    yield
    for scheduler in wrong:
        scheduled.services[scheduler].schedule(scheduler)


def test_round_robin(scheduled: Scheduled, lab_prober: Prober, proof: Proof) -> None:
    """24 requests by TCP and 24 by UDP at once: each real server answers 8 of either.

        client 192.0.2.200 ──→ director 192.0.2.131, rr ──→ one, two, three 192.0.2.11 to 13
                                                            TCP ‹tcp›
                                                            UDP ‹udp›

    All weigh the same.
    """
    cells = scheduled.cells(Scheduler.ROUND_ROBIN, 24)

    sweep = lab_prober.sweep(cells)

    proof.concludes(judge(all_of(cells, reached()), sweep))
    by_way = {
        way: shares(one for one in sweep if one.cell.probe.protocol is way) for way in (Protocol.TCP, Protocol.UDP)
    }
    proof.draws({way.value: shares_in_words(counted) for way, counted in by_way.items()})
    equal = {"one": 8, "two": 8, "three": 8}
    proof.fact(
        "each real server answers 8 by TCP and 8 by UDP", all(it == equal for it in by_way.values()), by_way
    )


def test_weighted(scheduled: Scheduled, lab_prober: Prober, proof: Proof) -> None:
    """Weights 3, 2 and 1: of 24 requests by TCP and 24 by UDP they answer 24, 16 and 8.

        client 192.0.2.200 ──→ director 192.0.2.132, wrr ──→ one, two, three 192.0.2.11 to 13
                                        weights 3, 2, 1      ‹wrr›

    In every round of six each has its share, so that no request is left to chance.
    """
    cells = scheduled.cells(Scheduler.WEIGHTED, 24)

    sweep = lab_prober.sweep(cells)

    proof.concludes(judge(all_of(cells, reached()), sweep))
    proof.draws({"wrr": shares_in_words(shares(sweep))})
    wanted = {"one": 24, "two": 16, "three": 8}
    proof.fact("answers are as the weights", shares(sweep) == wanted, shares(sweep))


def test_least_connections(scheduled: Scheduled, proof: Proof) -> None:
    """Connections held open: a real server that joins gets every new one until it has as many as the others.

        client 192.0.2.200 ──→ director 192.0.2.133, lc ──→ one 192.0.2.11             ‹alone›
                                                            two 192.0.2.12 joins       ‹second›
                                                            three 192.0.2.13 joins     ‹third›
                                                            all have three             ‹level›

    Three connections are opened at each stage, one after the other, and none is closed.
    """
    farm, service = scheduled.farm, scheduled.services[Scheduler.LEAST_CONNECTIONS]
    with ExitStack() as stack:
        alone = scheduled.opened(3, stack)
        with service.joined(farm.two):
            second = scheduled.opened(3, stack)
            with service.joined(farm.three):
                third = scheduled.opened(3, stack)
                level = scheduled.opened(3, stack)
                counted = service.active()

    stages = {"alone": alone, "second": second, "third": third, "level": level}
    proof.draws({stage: ", ".join(who) for stage, who in stages.items()})
    proof.fact("one is alone", alone == ("one",) * 3, alone)
    proof.fact("two joins, and gets the next three", second == ("two",) * 3, second)
    proof.fact("three joins, and gets the next three", third == ("three",) * 3, third)
    proof.fact("all are level, and get one each", set(level) == {"one", "two", "three"}, level)
    proof.fact("the director counts four at each", counted == {"one": 4, "two": 4, "three": 4}, counted)


def test_source_hash(scheduled: Scheduled, lab_prober: Prober, proof: Proof) -> None:
    """Six client addresses, 8 requests from each: each has one real server for all, and not all have the same.

        client 192.0.2.201 ──→ director 192.0.2.134, sh ──→ ‹192.0.2.201›
               192.0.2.202 ──→                              ‹192.0.2.202›
               192.0.2.203 ──→                              ‹192.0.2.203›
               192.0.2.204 ──→                              ‹192.0.2.204›
               192.0.2.205 ──→                              ‹192.0.2.205›
               192.0.2.206 ──→                              ‹192.0.2.206›

    Each request has a source port of its own: it is the address alone that decides.
    """
    farm, service = scheduled.farm, scheduled.services[Scheduler.SOURCE_HASH]
    servers: dict[str, set[str]] = {}
    for address in CLIENTS:
        cells = scheduled.cells(Scheduler.SOURCE_HASH, 4)
        with routed(
            farm.lab.conversations, farm.client.endpoint, str(service.address), "dev", "eth0", "src", str(address)
        ):
            sweep = lab_prober.sweep(cells)
        proof.concludes(judge(all_of(cells, reached(seen_as=[address])), sweep))
        servers[str(address)] = set(shares(sweep))

    proof.draws({address: ", ".join(sorted(who)) for address, who in servers.items()})
    proof.fact("each client has one real server", all(len(who) == 1 for who in servers.values()), servers)
    proof.fact("not all have the same", len(set.union(*servers.values())) > 1, servers)


def test_quiesced(scheduled: Scheduled, lab_prober: Prober, proof: Proof) -> None:
    """Weight 0: `two` gets no new connection, the others all of them in equal parts; one that it had goes on.

        client 192.0.2.200 ──→ director 192.0.2.131, rr ──→ one, two, three 192.0.2.11 to 13
                                        weights 1, 0, 1     new connections ‹new›
                                                            open ones are at ‹open›

    That is how a real server is taken out without cutting anybody off.
    """
    farm, service = scheduled.farm, scheduled.services[Scheduler.ROUND_ROBIN]
    cells = scheduled.cells(Scheduler.ROUND_ROBIN, 12)

    with held(farm.client.endpoint, service.destination, PORT, 3, patience=3 * scheduled.patience) as connections:
        before = connections.answered_by()
        with service.quiesced(farm.two):
            sweep = lab_prober.sweep(cells)
            after = connections.answered_by()

    proof.concludes(judge(all_of(cells, reached()), sweep))
    proof.draws({"new": shares_in_words(shares(sweep)), "open": ", ".join(after)})
    proof.fact("the others answer 12 each", shares(sweep) == {"one": 12, "three": 12}, shares(sweep))
    proof.fact("connections from before go on", set(before) == {"one", "two", "three"} and after == before, after)
