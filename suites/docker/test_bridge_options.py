"""What a bridge network is told at its creation holds: neighbours are stopped, and packets are as long as said.

    red ── eth0 192.0.2.10 ── eth0 192.0.2.20 far                   ‹far→mute tcp/18080›
    ├ quiet  198.51.100.0/24, com.docker.network.bridge.enable_icc=false
    │   ├ lone .11                                                  ‹lone→mute tcp/8080› ‹lone→far tcp/8080›
    │   └ mute .12, published at 192.0.2.10:18080                   ‹mute→lone tcp/8080›
    └ narrow 203.0.113.0/24, com.docker.network.driver.mtu=1280
        ├ slim .11 eth0 ‹mtu of slim›                               ‹slim→thin icmp›
        └ thin .12 eth0 ‹mtu of thin›

Neighbours on one bridge are stopped by a rule for forwarded packets, which sees what is bridged only where
br_netfilter hands it over (bridge-nf-call-iptables): where that is off they reach each other, whatever was said.
The MTU has to be on both ends of each container's link, or packets of full length vanish.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Interface, IPv4Network

import pytest

from fixtures.endpoints.containers import NODE_CAPABILITIES, ContainerEndpoint
from fixtures.endpoints.together import both, together
from fixtures.faults.fault import fault
from fixtures.lab.docker_host import DockerHost
from fixtures.lab.lab import Lab
from fixtures.plugins.proof import Proof
from fixtures.probes.capture import rendered
from fixtures.probes.kernel import look_at
from fixtures.probes.plan import at, between, every, virtual
from fixtures.probes.runner import Prober
from fixtures.probes.ways import ping, tcp, udp
from fixtures.verdicts.expectation import all_of, blocked, reached, too_big
from fixtures.verdicts.judge import judge

pytestmark = [pytest.mark.claim("DKR-7"), pytest.mark.needs("bridge", "conntrack")]

HERE = "docker/bridge_options"
QUIET, NARROW = IPv4Network("198.51.100.0/24"), IPv4Network("203.0.113.0/24")
RED, FAR = IPv4Interface("192.0.2.10/24"), IPv4Interface("192.0.2.20/24")
PUBLISHED = 18080
MTU = 1280
HEADERS = 28
"""Bytes of an IPv4 and an ICMP or UDP header."""
WAYS = [tcp(8080), udp(8080), ping()]


@dataclass(frozen=True)
class Told:
    """A Docker host with a network that stops neighbours, one with a small MTU, and a machine outside."""

    lab: Lab
    red: DockerHost
    far: ContainerEndpoint
    lone: ContainerEndpoint
    mute: ContainerEndpoint
    slim: ContainerEndpoint
    thin: ContainerEndpoint


@pytest.fixture(scope="module")
def told(lab: Lab) -> Told:
    """Two containers on each network."""
    red, far = both(partial(lab.host, "red"), partial(lab.station, "far"))
    lab.cable(far.port("eth0", FAR), red.port("eth0", RED))
    bridge = "com.docker.network.bridge"
    red.network("quiet", subnets=[QUIET], options={f"{bridge}.name": "quiet", f"{bridge}.enable_icc": "false"})
    red.network(
        "narrow",
        subnets=[NARROW],
        options={f"{bridge}.name": "narrow", "com.docker.network.driver.mtu": str(MTU)},
    )
    lone, mute, slim, thin = together(
        partial(red.container, "lone", "quiet", QUIET[11]),
        partial(red.container, "mute", "quiet", QUIET[12], ports={"8080/tcp": PUBLISHED}),
        partial(red.container, "slim", "narrow", NARROW[11], capabilities=NODE_CAPABILITIES),
        partial(red.container, "thin", "narrow", NARROW[12]),
    )
    return Told(lab, red, far.endpoint, lone, mute, slim, thin)


@fault(site="told", reddens={f"{HERE}/neighbours_are_stopped": "lone → mute"}, spares=(f"{HERE}/mtu*",))
def a_user_rule_joins_neighbours(told: Told) -> Iterator[None]:
    """A rule in DOCKER-USER accepts what stays on the bridge."""
    with told.red.rule("filter", "DOCKER-USER", "-i", "quiet", "-o", "quiet", "-j", "ACCEPT"):
        yield


@fault(site="told", reddens={f"{HERE}/neighbours_are_stopped": "lone → mute"}, spares=(f"{HERE}/mtu*",))
def bridged_packets_pass_by_the_rules(told: Told) -> Iterator[None]:
    """The host's bridges do not hand packets to iptables (bridge-nf-call-iptables=0)."""
    setting = "net.bridge.bridge-nf-call-iptables"
    told.red.as_root("sysctl", "-qw", f"{setting}=0")
    yield
    told.red.as_root("sysctl", "-qw", f"{setting}=1")


@fault(
    site="told",
    reddens={f"{HERE}/mtu_reaches_the_links": "all four are 1280", f"{HERE}/mtu_holds_on_the_wire": "thin → slim"},
    spares=(f"{HERE}/neighbours_are_stopped",),
)
def one_link_is_wider(told: Told) -> Iterator[None]:
    """The link of one container has the MTU that it would have had without being told."""
    run = told.lab.conversations.with_(told.slim).run
    run(["ip", "link", "set", "dev", "eth0", "mtu", "1500"])
    yield
    run(["ip", "link", "set", "dev", "eth0", "mtu", str(MTU)])


def test_neighbours_are_stopped(told: Told, lab_prober: Prober, proof: Proof) -> None:
    """Without icc neighbours do not reach each other; their host, the outside and a published port are reached."""
    host, outside = told.red.endpoint, at(told.far)
    published = virtual("mute", RED.ip, [told.mute])
    there = every([told.lone, told.mute], [outside], WAYS) + every([told.far], [published], [tcp(PUBLISHED)])
    there += every([host], [at(told.lone), at(told.mute)], WAYS)
    stopped = between([told.lone, told.mute], WAYS)

    seen = lab_prober.sweep([*there, *stopped])

    proof.concludes(judge(all_of(there, reached()) | all_of(stopped, blocked()), seen))
    setting = host_setting(told.red, "net.bridge.bridge-nf-call-iptables")
    proof.fact("the host's bridges hand packets to its rules", setting == "1", setting)


def host_setting(host: DockerHost, name: str) -> str:
    """A sysctl of the host's namespace."""
    return host.as_root("sysctl", "-n", name).strip()


def test_mtu_reaches_the_links(told: Told, proof: Proof) -> None:
    """Both containers' links and their other ends at the host have the network's MTU."""
    states = look_at(told.lab.conversations, [told.slim, told.thin, told.red.endpoint])
    ends = {name: states[name].link("eth0") for name in ("slim", "thin")}
    others = {f"{name} at red": states["red"].other_end(end) for name, end in ends.items()}

    found = {name: link.mtu for name, link in (ends | others).items()}

    proof.draws({f"mtu of {name}": end.mtu for name, end in ends.items()})
    proof.fact(f"all four are {MTU}", set(found.values()) == {MTU}, found)


def test_mtu_holds_on_the_wire(told: Told, lab_prober: Prober, proof: Proof) -> None:
    """With DF that length passes and the kernel rejects one byte more; without, a longer one goes in fragments.

        slim ── narrow, MTU 1280 ── thin   ‹slim→thin udp›  longest packet ‹longest› bytes

    What is bridged is seen at the containers' ends alone, so that is where it is captured.
    """
    size = MTU - HEADERS
    ends = [told.slim, told.thin]
    full = between(ends, [ping(size, dont_fragment=True), udp(8080, size=size, dont_fragment=True)])
    over = between(ends, [ping(size + 1, dont_fragment=True), udp(8080, size=size + 1, dont_fragment=True)])
    pieces = between(ends, [udp(8080, size=4000)])
    with told.lab.capture.on(ends, [*full, *pieces]) as taps:
        seen = lab_prober.sweep([*full, *over, *pieces])

    whole = all_of(full, reached(received=size)) | all_of(pieces, reached(received=4000))
    proof.concludes(judge(whole | all_of(over, too_big()), seen))
    lengths = {frame.packet.length for frame in taps.frames if frame.packet}
    proof.draws({"longest": max(lengths, default=0)})
    proof.fact(f"the longest packet has {MTU} bytes", max(lengths, default=0) == MTU, rendered(taps.frames[:4]))
