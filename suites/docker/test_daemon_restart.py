"""After a restart of the Docker daemon containers find each other by name, and outside finds what they publish.

    red, whose dockerd is restarted
    ├ shop 198.51.100.0/24 ─┬ client   ‹client→web tcp›
    │                       └ web      8080 published at 18082
    └ eth0 192.0.2.10 ── eth0 192.0.2.9 far   ‹far→web on red tcp›
                                              a DNS server that knows outside.example

Both come back by their restart policy, in whatever order. It fails where the names of before lead to addresses
that are given anew, where Docker's own DNS does not answer or has lost whom it asks itself (moby#51614), and where
published ports have no rules any more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

import pytest

from fixtures.endpoints.containers import ContainerEndpoint
from fixtures.endpoints.together import both
from fixtures.faults.fault import fault
from fixtures.faults.lab_levers import packet_rule
from fixtures.lab.docker_host import DockerHost
from fixtures.lab.lab import Lab
from fixtures.lab.lifetime import remove, restart, restart_daemon
from fixtures.lab.machine import Machine
from fixtures.plugins.proof import Proof
from fixtures.probes.plan import Destination, address_of, every
from fixtures.probes.runner import Prober
from fixtures.probes.ways import lookup, tcp, udp
from fixtures.verdicts.expectation import Expectation, all_of, reached
from fixtures.verdicts.judge import judge
from fixtures.verdicts.observation import Cell
from fixtures.world.ways_in import RESOLVER, host_port

pytestmark = [pytest.mark.claim("DKR-6", "DKR-3"), pytest.mark.needs("bridge", "conntrack")]

HERE = "docker/daemon_restart"
SHOP = IPv4Network("198.51.100.0/24")
FAR, OUTSIDE = IPv4Interface("192.0.2.9/24"), IPv4Address("203.0.113.80")
PUBLISHED, PORT = 18082, 8080
ALWAYS = {"Name": "always"}


@dataclass(frozen=True)
class Shop:
    """A Docker host out of a machine that keeps its cable, and a machine outside."""

    lab: Lab
    red: DockerHost
    names: Machine
    far: ContainerEndpoint

    def open(self, name: str, *protocols: str) -> ContainerEndpoint:
        """A container of the shop that comes back, its port published by these protocols; started now."""
        ports = {f"{PORT}/{protocol}": PUBLISHED for protocol in protocols}
        return self.red.container(name, "shop", ports=ports, restart_policy=ALWAYS)


@pytest.fixture(scope="module")
def shop(lab: Lab) -> Shop:
    """The host with its network, and a cable to the outside."""
    machine, far = both(partial(lab.station, "red"), partial(lab.station, "far"))
    lab.cable(far.port("eth0", FAR), machine.port("eth0", IPv4Interface("192.0.2.10/24")))
    lab.name_server(far, FAR.ip, {"outside.example": OUTSIDE})
    red = lab.docker_on(machine, options=[f"--dns={FAR.ip}"])
    red.network("shop", subnets=[SHOP])
    restart_daemon(lab, red)  # its rules stand in another order after it, and stay so
    return Shop(lab, red, far, far.endpoint)


@fault(
    site="shop",
    reddens={f"{HERE}/published_port": "far → web on red"},
    spares=(f"{HERE}/names",),
)
def published_port_shut(shop: Shop) -> Iterator[None]:
    """A firewall of somebody else's on the host drops what comes for the published port."""
    with shop.red.rule("raw", "PREROUTING", "-p", "tcp", "--dport", str(PUBLISHED), "-j", "DROP"):
        yield


@fault(
    site="shop",
    reddens={f"{HERE}/names": "client → resolver"},
    spares=(f"{HERE}/published_port",),
)
def name_taken(shop: Shop) -> Iterator[None]:
    """Another container of the network has the server's name for an alias, and comes back as well."""
    squatter = shop.red.container("squatter", "shop", aliases=["web"], restart_policy=ALWAYS)
    yield
    remove(shop.lab, squatter)


@fault(
    site="shop",
    reddens={f"{HERE}/names_elsewhere": "client → resolver"},
    spares=(f"{HERE}/published_port", f"{HERE}/names"),
)
def outside_knows_nothing(shop: Shop) -> Iterator[None]:
    """The DNS server that the host's Docker was told of gets no question."""
    with packet_rule(shop.names, "ip", "input", "udp dport 53 drop"):
        yield


def test_names(shop: Shop, lab_prober: Prober, proof: Proof) -> None:
    """Before it and after it each of two containers has the other's name, and reaches it by that."""
    pair = [shop.open("client"), shop.open("web")]
    before = by_name(*pair)
    first = lab_prober.sweep(tuple(before))
    pair = restart_daemon(shop.lab, shop.red, *pair)
    after = by_name(*pair)
    second = lab_prober.sweep(tuple(after))
    remove(shop.lab, *pair)

    proof.concludes(judge(before, first), judge(after, second))


def test_names_elsewhere(shop: Shop, lab_prober: Prober, proof: Proof) -> None:
    """Before it, after it, and after a restart of the container, a name that only the outside knows is found."""
    client = shop.open("client")
    first = lab_prober.sweep(asked := every([client], [RESOLVER], [lookup("outside.example")]))
    (client,) = restart_daemon(shop.lab, shop.red, client)
    second = lab_prober.sweep(asked)
    client = restart(shop.lab, client)
    third = lab_prober.sweep(asked)
    remove(shop.lab, client)

    found = all_of(asked, reached(answers=[str(OUTSIDE)]))
    proof.concludes(*(judge(found, seen) for seen in (first, second, third)))


def test_published_port(shop: Shop, lab_prober: Prober, proof: Proof) -> None:
    """Before it and after it outside reaches what is published at the host, by TCP and by UDP."""
    web = shop.open("web", "tcp", "udp")
    cells = every([shop.far], [host_port(web, shop.red.endpoint)], [tcp(PUBLISHED), udp(PUBLISHED)])
    first = lab_prober.sweep(cells)
    (web,) = restart_daemon(shop.lab, shop.red, web)
    second = lab_prober.sweep(cells)
    remove(shop.lab, web)

    proof.concludes(*(judge(all_of(cells, reached()), seen) for seen in (first, second)))


def by_name(client: ContainerEndpoint, web: ContainerEndpoint) -> dict[Cell, Expectation]:
    """Names lead to addresses, and the server is reached by its name."""
    names = {
        cell: reached(answers=[str(address_of(peer))])
        for asking, peer in ((client, web), (web, client))
        for cell in every([asking], [RESOLVER], [lookup(peer.container)])
    }
    called = Destination("web", web.container, frozenset({web.identity}), web)
    return names | all_of(every([client], [called], [tcp(PORT), udp(PORT)]), reached())
