"""Who is on the host's wire and asks past the published ports gets as far as the Docker release lets it.

    peer 192.0.2.9 ─ eth0 ════ lan0 ─ red 192.0.2.1, a Docker host, forwards where no rule says (FORWARD): ‹policy›
      its route to docker0's subnet       └ docker0 ‹docker0› ─┬ web  :8080   published as 18080
      leads to red                                             ├ kept :8080   published as 18081 at 127.0.0.1
      its 127.0.0.1 leads to red                               └ shut :8085   not published

    peer → shut at its address        tcp ‹peer→shut tcp›  udp ‹peer→shut udp›
    peer → web at its address         tcp ‹peer→web tcp›  udp ‹peer→web udp›
    peer → kept at red's 127.0.0.1    tcp ‹peer→kept on 127.0.0.1 tcp›
    peer → kept at red's 192.0.2.1    tcp ‹peer→kept on red tcp›

Before Docker 28 all but the last is open to a neighbour who sets a route, unless the host drops what it forwards.
It fails where a release is more open, or less, than it is known to be.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from ipaddress import IPv4Interface, ip_address

import pytest

from fixtures.endpoints.containers import ContainerEndpoint
from fixtures.endpoints.together import both, together
from fixtures.engines.behaviour import Behaviour, expected
from fixtures.faults.fault import fault
from fixtures.lab.docker_host import DockerHost
from fixtures.lab.lab import Lab
from fixtures.lab.machine import Machine
from fixtures.plugins.proof import Proof
from fixtures.probes.plan import Destination, address_of, at, every
from fixtures.probes.runner import Prober
from fixtures.probes.ways import tcp, udp
from fixtures.verdicts.expectation import all_of, blocked, reached, refused
from fixtures.verdicts.judge import judge
from fixtures.verdicts.observation import Cell, IPAddress, Probe
from fixtures.world.ways_in import host_port

pytestmark = pytest.mark.claim("DKR-3")

WEB, KEPT, SHUT = 18080, 18081, 8085
"""Where the two are published, and where the third listens without being so."""
LOOPBACK_ROUTED = {"net.ipv4.conf.all.route_localnet": "1"}
"""With it a machine may send to 127.0.0.1 by a link, once it has no such address itself."""


class Policy(StrEnum):
    """What the host does with packets that it should forward and no rule speaks of."""

    ACCEPT = "ACCEPT"
    DROP = "DROP"


@dataclass(frozen=True)
class Shore:
    """A Docker host with three containers, and a machine on its wire that asks past the published ports."""

    lab: Lab
    red: DockerHost
    peer: Machine
    web: ContainerEndpoint
    kept: ContainerEndpoint
    shut: ContainerEndpoint

    def ways(self, port: int) -> list[Probe]:
        """By TCP and UDP to that port."""
        patience = self.lab.engine.patience
        return [tcp(port, timeout=patience), udp(port, timeout=patience)]

    def past(self, container: ContainerEndpoint, port: int) -> tuple[tuple[Cell, ...], tuple[Cell, ...]]:
        """The peer to the container at its own address; and what shows that both of them are well."""
        past = every([self.peer.endpoint], [at(container)], self.ways(port))
        alive = every([self.red.endpoint], [at(container)], self.ways(port))
        return past, alive + every([self.peer.endpoint], [host_port(self.web, self.red.endpoint)], self.ways(WEB))

    @contextmanager
    def policy(self, policy: Policy) -> Iterator[None]:
        """The host's policy for what it forwards, for as long as this lasts."""
        (before,) = (line.split()[-1] for line in self.red.iptables("-S", "FORWARD").splitlines() if "-P" in line)
        self.red.iptables("-P", "FORWARD", policy)
        try:
            yield
        finally:
            self.red.iptables("-P", "FORWARD", before)


@pytest.fixture(scope="module")
def shore(lab: Lab) -> Shore:
    """The host and its containers, and a cable to the peer, which has a route to docker0's subnet by the host."""
    red, peer = both(partial(lab.host, "red"), partial(lab.station, "peer", sysctls=LOOPBACK_ROUTED))
    lab.cable(peer.port("eth0", IPv4Interface("192.0.2.9/24")), red.port("lan0", IPv4Interface("192.0.2.1/24")))
    web, kept, shut = together(
        partial(red.container, "web", ports={f"8080/{protocol}": WEB for protocol in ("tcp", "udp")}),
        partial(red.container, "kept", ports={"8080/tcp": ("127.0.0.1", KEPT)}),
        partial(red.container, "shut", tcp=[SHUT], udp=[SHUT]),
    )
    peer.configure(
        f"route add {red.docker0.network} via 192.0.2.1",
        "address del 127.0.0.1/8 dev lo",
        "route add 127.0.0.1/32 via 192.0.2.1 src 192.0.2.9",
    )
    return Shore(lab, red, peer, web, kept, shut)


@fault(
    site="shore",
    reddens={"docker/past_published_ports/unpublished_where_forwarding_is_dropped": "peer → shut"},
    spares=("docker/past_published_ports/published_at_localhost",),
)
def all_let_through(shore: Shore) -> Iterator[None]:
    """DOCKER-USER, where one's own rules go, accepts whatever comes by the wire."""
    with _ruled(shore, "ACCEPT", shore.red.docker0.network):
        yield


@fault(
    site="shore",
    reddens={"docker/past_published_ports/unpublished_where_forwarding_is_accepted": "peer → shut"},
    spares=("docker/past_published_ports/published_at_its_own_address",),
)
def unpublished_turned_round(shore: Shore) -> Iterator[None]:
    """What is sent to the unpublished container fares as with a release on the other side of the change."""
    with _turned_round(shore, Behaviour.UNPUBLISHED_DROPPED, address_of(shore.shut)):
        yield


@fault(
    site="shore",
    reddens={"docker/past_published_ports/published_at_its_own_address": "peer → web"},
    spares=("docker/past_published_ports/unpublished_where_forwarding_is_accepted",),
)
def published_turned_round(shore: Shore) -> Iterator[None]:
    """What is sent to the published container's own address fares as with a release beyond the change."""
    with _turned_round(shore, Behaviour.PUBLISHED_AT_HOST_ALONE, address_of(shore.web)):
        yield


@fault(
    site="shore",
    reddens={"docker/past_published_ports/published_at_localhost": "peer → kept on 127.0.0.1"},
    spares=("docker/past_published_ports/published_at_its_own_address",),
)
def loopback_turned_round(shore: Shore) -> Iterator[None]:
    """What comes by the wire for 127.0.0.1 fares as with a release beyond the change."""
    with _turned_round(shore, Behaviour.LOOPBACK_PUBLISHED_KEPT_IN, ip_address("127.0.0.1")):
        yield


@contextmanager
def _turned_round(shore: Shore, behaviour: Behaviour, destination: IPAddress) -> Iterator[None]:
    verdict = "ACCEPT" if expected(behaviour, shore.red.version) else "DROP"
    with _ruled(shore, verdict, destination):
        yield


@contextmanager
def _ruled(shore: Shore, verdict: str, destination: object) -> Iterator[None]:
    """A verdict over what comes by the wire for that destination, before any translation, and if let in, after."""
    rule = ("-i", "lan0", "-d", str(destination), "-j", verdict)
    with ExitStack() as rules:
        rules.enter_context(shore.red.rule("raw", "PREROUTING", *rule))
        if verdict == "ACCEPT":
            rules.enter_context(shore.red.rule("filter", "DOCKER-USER", *rule))
        yield


def test_unpublished_where_forwarding_is_accepted(shore: Shore, lab_prober: Prober, proof: Proof) -> None:
    """A route to an unpublished port, the host forwards what no rule names: from 28 dropped, before let in."""
    dropped = expected(Behaviour.UNPUBLISHED_DROPPED, shore.red.version)
    past, alive = shore.past(shore.shut, SHUT)

    with shore.policy(Policy.ACCEPT):
        seen = lab_prober.sweep([*past, *alive])

    proof.shows(str(dropped))
    proof.draws({"policy": Policy.ACCEPT, "docker0": shore.red.docker0})
    promised = all_of(past, blocked() if dropped else reached())
    proof.concludes(judge({**promised, **all_of(alive, reached())}, seen))


def test_unpublished_where_forwarding_is_dropped(shore: Shore, lab_prober: Prober, proof: Proof) -> None:
    """A route to an unpublished port, the host drops what no rule names: dropped, in every release."""
    past, alive = shore.past(shore.shut, SHUT)

    with shore.policy(Policy.DROP):
        seen = lab_prober.sweep([*past, *alive])

    proof.draws({"policy": Policy.DROP, "docker0": shore.red.docker0})
    proof.concludes(judge({**all_of(past, blocked()), **all_of(alive, reached())}, seen))


@pytest.mark.parametrize("policy", list(Policy))
def test_published_at_its_own_address(shore: Shore, lab_prober: Prober, proof: Proof, policy: Policy) -> None:
    """A route by the host, to a published port at the container's own address: from 28 dropped, before let in."""
    dropped = expected(Behaviour.PUBLISHED_AT_HOST_ALONE, shore.red.version)
    past, alive = shore.past(shore.web, 8080)

    with shore.policy(policy):
        seen = lab_prober.sweep([*past, *alive])

    proof.shows(str(dropped))
    proof.draws({"policy": policy, "docker0": shore.red.docker0})
    promised = all_of(past, blocked() if dropped else reached())
    proof.concludes(judge({**promised, **all_of(alive, reached())}, seen))


def test_published_at_localhost(shore: Shore, lab_prober: Prober, proof: Proof) -> None:
    """Published at 127.0.0.1: the host reaches it, its address refuses; a route there leads in before 28."""
    dropped = expected(Behaviour.LOOPBACK_PUBLISHED_KEPT_IN, shore.red.version)
    peer, red, kept = shore.peer.endpoint, shore.red.endpoint, shore.kept
    way = [tcp(KEPT, timeout=shore.lab.engine.patience)]
    loopback = Destination("kept on 127.0.0.1", "127.0.0.1", frozenset({kept.identity}), kept)
    past, local = every([peer], [loopback], way), every([red], [loopback], way)
    front = every([peer], [host_port(kept, red)], way)
    alive = every([peer], [host_port(shore.web, red)], shore.ways(WEB)) + every(
        [red], [at(kept)], shore.ways(8080)
    )

    seen = lab_prober.sweep([*past, *local, *front, *alive])

    proof.shows(str(dropped))
    promised = {**all_of(past, blocked() if dropped else reached()), **all_of(front, refused())}
    proof.concludes(judge({**promised, **all_of([*local, *alive], reached())}, seen))
