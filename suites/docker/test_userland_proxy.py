"""A published port is reached from everywhere, whether Docker's userland proxy stands in or the kernel does all.

    outside 192.0.2.9 ────── lan0 192.0.2.1    red     docker0 ─┬ web :8080, published as 18080
            198.51.100.9 ─── lan0 198.51.100.1 blue             └ inner          (the same on both)

    who asks                         whom web on red sees    whom web on blue sees
    outside                          ‹red outside›           ‹blue outside›
    the host, at 127.0.0.1           ‹red localhost›         ‹blue localhost›
    the host, at its own address     ‹red itself›            ‹blue itself›
    inner, at the host's address     ‹red inner›             ‹blue inner›
    web, at the host's address       ‹red hairpin›           ‹blue hairpin›

On red the proxy takes what comes from docker0 or 127.0.0.1 and asks anew, as docker0. On blue, whose dockerd has
--userland-proxy=false, the kernel translates that too, and web's port of the bridge has to send frames back where
they came from. It fails where a firewall shuts the proxy off, and where that port does not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Interface

import pytest

from fixtures.endpoints.containers import ContainerEndpoint
from fixtures.endpoints.endpoint import Endpoint
from fixtures.endpoints.together import together
from fixtures.engines.behaviour import Behaviour, expected
from fixtures.faults.fault import fault
from fixtures.lab.docker_host import DockerHost
from fixtures.lab.lab import Lab
from fixtures.lab.machine import Machine
from fixtures.plugins.proof import Proof
from fixtures.probes.journey import senders
from fixtures.probes.kernel import look_at
from fixtures.probes.plan import Destination, address_of, between, every
from fixtures.probes.runner import Prober
from fixtures.probes.ways import tcp, udp
from fixtures.verdicts.expectation import reached, unanswered
from fixtures.verdicts.judge import judge
from fixtures.verdicts.observation import Cell, Protocol, Sweep
from fixtures.world.ways_in import host_port

pytestmark = pytest.mark.claim("DKR-3")

TCP = Protocol.TCP
WEB = 18080
CONTAINERS = ("inner", "hairpin")
"""The askers whose questions come to the host by docker0."""
KERNEL_ALONE = ("--userland-proxy=false",)


@dataclass(frozen=True)
class Quay:
    """A Docker host with one container that is published, and one more."""

    lab: Lab
    host: DockerHost
    outside: Machine
    web: ContainerEndpoint
    inner: ContainerEndpoint

    @property
    def port(self) -> str:
        """What web's port of docker0 is called."""
        kernels = look_at(self.lab.conversations, [self.host.endpoint, self.web])
        return kernels[self.host.name].other_end(kernels[self.web.name].link("eth0")).name

    def asked(self) -> dict[Cell, str]:
        """Web's published port by TCP and UDP: what is asked, and the drawing's word for who asks where."""
        host, patience = self.host.endpoint, self.lab.engine.patience
        ways = [tcp(WEB, timeout=patience), udp(WEB, timeout=patience)]
        front = host_port(self.web, host)
        local = Destination(f"{self.web.name} on 127.0.0.1", "127.0.0.1", front.peers)
        who: dict[str, tuple[Endpoint, Destination]] = {
            "outside": (self.outside.endpoint, front),
            "localhost": (host, local),
            "itself": (host, front),
            "inner": (self.inner, front),
            "hairpin": (self.web, front),
        }
        return {cell: word for word, (asker, there) in who.items() for cell in every([asker], [there], ways)}


@pytest.fixture(scope="module")
def quays(lab: Lab) -> dict[str, Quay]:
    """The two hosts and their containers, both cabled to the outside."""
    (red,), (blue,) = together(partial(lab.hosts, "red"), partial(lab.hosts, "blue", options=KERNEL_ALONE))
    outside = lab.station("outside")
    for host, link, net in ((red, "eth0", "192.0.2"), (blue, "eth1", "198.51.100")):
        lab.cable(
            outside.port(link, IPv4Interface(f"{net}.9/24")), host.port("lan0", IPv4Interface(f"{net}.1/24"))
        )
    return {host.name: _with_containers(lab, host, outside) for host in (red, blue)}


def _with_containers(lab: Lab, host: DockerHost, outside: Machine) -> Quay:
    ports = {f"8080/{protocol}": WEB for protocol in ("tcp", "udp")}
    web, inner = together(
        partial(host.container, f"web-{host.name}", ports=ports), partial(host.container, f"inner-{host.name}")
    )
    return Quay(lab, host, outside, web, inner)


@fault(
    site="quays",
    reddens={
        "docker/userland_proxy/with_the_proxy": "web-red → web-red on red",
        "docker/userland_proxy/answers_of_the_proxy": "web-red → web-red on red",
    },
    spares=("docker/userland_proxy/by_the_kernel_alone",),
)
def proxy_shut_off(quays: dict[str, Quay]) -> Iterator[None]:
    """Both hosts' firewalls take in nothing new from docker0, as one does that forgets the proxy."""
    new = ("filter", "INPUT", "-i", "docker0", "-m", "conntrack", "--ctstate", "NEW", "-j", "DROP")
    with quays["red"].host.rule(*new), quays["blue"].host.rule(*new):
        yield


@fault(
    site="quays",
    reddens={"docker/userland_proxy/by_the_kernel_alone": "web-blue → web-blue on blue"},
    spares=("docker/userland_proxy/with_the_proxy",),
)
def not_turned_round(quays: dict[str, Quay]) -> Iterator[None]:
    """Web's port of docker0 on blue does not send a frame back to where it came from."""
    blue = quays["blue"]
    blue.host.run("bridge", "link", "set", "dev", blue.port, "hairpin", "off")
    yield
    blue.host.run("bridge", "link", "set", "dev", blue.port, "hairpin", "on")


def test_with_the_proxy(quays: dict[str, Quay], lab_prober: Prober, proof: Proof) -> None:
    """By TCP and UDP all reach web: who comes by way of the proxy is seen as docker0, all others as themselves."""
    red = quays["red"]
    known = {"outside": address_of(red.outside.endpoint), "itself": address_of(red.host.endpoint)}
    known |= dict.fromkeys(("localhost", *CONTAINERS), red.host.docker0.ip)
    asked = {cell: who for cell, who in red.asked().items() if who not in CONTAINERS or _over(TCP, cell)}

    seen = lab_prober.sweep(tuple(asked))

    _draw(red, asked, seen, proof)
    proof.concludes(judge({cell: reached(seen_as=[known[who]]) for cell, who in asked.items()}, seen))


def test_answers_of_the_proxy(quays: dict[str, Quay], lab_prober: Prober, proof: Proof) -> None:
    """Asked by a container over UDP, the proxy answers from where it was asked since 28, before from docker0."""
    red = quays["red"]
    fixed = expected(Behaviour.PROXY_ANSWERS_AS_ASKED, red.host.version)
    asked = [cell for cell, who in red.asked().items() if who in CONTAINERS]

    with red.lab.capture.on([red.inner], asked) as taps:
        seen = lab_prober.sweep(asked)
    by_others = [cell for cell, who in red.asked().items() if who not in CONTAINERS]
    witness = lab_prober.sweep([*by_others, *between([red.web, red.inner], [udp(8080)])])

    proof.shows(str(fixed))
    promised = {cell: reached() if fixed or _over(TCP, cell) else unanswered() for cell in asked}
    proof.concludes(judge(promised, seen, [witness]))
    (inner,) = (cell for cell in asked if cell.source == red.inner.name and not _over(TCP, cell))
    answered = senders(taps.hops(inner), address_of(red.inner)).get("eth0", "nobody")
    wanted = address_of(red.host.endpoint) if fixed else red.host.docker0.ip
    proof.fact(f"the answer comes from {wanted}", answered == str(wanted), answered)


def test_by_the_kernel_alone(quays: dict[str, Quay], lab_prober: Prober, proof: Proof) -> None:
    """By TCP and UDP all reach web: the host and web itself are seen as docker0, all others as themselves."""
    blue = quays["blue"]
    known = {"outside": blue.outside.endpoint.addresses[1], "inner": address_of(blue.inner)}
    known |= dict.fromkeys(("localhost", "itself", "hairpin"), blue.host.docker0.ip)
    asked = blue.asked()

    seen = lab_prober.sweep(tuple(asked))

    _draw(blue, asked, seen, proof)
    proof.concludes(judge({cell: reached(seen_as=[known[who]]) for cell, who in asked.items()}, seen))


def _over(protocol: Protocol, cell: Cell) -> bool:
    return cell.probe.protocol is protocol


def _draw(quay: Quay, asked: Mapping[Cell, str], seen: Sweep, proof: Proof) -> None:
    """Whom web sees, by who asks."""
    found: dict[str, set[str]] = {who: set() for who in asked.values()}
    for one in seen:
        found[asked[one.cell]].add(str(one.seen_as[0]) if one.seen_as else "nobody")
    proof.draws({f"{quay.host.name} {who}": " or ".join(sorted(them)) for who, them in found.items()})
