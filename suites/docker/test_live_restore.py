"""With live-restore containers go on while dockerd is away: what was open stays open, and new clients are served.

    red, whose dockerd ends and is started again (--live-restore); meanwhile its DNS says of a name: ‹names›
    ├ shop 198.51.100.0/24 ─┬ client .11  ‹client→web tcp›
    │                       ├ web    .12  8080 published at 18083
    │                       └ late   .13  started once it is back ‹late→web tcp›
    └ eth0 192.0.2.10 ── eth0 192.0.2.9 far   ‹far→web on red tcp›

Docker's own DNS is a part of dockerd. Releases have lost names (moby#45646), published ports or whole networks
when they took over the containers of the dockerd before.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Interface, IPv4Network

import pytest

from clusters.waiting import TIMEOUTS
from fixtures.endpoints.containers import ContainerEndpoint, starts
from fixtures.endpoints.together import both, together
from fixtures.engines.daemon import KEEPING
from fixtures.faults.fault import fault
from fixtures.lab.docker_host import DockerHost
from fixtures.lab.lab import Lab
from fixtures.lab.lifetime import daemon_away, remove
from fixtures.plugins.proof import Proof
from fixtures.probes.held import held
from fixtures.probes.plan import Destination, address_of, at, between, every
from fixtures.probes.runner import Prober
from fixtures.probes.ways import lookup, ping, tcp, udp
from fixtures.verdicts.expectation import all_of, reached
from fixtures.verdicts.judge import judge
from fixtures.verdicts.observation import Cell
from fixtures.world.ways_in import RESOLVER, host_port

pytestmark = [pytest.mark.claim("DKR-11"), pytest.mark.needs("bridge", "conntrack")]

HERE = "docker/live_restore"
SHOP = IPv4Network("198.51.100.0/24")
PUBLISHED, PORT = 18083, 8080
PORTS = {f"{PORT}/{protocol}": PUBLISHED for protocol in ("tcp", "udp")}


@dataclass(frozen=True)
class Shop:
    """A Docker host that keeps its containers, two of them, and a machine outside."""

    lab: Lab
    red: DockerHost
    client: ContainerEndpoint
    web: ContainerEndpoint
    far: ContainerEndpoint

    @property
    def outside_in(self) -> Destination:
        """web at the host's published port."""
        return host_port(self.web, self.red.endpoint)

    def asked(self) -> tuple[Cell, ...]:
        """Everybody asks web in the way that it has."""
        patience = self.lab.engine.patience
        ways = [way(PUBLISHED, timeout=patience) for way in (tcp, udp)]
        inside = [tcp(PORT, timeout=patience), udp(PORT, timeout=patience), ping(timeout=patience)]
        return (
            *every([self.client, self.red.endpoint], [at(self.web)], inside),
            *every([self.far], [self.outside_in], ways),
        )

    def begun(self) -> dict[str, int]:
        """How often each container has been started."""
        found = [self.red.docker.containers.get(one.container) for one in (self.client, self.web)]
        return {str(one.name): starts(one) for one in found}


@pytest.fixture(scope="module")
def shop(lab: Lab) -> Shop:
    """The host with its network, and a cable to the outside."""
    red, far = both(partial(lab.host, "red", options=[KEEPING]), partial(lab.station, "far"))
    lab.cable(far.port("eth0", IPv4Interface("192.0.2.9/24")), red.port("eth0", IPv4Interface("192.0.2.10/24")))
    red.network("shop", subnets=[SHOP])
    client, web = together(
        partial(red.container, "client", "shop", SHOP[11]),
        partial(red.container, "web", "shop", SHOP[12], ports=PORTS),
    )
    with daemon_away(lab, red, client, web):
        pass  # its rules stand in another order after it, and stay so
    return Shop(lab, red, client, web, far.endpoint)


@fault(
    site="shop",
    reddens={f"{HERE}/while_it_is_away": "client → web"},
    spares=(f"{HERE}/newcomers_after_it",),
)
def neighbours_parted(shop: Shop) -> Iterator[None]:
    """The host's firewall drops UDP from the client to its neighbour."""
    ends = ("-s", str(SHOP[11]), "-d", str(SHOP[12]))
    with shop.red.rule("raw", "PREROUTING", *ends, "-p", "udp", "-j", "DROP"):
        yield


@fault(
    site="shop",
    reddens={f"{HERE}/while_it_is_away": "far → web on red", f"{HERE}/published_after_it": "far → web on red"},
    spares=(f"{HERE}/names_after_it",),
)
def kept_port_shut(shop: Shop) -> Iterator[None]:
    """A firewall of somebody else's on the host drops what comes over UDP for the published port."""
    with shop.red.rule("raw", "PREROUTING", "-p", "udp", "--dport", str(PUBLISHED), "-j", "DROP"):
        yield


@fault(
    site="shop",
    reddens={f"{HERE}/names_after_it": "client → resolver"},
    spares=(f"{HERE}/while_it_is_away", f"{HERE}/published_after_it"),
)
def name_taken_meanwhile(shop: Shop) -> Iterator[None]:
    """Another container of the network has the server's name for an alias, and goes on as well."""
    squatter = shop.red.container("squatter", "shop", aliases=["web"])
    yield
    remove(shop.lab, squatter)


@fault(
    site="shop",
    reddens={f"{HERE}/newcomers_after_it": "late → web"},
    spares=(f"{HERE}/names_after_it", f"{HERE}/published_after_it"),
)
def late_is_shut_out(shop: Shop) -> Iterator[None]:
    """The host's firewall drops what the newcomer's address sends to those that were there before."""
    with shop.red.rule("raw", "PREROUTING", "-s", str(SHOP[13]), "-d", str(SHOP[12]), "-j", "DROP"):
        yield


def test_while_it_is_away(shop: Shop, lab_prober: Prober, proof: Proof) -> None:
    """Neighbour, host and outside reach web, a connection from before lives, and no container is started anew."""
    cells, names = shop.asked(), every([shop.client], [RESOLVER], [lookup("web")])
    before = shop.begun()
    with held(shop.far, shop.outside_in, PUBLISHED, 1, patience=TIMEOUTS.stream) as connection:
        with daemon_away(shop.lab, shop.red, shop.client, shop.web):
            seen = lab_prober.sweep(cells)
            (no_name,) = lab_prober.sweep(names)
            meanwhile = connection.answered_by()
        after = connection.answered_by()

    proof.concludes(judge(all_of(cells, reached()), seen))
    proof.draws({"names": no_name.outcome})
    proof.fact(
        "a connection from before is answered by web", (*meanwhile, *after) == ("web",) * 2, meanwhile + after
    )
    proof.fact("no container was started anew", shop.begun() == before, shop.begun())


def test_names_after_it(shop: Shop, lab_prober: Prober, proof: Proof) -> None:
    """Once it is back containers that went on have each other's names, and reach each other by them."""
    with daemon_away(shop.lab, shop.red, shop.client, shop.web):
        pass
    pairs = ((shop.client, shop.web), (shop.web, shop.client))
    names = {
        cell: reached(answers=[str(address_of(peer))])
        for asking, peer in pairs
        for cell in every([asking], [RESOLVER], [lookup(peer.container)])
    }
    called = Destination("web", shop.web.container, frozenset({shop.web.identity}), shop.web)
    promised = names | all_of(every([shop.client], [called], [tcp(PORT), udp(PORT)]), reached())

    proof.concludes(judge(promised, lab_prober.sweep(tuple(promised))))


def test_published_after_it(shop: Shop, lab_prober: Prober, proof: Proof) -> None:
    """Once it is back the outside reaches what is published, and by nobody else than web."""
    with daemon_away(shop.lab, shop.red, shop.client, shop.web):
        pass
    cells = shop.asked()

    proof.concludes(judge(all_of(cells, reached()), lab_prober.sweep(cells)))


def test_newcomers_after_it(shop: Shop, lab_prober: Prober, proof: Proof) -> None:
    """A container that is started once it is back, and those that went on, reach each other."""
    with daemon_away(shop.lab, shop.red, shop.client, shop.web):
        pass
    late = shop.red.container("late", "shop", SHOP[13])
    cells = between([late, shop.web], [tcp(PORT), udp(PORT), ping()])
    seen = lab_prober.sweep(cells)
    remove(shop.lab, late)

    proof.concludes(judge(all_of(cells, reached()), seen))
