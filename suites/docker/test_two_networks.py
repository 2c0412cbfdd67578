"""A container on two networks has one default route, by the network whose name comes first, and serves both.

    red
    ├ alpha 198.51.100.0/24 ─┬ ann  .12  ‹ann→twin tcp›
    │                        └ twin .11   default route: ‹default route›, without alpha: ‹without alpha›
    ├ beta  203.0.113.0/24  ─┬ twin .11
    │                        └ bob  .12  ‹bob→twin tcp›
    └ eth0 192.0.2.10 ── eth0 192.0.2.9 far   ‹twin→far tcp›

It was on beta first. Since Docker 28 a gateway priority comes before the names. It fails where the order of
joining decides, where the container is left without a way out when the network of its default route goes, and
where a peer is answered by the other network.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Interface, IPv4Network

import pytest

from fixtures.endpoints.containers import NODE_CAPABILITIES, ContainerEndpoint
from fixtures.endpoints.together import both, together
from fixtures.engines.behaviour import Behaviour, expected
from fixtures.faults.fault import fault
from fixtures.lab.docker_host import DockerHost
from fixtures.lab.lab import Lab
from fixtures.lab.lifetime import remove
from fixtures.plugins.proof import Proof
from fixtures.probes.kernel import look
from fixtures.probes.plan import Destination, at, every, virtual
from fixtures.probes.promises import without_nat
from fixtures.probes.runner import Prober
from fixtures.probes.ways import ping, tcp, udp
from fixtures.verdicts.expectation import all_of, reached
from fixtures.verdicts.judge import judge
from fixtures.verdicts.verdict import NotSupportedHere

pytestmark = [pytest.mark.claim("DKR-6"), pytest.mark.needs("bridge", "conntrack")]

HERE = "docker/two_networks"
ALPHA, BETA = IPv4Network("198.51.100.0/24"), IPv4Network("203.0.113.0/24")
FAR, RED = IPv4Interface("192.0.2.9/24"), IPv4Interface("192.0.2.10/24")
WAYS = [tcp(8080), udp(8080), ping()]


@dataclass(frozen=True)
class Twin:
    """The container on both networks, its peer on each, another that prefers beta, and a machine outside."""

    lab: Lab
    red: DockerHost
    twin: ContainerEndpoint
    ann: ContainerEndpoint
    bob: ContainerEndpoint
    pinned: ContainerEndpoint
    far: ContainerEndpoint

    def default_routes(self, container: ContainerEndpoint) -> list[str]:
        """The gateways of a container's default routes."""
        routes = look(self.lab.conversations.with_(container)).routes
        return [str(route.gateway) for route in routes if route.destination.prefixlen == 0]

    def on(self, network: str, subnet: IPv4Network) -> Destination:
        """It, at its address on that network."""
        return virtual(f"twin on {network}", subnet[11], [self.twin])


@pytest.fixture(scope="module")
def twins(lab: Lab) -> Twin:
    """A Docker host with two networks, and a cable to the machine outside."""
    red, far = both(partial(lab.host, "red"), partial(lab.station, "far"))
    lab.cable(far.port("eth0", FAR), red.port("eth0", RED))
    alpha = red.network("alpha", subnets=[ALPHA])
    red.network("beta", subnets=[BETA])
    twin, pinned, ann, bob = together(
        partial(red.container, "twin", "beta", BETA[11], capabilities=NODE_CAPABILITIES),
        partial(red.container, "pinned", "beta", BETA[31], capabilities=NODE_CAPABILITIES, gateway_priority=1),
        partial(red.container, "ann", "alpha", ALPHA[12]),
        partial(red.container, "bob", "beta", BETA[12]),
    )
    alpha.connect(twin.container, ipv4_address=str(ALPHA[11]))
    alpha.connect(pinned.container, ipv4_address=str(ALPHA[31]))
    return Twin(lab, red, twin, ann, bob, pinned, far.endpoint)


@pytest.fixture(scope="module")
def prioritized(twins: Twin) -> Twin:
    """The same, where Docker knows of gateway priorities."""
    known = expected(Behaviour.GATEWAY_PRIORITY, twins.red.version)
    if not known:
        raise NotSupportedHere(f"this Docker lacks gateway priorities (gw-priority): {known}")
    return twins


@fault(
    site="twins",
    reddens={f"{HERE}/the_first_by_name": "its default route is by alpha"},
    spares=(f"{HERE}/each_on_its_own",),
)
def one_more_way_out(twins: Twin) -> Iterator[None]:
    """Somebody has laid a default route by the other network, which comes before Docker's."""
    run, route = twins.lab.conversations.with_(twins.twin).run, ["default", "via", str(BETA[1])]
    run(["ip", "route", "prepend", *route])
    yield
    run(["ip", "route", "del", *route])


@fault(
    site="twins",
    reddens={f"{HERE}/the_first_by_priority": "its default route is by beta"},
    spares=(f"{HERE}/the_first_by_name",),
)
def priority_passed_over(twins: Twin) -> Iterator[None]:
    """Somebody has laid a default route by the network with the first name, in spite of the priority."""
    run = twins.lab.conversations.with_(twins.pinned).run
    route = ["default", "via", str(ALPHA[1]), "proto", "static"]
    run(["ip", "route", "prepend", *route])
    yield
    run(["ip", "route", "del", *route])


@fault(
    site="twins",
    reddens={f"{HERE}/when_the_first_goes": "other → far"},
    spares=(f"{HERE}/the_first_by_name", f"{HERE}/each_on_its_own"),
)
def beta_has_no_way_out(twins: Twin) -> Iterator[None]:
    """The host's firewall stops what leaves beta for the outside."""
    with twins.red.rule("raw", "PREROUTING", "-s", str(BETA), "-d", str(FAR.network), "-j", "DROP"):
        yield


@fault(
    site="twins",
    reddens={f"{HERE}/each_on_its_own": "bob → twin"},
    spares=(f"{HERE}/when_the_first_goes",),
)
def beta_stopped(twins: Twin) -> Iterator[None]:
    """The host's firewall stops what peers of beta ask of the container."""
    words = ("-s", str(BETA[12]), "-d", str(BETA[11]), "-p", "tcp", "-j", "DROP")
    with twins.red.rule("raw", "PREROUTING", *words):
        yield


def test_the_first_by_name(twins: Twin, lab_prober: Prober, proof: Proof) -> None:
    """Its only default route is by alpha, though it was on beta first; outside and its peers are reached."""
    cells = every([twins.twin], [at(twins.far), at(twins.ann), at(twins.bob)], WAYS)

    routes = twins.default_routes(twins.twin)

    proof.draws({"default route": ", ".join(routes)})
    proof.fact("its default route is by alpha", routes == [str(ALPHA[1])], routes)
    proof.concludes(judge(all_of(cells, reached()), lab_prober.sweep(cells)))


def test_the_first_by_priority(prioritized: Twin, lab_prober: Prober, proof: Proof) -> None:
    """A container that prefers beta by its gateway priority goes out by beta, though alpha's name comes first."""
    pinned = prioritized.pinned
    cells = every([pinned], [at(prioritized.far), at(prioritized.ann), at(prioritized.bob)], WAYS)

    routes = prioritized.default_routes(pinned)

    proof.shows(str(expected(Behaviour.GATEWAY_PRIORITY, prioritized.red.version)))
    proof.fact("its default route is by beta", routes == [str(BETA[1])], routes)
    proof.concludes(judge(all_of(cells, reached()), lab_prober.sweep(cells)))


def test_each_on_its_own(twins: Twin, lab_prober: Prober, proof: Proof) -> None:
    """Peers of each network reach it at its address there, and it sees them under their own."""
    alpha = every([twins.ann], [twins.on("alpha", ALPHA)], WAYS)
    beta = every([twins.bob], [twins.on("beta", BETA)], WAYS)

    seen = lab_prober.sweep([*alpha, *beta])

    promised = without_nat([*alpha, *beta], {peer.name: peer for peer in (twins.ann, twins.bob)})
    proof.concludes(judge(promised, seen))


def test_when_the_first_goes(twins: Twin, lab_prober: Prober, proof: Proof) -> None:
    """Taken off alpha a container goes out by beta at once; back on alpha its default route is by alpha again."""
    alpha, other = twins.red.docker.networks.get("alpha"), twins.red.container("other", "beta", BETA[21])
    alpha.connect(other.container)
    cells = every([other], [at(twins.far), at(twins.bob)], WAYS)
    alpha.disconnect(other.container)
    without, seen = twins.default_routes(other), lab_prober.sweep(cells)
    alpha.connect(other.container)
    again = twins.default_routes(other)
    remove(twins.lab, other)

    proof.draws({"without alpha": ", ".join(without)})
    proof.fact("without alpha it is by beta", without == [str(BETA[1])], without)
    proof.fact("with alpha it is by alpha again", again == [str(ALPHA[1])], again)
    proof.concludes(judge(all_of(cells, reached()), seen))
