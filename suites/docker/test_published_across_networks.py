"""A port published at the host is reached from other networks too: by the proxy, and since Docker 29 without it.

    far 192.0.2.20 ── eth0 ── eth0 192.0.2.2 red , with docker-proxy     ‹far→shop at red tcp›
                                   ├ front 198.51.100.0/24, buyer        ‹buyer→shop at red tcp›
                                   └ back  203.0.113.0/24, shop .11 published at 18080

    far 192.0.2.148 ─ eth1 ── eth0 192.0.2.130 blue, --userland-proxy=false   ‹far→stall at blue tcp›
                                   ├ front, guest                             ‹guest→stall at blue tcp›
                                   └ back, stall .11 published at 18080

The proxy is a program on the host, so that what keeps the networks apart does not concern it. Without it the
packet is translated to the other network's address and meets the rules for networks apart. It is at its address
that the container stays out of reach in either case.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Interface, IPv4Network

import pytest

from fixtures.endpoints.containers import ContainerEndpoint
from fixtures.endpoints.together import together
from fixtures.engines.behaviour import Behaviour, expected
from fixtures.faults.fault import fault
from fixtures.lab.docker_host import DockerHost
from fixtures.lab.lab import Lab
from fixtures.plugins.proof import Proof
from fixtures.probes.plan import Destination, address_of, at, every, virtual
from fixtures.probes.runner import Prober
from fixtures.probes.ways import tcp
from fixtures.verdicts.expectation import all_of, blocked, reached
from fixtures.verdicts.judge import judge

pytestmark = [pytest.mark.claim("DKR-6"), pytest.mark.needs("bridge", "conntrack")]

HERE = "docker/published_across_networks"
FRONT, BACK = IPv4Network("198.51.100.0/24"), IPv4Network("203.0.113.0/24")
PUBLISHED = 18080


@dataclass(frozen=True)
class Street:
    """A host with a server on one network and a client on the other, and a machine outside."""

    host: DockerHost
    far: ContainerEndpoint
    asker: ContainerEndpoint
    server: ContainerEndpoint


@dataclass(frozen=True)
class Streets:
    """One host with docker-proxy, and one without."""

    red: Street
    blue: Street


@pytest.fixture(scope="module")
def streets(lab: Lab) -> Streets:
    """Both cabled to one machine, each on a subnet of its own."""
    red, blue = together(partial(lab.host, "red"), partial(lab.host, "blue", options=["--userland-proxy=false"]))
    far = lab.station("far")
    for number, host in enumerate((red, blue)):
        near, there = (IPv4Interface(f"192.0.2.{128 * number + last}/25") for last in (20, 2))
        lab.cable(far.port(f"eth{number}", near), host.port("eth0", there))
    return Streets(
        Street(red, far.endpoint, *_people(red, "buyer", "shop")),
        Street(blue, far.endpoint, *_people(blue, "guest", "stall")),
    )


def _people(host: DockerHost, asker: str, server: str) -> tuple[ContainerEndpoint, ContainerEndpoint]:
    """The two networks with a container on each."""
    host.network("front", subnets=[FRONT], options={"com.docker.network.bridge.name": "front"})
    host.network("back", subnets=[BACK], options={"com.docker.network.bridge.name": "back"})
    one, other = together(
        partial(host.container, asker, "front", FRONT[11]),
        partial(host.container, server, "back", BACK[11], ports={"8080/tcp": PUBLISHED}),
    )
    return one, other


@fault(site="streets", reddens={f"{HERE}/with_the_proxy": "buyer → shop"}, spares=(f"{HERE}/without_the_proxy",))
def the_proxy_is_not_reached(streets: Streets) -> Iterator[None]:
    """The host drops what comes from its bridge for the published port at its own address."""
    with streets.red.host.rule(
        "raw", "PREROUTING", "-i", "front", "-p", "tcp", "--dport", str(PUBLISHED), "-j", "DROP"
    ):
        yield


@fault(
    site="streets",
    reddens={f"{HERE}/without_the_proxy": "guest → stall at blue"},
    spares=(f"{HERE}/with_the_proxy",),
)
def the_contrary_without_proxy(streets: Streets) -> Iterator[None]:
    """The host accepts TCP between the networks where Docker drops it, and the other way round."""
    host = streets.blue.host
    verdict = "DROP" if expected(Behaviour.PUBLISHED_WITHOUT_PROXY, host.version) else "ACCEPT"
    with ExitStack() as rules:
        for ends in (("-i", "front", "-o", "back"), ("-i", "back", "-o", "front")):
            rules.enter_context(host.rule("filter", "DOCKER-USER", *ends, "-p", "tcp", "-j", verdict))
        yield


def test_with_the_proxy(streets: Streets, lab_prober: Prober, proof: Proof) -> None:
    """With docker-proxy the published port is reached from the other network, the container's address is not."""
    street = streets.red
    published = every([street.far, street.asker], [at_host(street)], [tcp(PUBLISHED)])
    directly = every([street.asker], [at(street.server)], [tcp(8080)])
    near = every([street.host.endpoint], [at(street.server)], [tcp(8080)])

    seen = lab_prober.sweep([*published, *directly, *near])

    proof.concludes(judge(all_of([*published, *near], reached()) | all_of(directly, blocked()), seen))


def test_without_the_proxy(streets: Streets, lab_prober: Prober, proof: Proof) -> None:
    """Without it the published port is reached from the other network since Docker 29, and dropped before."""
    street = streets.blue
    open_to_all = expected(Behaviour.PUBLISHED_WITHOUT_PROXY, street.host.version)
    proof.shows(str(open_to_all))
    outside = every([street.far], [at_host(street)], [tcp(PUBLISHED)])
    own_host = every([street.asker], [at(street.host.endpoint)], [tcp(8080)])
    published = every([street.asker], [at_host(street)], [tcp(PUBLISHED)])

    seen = lab_prober.sweep([*outside, *own_host, *published])

    across = all_of(published, reached() if open_to_all else blocked())
    proof.concludes(judge(all_of([*outside, *own_host], reached()) | across, seen))


def at_host(street: Street) -> Destination:
    """The server at its host's address on the cable."""
    name = f"{street.server.name} at {street.host.name}"
    return virtual(name, address_of(street.host.endpoint), [street.server])
