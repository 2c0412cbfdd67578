"""From outside a container's port is reached where it is published, at the host's address, and nowhere else.

    outside 192.0.2.9 ─ eth0 ════ lan0 ─ red 192.0.2.1, a Docker host ─ docker0
                                                 ├ web  ‹web› :8080          published as 18080
                                                 ├ open ‹open› :8080, :8085  by -P, as ‹open ports›
                                                 └ shut ‹shut› :8085         not published

    192.0.2.1:18080  tcp ‹outside→web on red tcp›  udp ‹outside→web on red udp›
    192.0.2.1:8085   tcp ‹outside→shut on red tcp›  udp ‹outside→shut on red udp›

It fails where the translation is missing for one of the protocols, where something else stands in for it (Docker's
userland proxy does, and hides who asks), and where a port is open on the host that nobody published.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Interface

import pytest

from fixtures.endpoints.containers import ContainerEndpoint
from fixtures.endpoints.together import both, together
from fixtures.faults.fault import fault
from fixtures.lab.docker_host import DockerHost
from fixtures.lab.lab import Lab
from fixtures.lab.machine import Machine
from fixtures.lab.publishing import by_testcontainers, exposing, published
from fixtures.plugins.proof import Proof
from fixtures.probes.connections import listed
from fixtures.probes.node_state import Nodes
from fixtures.probes.plan import Destination, address_of, at, every
from fixtures.probes.runner import Prober
from fixtures.probes.ways import tcp, udp
from fixtures.verdicts.expectation import all_of, reached, refused
from fixtures.verdicts.judge import judge
from fixtures.verdicts.observation import Cell, Probe, Protocol
from fixtures.world.ways_in import host_port

pytestmark = pytest.mark.claim("DKR-3")

WEB, SHUT = 18080, 8085
"""Where web is published, and where nothing is though a container listens there."""
EXPOSED = (8080, SHUT)
BOTH = (Protocol.TCP, Protocol.UDP)


@dataclass(frozen=True)
class Harbour:
    """A Docker host with containers that are published in one way or another, and a machine on its wire."""

    lab: Lab
    red: DockerHost
    outside: Machine
    web: ContainerEndpoint
    open: ContainerEndpoint
    shut: ContainerEndpoint

    def ways(self, port: int) -> list[Probe]:
        """By TCP and UDP to that port."""
        patience = self.lab.engine.patience
        return [tcp(port, timeout=patience), udp(port, timeout=patience)]

    def from_outside(self, container: ContainerEndpoint, port: int) -> tuple[Cell, ...]:
        """The container at a port of the host, asked from outside."""
        there = host_port(container, self.red.endpoint)
        return every([self.outside.endpoint], [there], self.ways(port))


@pytest.fixture(scope="module")
def harbour(lab: Lab) -> Harbour:
    """A Docker host, its containers, and a cable to the outside."""
    red, outside = both(partial(lab.host, "red"), partial(lab.station, "outside"))
    lab.cable(outside.port("eth0", IPv4Interface("192.0.2.9/24")), red.port("lan0", IPv4Interface("192.0.2.1/24")))
    image = exposing(red, EXPOSED, BOTH)
    web, opened, shut = together(
        partial(red.container, "web", ports={f"8080/{protocol}": WEB for protocol in BOTH}),
        partial(red.container, "open", tcp=EXPOSED, udp=EXPOSED, image=image, publish_all_ports=True),
        partial(red.container, "shut", tcp=[SHUT], udp=[SHUT]),
    )
    return Harbour(lab, red, outside, web, opened, shut)


@fault(
    site="harbour",
    reddens={"docker/published_ports/by_translation": "outside → web on red"},
    spares=(
        "docker/published_ports/unpublished_is_refused",
        "docker/published_ports/all_that_is_exposed",
        "docker/published_ports/as_testcontainers_publishes",
    ),
)
def translation_passed_by(harbour: Harbour) -> Iterator[None]:
    """The host does not translate web's TCP port: its userland proxy answers, and hides who asks."""
    with harbour.red.rule("nat", "PREROUTING", "-p", "tcp", "--dport", f"{WEB}", "-j", "ACCEPT"):
        yield


@fault(
    site="harbour",
    reddens={"docker/published_ports/all_that_is_exposed": "outside → open on red"},
    spares=("docker/published_ports/by_translation", "docker/published_ports/unpublished_is_refused"),
)
def exposed_led_astray(harbour: Harbour) -> Iterator[None]:
    """One of the ports that the image exposes leads to another container."""
    port = published(harbour.open)[Protocol.UDP, SHUT]
    target = f"{address_of(harbour.shut)}:{SHUT}"
    with harbour.red.rule("nat", "PREROUTING", "-p", "udp", "--dport", f"{port}", "-j", "DNAT", "--to", target):
        yield


@fault(
    site="harbour",
    reddens={"docker/published_ports/unpublished_is_refused": "outside → shut on red"},
    spares=("docker/published_ports/by_translation", "docker/published_ports/all_that_is_exposed"),
)
def opened_by_hand(harbour: Harbour) -> Iterator[None]:
    """A rule that is not Docker's leads a port of the host to a container that is not published."""
    target = f"{address_of(harbour.shut)}:{SHUT}"
    with harbour.red.rule("nat", "PREROUTING", "-p", "tcp", "--dport", f"{SHUT}", "-j", "DNAT", "--to", target):
        yield


@fault(
    site="harbour",
    reddens={
        "docker/published_ports/as_testcontainers_publishes": "outside → third on red",
        "docker/published_ports/all_that_is_exposed": "outside → open on red",
    },
    spares=("docker/published_ports/by_translation", "docker/published_ports/unpublished_is_refused"),
)
def high_ports_refused(harbour: Harbour) -> Iterator[None]:
    """A firewall refuses what was sent to the ports that Docker chooses by itself."""
    high = ("-p", "tcp", "-m", "conntrack", "--ctorigdstport", "32768:60999")
    with harbour.red.rule("filter", "DOCKER-USER", "-i", "lan0", *high, "-j", "REJECT"):
        yield


def test_by_translation(harbour: Harbour, lab_prober: Prober, proof: Proof) -> None:
    """TCP and UDP from outside to the published port: the container answers at its own, and sees who asks."""
    red, web, outside = harbour.red.endpoint, harbour.web, harbour.outside.endpoint
    cells = harbour.from_outside(web, WEB)

    seen = lab_prober.sweep(cells)

    proof.draws({one.name: address_of(one) for one in (web, harbour.open, harbour.shut)})
    proof.concludes(judge(all_of(cells, reached(seen_as=outside.addresses)), seen))
    served = [it.served_at for it in seen]
    proof.fact("both were served at the container's own", served == [(address_of(web), 8080)] * 2, served)
    known = Nodes(harbour.lab.conversations, [red]).remembered(red, seen)
    ends = [(one.asked.destination, one.asked.destination_port, one.answered.source) for one in known]
    translated = ends == [(address_of(red), WEB, address_of(web))] * 2
    proof.fact("conntrack knows both with another destination", translated, listed([known]))
    proof.fact("and with the same source", all(one.keeps_source for one in known), listed([known]))


def test_all_that_is_exposed(harbour: Harbour, lab_prober: Prober, proof: Proof) -> None:
    """With -P every port that the image exposes is reached from outside, each at the port that Docker tells."""
    ports = published(harbour.open)
    cells = {
        cell: reached(seen_as=harbour.outside.endpoint.addresses)
        for (protocol, _), port in ports.items()
        for cell in harbour.from_outside(harbour.open, port)
        if cell.probe.protocol is protocol
    }

    seen = lab_prober.sweep(tuple(cells))

    told = ", ".join(f"{inner}/{protocol} as {port}" for (protocol, inner), port in ports.items())
    proof.draws({"open ports": told})
    wanted = {(protocol, port) for protocol in BOTH for port in EXPOSED}
    proof.fact("all that the image exposes is published", set(ports) == wanted, told)
    proof.concludes(judge(cells, seen))
    served = {(it.cell.probe.protocol, it.served_at[1]) for it in seen if it.served_at}
    proof.fact("each leads to a port of its own", served == wanted, sorted(served))


def test_unpublished_is_refused(harbour: Harbour, lab_prober: Prober, proof: Proof) -> None:
    """A port that is not published is refused at the host's address, though the container answers there."""
    shut = harbour.from_outside(harbour.shut, SHUT)
    alive = every([harbour.red.endpoint], [at(harbour.shut)], harbour.ways(SHUT))

    seen = lab_prober.sweep([*shut, *alive])

    proof.concludes(judge({**all_of(shut, refused()), **all_of(alive, reached())}, seen))


def test_as_testcontainers_publishes(harbour: Harbour, lab_prober: Prober, proof: Proof) -> None:
    """A container made by testcontainers is reached from outside at the port that testcontainers tells."""
    red, outside = harbour.red.endpoint, harbour.outside.endpoint
    with by_testcontainers(harbour.red, "third", 8080) as port:
        there = Destination("third on red", str(address_of(red)), frozenset({"third"}))
        cells = every([outside], [there], [tcp(port, timeout=harbour.lab.engine.patience)])
        seen = lab_prober.sweep(cells)

    proof.concludes(judge(all_of(cells, reached(seen_as=outside.addresses)), seen))
