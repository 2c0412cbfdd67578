"""In mode host a container is on the host's own network: it has nothing of its own, and nothing is translated.

    outside 192.0.2.9 ─ eth0 ════ lan0 ─ red 192.0.2.1, a Docker host, in ‹red namespace›
                                           ├ guest :8081  in mode host, in ‹guest namespace›
                                           ├ rival :8082  in mode host
                                           └ docker0 ─ inner :8081  in ‹inner namespace›

    outside → guest   tcp ‹outside→guest on red tcp›  udp ‹outside→guest on red udp›
    guest → outside   tcp ‹guest→outside tcp›  udp ‹guest→outside udp›

It fails where Docker gives the container a stack of its own after all, where the host's rules translate what comes
or goes, and where two containers could have one port, so that it is chance who answers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Interface

import pytest

from fixtures.endpoints.containers import ContainerEndpoint
from fixtures.endpoints.inside import refusal
from fixtures.endpoints.together import both, together
from fixtures.faults.fault import fault
from fixtures.lab.docker_host import DockerHost
from fixtures.lab.lab import Lab
from fixtures.lab.lifetime import remove
from fixtures.lab.machine import Machine
from fixtures.plugins.proof import Proof
from fixtures.probes.connections import listed
from fixtures.probes.kernel import look_at, namespace
from fixtures.probes.node_state import Nodes
from fixtures.probes.plan import at, every
from fixtures.probes.runner import Prober
from fixtures.probes.ways import tcp, udp
from fixtures.verdicts.expectation import all_of, reached
from fixtures.verdicts.judge import judge
from fixtures.verdicts.observation import Probe, Protocol, Sweep
from fixtures.world.ways_in import host_port

pytestmark = pytest.mark.claim("DKR-1")

AGENT, GUEST, RIVAL = 8080, 8081, 8082
"""Where the host itself listens, and the two containers in mode host."""


@dataclass
class Hosted:
    """Two containers in mode host, one on docker0, and a machine on the host's wire."""

    lab: Lab
    red: DockerHost
    outside: Machine
    guest: ContainerEndpoint
    rival: ContainerEndpoint
    inner: ContainerEndpoint

    def ways(self, port: int) -> list[Probe]:
        """By TCP and UDP to that port."""
        patience = self.lab.engine.patience
        return [tcp(port, timeout=patience), udp(port, timeout=patience)]


def in_host_mode(red: DockerHost, name: str, port: int) -> ContainerEndpoint:
    """A container of that host in mode host."""
    return red.container(name, "host", tcp=[port], udp=[port])


@pytest.fixture(scope="module")
def hosted(lab: Lab) -> Hosted:
    """A Docker host, its containers, and a cable to the outside."""
    red, outside = both(partial(lab.host, "red"), partial(lab.station, "outside"))
    lab.cable(outside.port("eth0", IPv4Interface("192.0.2.9/24")), red.port("lan0", IPv4Interface("192.0.2.1/24")))
    guest, rival, inner = together(
        partial(in_host_mode, red, "guest", GUEST),
        partial(in_host_mode, red, "rival", RIVAL),
        partial(red.container, "inner", tcp=[GUEST], udp=[GUEST]),
    )
    return Hosted(lab, red, outside, guest, rival, inner)


@fault(
    site="hosted",
    reddens={
        "docker/host_mode/the_hosts_own_network": "it is in the host's network namespace",
        "docker/host_mode/reached_at_the_host_without_translation": "conntrack knows both as they were sent",
        "docker/host_mode/leaves_as_the_host": "conntrack knows both as they were sent",
    },
    spares=("docker/host_mode/one_port_space",),
)
def published_instead(hosted: Hosted) -> Iterator[None]:
    """The container is on docker0 with its port published, instead of in mode host."""
    remove(hosted.lab, hosted.guest)
    ports = {f"{GUEST}/{protocol}": GUEST for protocol in (Protocol.TCP, Protocol.UDP)}
    hosted.guest = hosted.red.container("guest", tcp=[GUEST], udp=[GUEST], ports=ports)
    yield
    remove(hosted.lab, hosted.guest)
    hosted.guest = in_host_mode(hosted.red, "guest", GUEST)


@fault(
    site="hosted",
    reddens={"docker/host_mode/one_port_space": "of guest is refused to rival"},
    spares=("docker/host_mode/the_hosts_own_network", "docker/host_mode/reached_at_the_host_without_translation"),
)
def rival_apart(hosted: Hosted) -> Iterator[None]:
    """The other container in mode host is on docker0 instead, with ports of its own."""
    remove(hosted.lab, hosted.rival)
    hosted.rival = hosted.red.container("rival", tcp=[RIVAL], udp=[RIVAL])
    yield
    remove(hosted.lab, hosted.rival)
    hosted.rival = in_host_mode(hosted.red, "rival", RIVAL)


@fault(
    site="hosted",
    reddens={"docker/host_mode/reached_at_the_host_without_translation": "outside → guest on red"},
    spares=("docker/host_mode/the_hosts_own_network", "docker/host_mode/leaves_as_the_host"),
)
def askers_translated(hosted: Hosted) -> Iterator[None]:
    """The host shows its containers in mode host its own address for whoever asks over TCP."""
    with hosted.red.rule("nat", "INPUT", "-p", "tcp", "--dport", f"{GUEST}", "-j", "SNAT", "--to", "192.0.2.1"):
        yield


@fault(
    site="hosted",
    reddens={"docker/host_mode/leaves_as_the_host": "conntrack knows both as they were sent, without translation"},
    spares=("docker/host_mode/the_hosts_own_network", "docker/host_mode/reached_at_the_host_without_translation"),
)
def source_port_changed(hosted: Hosted) -> Iterator[None]:
    """The host's TCP connections leave from its address, and from ports that it chooses anew."""
    ports = ("-j", "SNAT", "--to", "192.0.2.1:50000-50999")
    with hosted.red.rule("nat", "POSTROUTING", "-o", "lan0", "-p", "tcp", "--dport", "8080", *ports):
        yield


def test_the_hosts_own_network(hosted: Hosted, proof: Proof) -> None:
    """Namespace, links with their addresses, routes and host name are the host's; Docker gives it no address."""
    places = {"red": hosted.red.endpoint, "guest": hosted.guest, "inner": hosted.inner}
    spaces = {name: namespace(hosted.lab.conversations.with_(place)) for name, place in places.items()}
    kernels = look_at(hosted.lab.conversations, [hosted.red.endpoint, hosted.guest])
    names = hosted.red.docker.info()["Name"], hosted.lab.conversations.with_(hosted.guest).run(["hostname"]).out

    proof.draws({f"{name} namespace": space for name, space in spaces.items()})
    proof.fact("it is in the host's network namespace", spaces["guest"] == spaces["red"], spaces)
    proof.fact("a container on docker0 is not", spaces["inner"] != spaces["red"], spaces)
    links = kernels["guest"].links
    proof.fact("it has the host's very links", links == kernels["red"].links, ", ".join(links))
    routes = kernels["guest"].routes
    proof.fact("it has the host's routes", routes == kernels["red"].routes, ", ".join(map(str, routes)))
    proof.fact("it has the host's name", names[0] == names[1].strip(), names[0])
    proof.fact("Docker gave it no address", not hosted.guest.addresses, hosted.guest.addresses or "none")


def test_reached_at_the_host_without_translation(hosted: Hosted, lab_prober: Prober, proof: Proof) -> None:
    """TCP and UDP from outside reach its very port at the host's address; conntrack knows of no translation."""
    red, outside = hosted.red.endpoint, hosted.outside.endpoint
    cells = every([outside], [host_port(hosted.guest, red)], hosted.ways(GUEST))

    seen = lab_prober.sweep(cells)

    proof.concludes(judge(all_of(cells, reached(seen_as=outside.addresses)), seen))
    _kept_as_it_was(hosted, seen, proof)


def test_leaves_as_the_host(hosted: Hosted, lab_prober: Prober, proof: Proof) -> None:
    """What it asks outside over TCP and UDP comes from the host's address and its own port, untranslated."""
    cells = every([hosted.guest], [at(hosted.outside.endpoint)], hosted.ways(8080))

    seen = lab_prober.sweep(cells)

    proof.concludes(judge(all_of(cells, reached(seen_as=hosted.red.endpoint.addresses)), seen))
    _kept_as_it_was(hosted, seen, proof)


@pytest.mark.parametrize("protocol", [Protocol.TCP, Protocol.UDP])
def test_one_port_space(hosted: Hosted, proof: Proof, protocol: Protocol) -> None:
    """A port that the host or one container in mode host has is refused to the other, and free on docker0."""
    conversations = hosted.lab.conversations

    here = refusal(conversations, hosted.rival, protocol, GUEST)
    hosts = refusal(conversations, hosted.rival, protocol, AGENT)
    elsewhere = refusal(conversations, hosted.inner, protocol, RIVAL)

    proof.fact(f"{GUEST}/{protocol} of guest is refused to rival", "EADDRINUSE" in here, here or "it listens")
    proof.fact(f"{AGENT}/{protocol} of the host is refused to rival", "EADDRINUSE" in hosts, hosts or "it listens")
    proof.fact(f"{RIVAL}/{protocol} is free on docker0", not elsewhere, elsewhere or "it listens")


def _kept_as_it_was(hosted: Hosted, seen: Sweep, proof: Proof) -> None:
    """The host's conntrack awaits each answer from whom was asked, for whom asked."""
    nodes = Nodes(hosted.lab.conversations, [hosted.red.endpoint])
    known = nodes.remembered(hosted.red.endpoint, seen)
    kept = all(one.answered == one.asked.turned for one in known) and len(known) == len(seen)
    proof.fact("conntrack knows both as they were sent", kept, listed([known]))
