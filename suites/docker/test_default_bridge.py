"""On the default bridge each container has a stack of its own, its neighbours by IP, and a masqueraded way out.

    outside 192.0.2.9 ─ eth0 ════ lan0 ─ red 192.0.2.1, a Docker host
                                           docker0 ‹docker0›
                                             ├ ‹one port› ── eth0 ‹one address› one :8080
                                             └ ‹two port› ── eth0 ‹two address› two :8080

    one → two      tcp ‹one→two tcp›  udp ‹one→two udp›  icmp ‹one→two icmp›
    one → outside  tcp ‹one→outside tcp›  which sees ‹seen outside›

It fails where a port of the bridge is unplugged or kept from the others, where the host's rules translate what
stays on the bridge, and where they do not translate what leaves: nobody out there knows the way to a container.
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
from fixtures.plugins.proof import Proof
from fixtures.probes.connections import listed
from fixtures.probes.journey import senders
from fixtures.probes.kernel import look_at, namespace
from fixtures.probes.node_state import Nodes
from fixtures.probes.plan import Destination, address_of, at, between, every
from fixtures.probes.promises import seen_as, without_nat
from fixtures.probes.runner import Prober
from fixtures.probes.ways import ping, tcp, udp
from fixtures.verdicts.judge import judge
from fixtures.verdicts.observation import Probe

pytestmark = pytest.mark.claim("DKR-2")


@dataclass(frozen=True)
class Bridged:
    """Two containers on docker0, and a machine on the host's wire."""

    lab: Lab
    red: DockerHost
    outside: Machine
    one: ContainerEndpoint
    two: ContainerEndpoint

    @property
    def ways(self) -> list[Probe]:
        """TCP, UDP and ICMP."""
        patience = self.lab.engine.patience
        return [tcp(8080, timeout=patience), udp(8080, timeout=patience), ping(timeout=patience)]

    def port(self, container: ContainerEndpoint) -> str:
        """What the host's end of its veth is called."""
        kernels = look_at(self.lab.conversations, [self.red.endpoint, container])
        inside = kernels[container.name].holding(address_of(container))
        return kernels["red"].other_end(inside).name


@pytest.fixture(scope="module")
def bridged(lab: Lab) -> Bridged:
    """A Docker host as it comes, two containers on its bridge, and a cable to the outside."""
    red, outside = both(partial(lab.host, "red"), partial(lab.station, "outside"))
    lab.cable(outside.port("eth0", IPv4Interface("192.0.2.9/24")), red.port("lan0", IPv4Interface("192.0.2.1/24")))
    one, two = together(partial(red.container, "one"), partial(red.container, "two"))
    return Bridged(lab, red, outside, one, two)


@fault(
    site="bridged",
    reddens={
        "docker/default_bridge/a_stack_of_its_own": "the other ends are in docker0",
        "docker/default_bridge/each_other_by_ip": "two → one",
    },
    spares=("docker/default_bridge/the_host_and_its_containers", "docker/default_bridge/outside_by_masquerade"),
)
def unplugged(bridged: Bridged) -> Iterator[None]:
    """The port of one container, which only the other asks, is taken out of docker0."""
    port = bridged.port(bridged.two)
    bridged.red.configure(f"link set {port} nomaster")
    yield
    bridged.red.configure(f"link set {port} master docker0")


@fault(
    site="bridged",
    reddens={"docker/default_bridge/each_other_by_ip": "two → one"},
    spares=(
        "docker/default_bridge/a_stack_of_its_own",
        "docker/default_bridge/the_host_and_its_containers",
        "docker/default_bridge/outside_by_masquerade",
    ),
)
def ports_isolated(bridged: Bridged) -> Iterator[None]:
    """The bridge hands nothing on from one container's port to the other's."""
    ports = [bridged.port(one) for one in (bridged.one, bridged.two)]
    for port in ports:
        bridged.red.run("bridge", "link", "set", "dev", port, "isolated", "on")
    yield
    for port in ports:
        bridged.red.run("bridge", "link", "set", "dev", port, "isolated", "off")


@fault(
    site="bridged",
    reddens={"docker/default_bridge/the_host_and_its_containers": "one → red"},
    spares=("docker/default_bridge/each_other_by_ip", "docker/default_bridge/outside_by_masquerade"),
)
def host_deaf_to_the_bridge(bridged: Bridged) -> Iterator[None]:
    """The host takes nothing in from docker0, as a firewall does that knows nothing of Docker."""
    with bridged.red.rule("filter", "INPUT", "-i", "docker0", "-j", "DROP"):
        yield


@fault(
    site="bridged",
    reddens={"docker/default_bridge/outside_by_masquerade": "one → outside"},
    spares=("docker/default_bridge/each_other_by_ip", "docker/default_bridge/the_host_and_its_containers"),
)
def not_masqueraded(bridged: Bridged) -> Iterator[None]:
    """What leaves the host for the wire keeps the container's address."""
    with bridged.red.rule("nat", "POSTROUTING", "-o", "lan0", "-j", "ACCEPT"):
        yield


def test_a_stack_of_its_own(bridged: Bridged, proof: Proof) -> None:
    """Own namespace; a veth whose other end is in docker0; an address of docker0's subnet; docker0 the way out."""
    places, bridge = [bridged.red.endpoint, bridged.one, bridged.two], bridged.red.docker0
    spaces = [namespace(bridged.lab.conversations.with_(place)) for place in places]
    kernels = look_at(bridged.lab.conversations, places)
    inside = [kernels[one.name].link("eth0") for one in (bridged.one, bridged.two)]
    ports = [kernels["red"].other_end(link) for link in inside]

    proof.draws({"docker0": bridge, "one port": ports[0].name, "two port": ports[1].name})
    proof.draws({"one address": inside[0].addresses[0], "two address": inside[1].addresses[0]})
    proof.fact("host and containers have a namespace each", len(set(spaces)) == 3, ", ".join(spaces))
    links = [sorted(kernels[one.name].links) for one in (bridged.one, bridged.two)]
    proof.fact("each container has lo and eth0 alone", links == [["eth0", "lo"]] * 2, links)
    masters = [f"{end.name} in {end.master or 'no bridge'}" for end in ports]
    proof.fact("the other ends are in docker0", {end.master for end in ports} == {"docker0"}, masters)
    known = [own for link in inside for own in link.addresses]
    within = len(known) == 2 and all(own.network == bridge.network for own in known)
    proof.fact("each has one address, of docker0's subnet", within, ", ".join(map(str, known)))
    ways_out = [str(route) for one in (bridged.one, bridged.two) for route in kernels[one.name].routes]
    expected = [f"0.0.0.0/0 via {bridge.ip} dev eth0", f"{bridge.network} dev eth0"] * 2
    proof.fact("the way out is by docker0", ways_out == expected, ways_out)


def test_each_other_by_ip(bridged: Bridged, lab_prober: Prober, proof: Proof) -> None:
    """Each reaches the other at its address over TCP, UDP and ICMP, and is seen as itself."""
    cells = between([bridged.one, bridged.two], bridged.ways)

    proof.concludes(judge(without_nat(cells, bridged.lab.endpoints), lab_prober.sweep(cells)))


def test_the_host_and_its_containers(bridged: Bridged, lab_prober: Prober, proof: Proof) -> None:
    """The host reaches a container at its address, from docker0's; a container reaches the host at docker0's."""
    red, ways = bridged.red.endpoint, bridged.ways
    gateway = Destination("red", str(bridged.red.docker0.ip), frozenset({red.identity}), red)
    cells = [*every([red], [at(bridged.one)], ways), *every([bridged.one], [gateway], ways)]
    known = {"red": [bridged.red.docker0.ip], "one": bridged.one.addresses}

    proof.concludes(judge(seen_as(cells, known), lab_prober.sweep(cells)))


def test_outside_by_masquerade(bridged: Bridged, lab_prober: Prober, proof: Proof) -> None:
    """TCP, UDP and ICMP to outside arrive from the host's address: changed between docker0 and the wire."""
    red, outside = bridged.red.endpoint, bridged.outside.endpoint
    cells = every([bridged.one], [at(outside)], bridged.ways)

    with bridged.lab.capture.on([red], cells) as taps:
        seen = lab_prober.sweep(cells)

    proof.concludes(judge(seen_as(cells, {"one": red.addresses}), seen))
    proof.draws({"seen outside": ", ".join(sorted({str(it.seen_as[0]) for it in seen if it.seen_as}))})
    own, hosts = str(address_of(bridged.one)), str(address_of(red))
    wanted = {bridged.port(bridged.one): own, "docker0": own, "lan0": hosts}
    passed = {cell.probe.protocol: senders(taps.hops(cell), address_of(outside)) for cell in cells}
    proof.fact("its sender is changed in the host", all(wanted == it for it in passed.values()), passed)
    known = Nodes(bridged.lab.conversations, [red]).remembered(red, seen)
    ends = [(one.asked.source, one.asked.destination, one.answered.destination) for one in known]
    translated = [(address_of(bridged.one), address_of(outside), address_of(red))] * 2
    proof.fact("conntrack has the answers come to the host", ends == translated, listed([known]))
