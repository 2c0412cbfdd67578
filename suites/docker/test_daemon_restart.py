"""After a restart of the Docker daemon containers find each other by name, and outside finds what they publish.

    red, whose dockerd is restarted
    ├ shop 198.51.100.0/24 ─┬ client   ‹client→web tcp›
    │                       └ web      8080 published at 18082
    └ eth0 192.0.2.10 ── eth0 192.0.2.9 far   ‹far→web on red tcp›

Both come back by their restart policy, in whatever order. It fails where the names of before lead to addresses
that are given anew, where Docker's own DNS does not answer, and where published ports have no rules any more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Interface, IPv4Network

import pytest

from fixtures.endpoints.containers import ContainerEndpoint
from fixtures.endpoints.together import both, together
from fixtures.faults.fault import fault
from fixtures.lab.docker_host import DockerHost
from fixtures.lab.lab import Lab
from fixtures.lab.lifetime import remove, restart_daemon
from fixtures.plugins.proof import Proof
from fixtures.probes.plan import Destination, address_of, every
from fixtures.probes.runner import Prober
from fixtures.probes.ways import lookup, tcp, udp
from fixtures.verdicts.expectation import Expectation, all_of, reached
from fixtures.verdicts.judge import judge
from fixtures.verdicts.observation import Cell
from fixtures.world.ways_in import RESOLVER, host_port

pytestmark = [pytest.mark.claim("DKR-6", "DKR-3"), pytest.mark.needs("bridge", "conntrack")]

SHOP = IPv4Network("198.51.100.0/24")
PUBLISHED, PORT = 18082, 8080
ALWAYS = {"Name": "always"}


@dataclass(frozen=True)
class Shop:
    """A Docker host out of a machine that keeps its cable, and a machine outside."""

    lab: Lab
    red: DockerHost
    far: ContainerEndpoint

    def open(self) -> list[ContainerEndpoint]:
        """The client and the server with a published port, started now."""
        ports = {f"{PORT}/{protocol}": PUBLISHED for protocol in ("tcp", "udp")}
        return list(
            together(
                partial(self.red.container, "client", "shop", restart_policy=ALWAYS),
                partial(self.red.container, "web", "shop", ports=ports, restart_policy=ALWAYS),
            )
        )

    def promised(self, client: ContainerEndpoint, web: ContainerEndpoint) -> dict[Cell, Expectation]:
        """Names lead to addresses, the server is reached by its name, and from outside at the host."""
        names = {
            cell: reached(answers=[str(address_of(peer))])
            for asking, peer in ((client, web), (web, client))
            for cell in every([asking], [RESOLVER], [lookup(peer.container)])
        }
        called = Destination("web", web.container, frozenset({web.identity}), web)
        there = every([client], [called], [tcp(PORT), udp(PORT)])
        outside = every([self.far], [host_port(web, self.red.endpoint)], [tcp(PUBLISHED), udp(PUBLISHED)])
        return names | all_of([*there, *outside], reached())


@pytest.fixture(scope="module")
def shop(lab: Lab) -> Shop:
    """The host with its network, and a cable to the outside."""
    machine, far = both(partial(lab.station, "red"), partial(lab.station, "far"))
    lab.cable(
        far.port("eth0", IPv4Interface("192.0.2.9/24")), machine.port("eth0", IPv4Interface("192.0.2.10/24"))
    )
    red = lab.docker_on(machine)
    red.network("shop", subnets=[SHOP])
    restart_daemon(lab, red)  # its rules stand in another order after it, and stay so
    return Shop(lab, red, far.endpoint)


@fault(site="shop", reddens={"docker/daemon_restart/names_and_ports": "far → web on red"})
def published_port_shut(shop: Shop) -> Iterator[None]:
    """A firewall of somebody else's on the host drops what comes for the published port."""
    with shop.red.rule("raw", "PREROUTING", "-p", "tcp", "--dport", str(PUBLISHED), "-j", "DROP"):
        yield


@fault(site="shop", reddens={"docker/daemon_restart/names_and_ports": "client → resolver"})
def name_taken(shop: Shop) -> Iterator[None]:
    """Another container of the network has the server's name for an alias, and comes back as well."""
    squatter = shop.red.container("squatter", "shop", aliases=["web"], restart_policy=ALWAYS)
    yield
    remove(shop.lab, squatter)


def test_names_and_ports(shop: Shop, lab_prober: Prober, proof: Proof) -> None:
    """Before it and after it each has the other's name, and outside reaches what is published at the host."""
    client, web = shop.open()
    before = shop.promised(client, web)
    first = lab_prober.sweep(tuple(before))
    client, web = restart_daemon(shop.lab, shop.red, client, web)
    after = shop.promised(client, web)
    second = lab_prober.sweep(tuple(after))
    remove(shop.lab, client, web)

    proof.concludes(judge(before, first), judge(after, second))
