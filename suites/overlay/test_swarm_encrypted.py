"""An encrypted overlay network carries between two Docker hosts what it should, and nothing that others can read.

    red                                                                    blue
      red-in 198.51.100.11 ── secret ── ‹red-in→blue-in›   ── secret ── blue-in 198.51.100.12
      eth0 192.0.2.1 ═══ switch ═══ ESP ‹esp› packets each way, UDP 4789 ‹clear› ═══ eth0 192.0.2.2

It fails where a host does not encrypt (Docker marks the packets of such a network by a rule of iptables, which
goes when the rules are flushed), where ESP is filtered or its packets are too large for the way, and where a
packet goes beside the tunnel. Nothing of it shows in what containers reach: only the wire tells.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv4Network

import pytest

from clusters.capabilities import Capability
from fixtures.endpoints.containers import NODE_CAPABILITIES, ContainerEndpoint
from fixtures.engines.choice import EngineChoice
from fixtures.engines.engines import Engines
from fixtures.faults.fault import fault
from fixtures.faults.lab_levers import routed
from fixtures.lab import swarm
from fixtures.lab.docker_host import DockerHost
from fixtures.lab.lab import Lab
from fixtures.lab.switch import Switch
from fixtures.plugins.checks import named
from fixtures.plugins.options import chosen
from fixtures.plugins.proof import Proof
from fixtures.probes.capture import rendered
from fixtures.probes.plan import address_of, between
from fixtures.probes.promises import without_nat
from fixtures.probes.runner import Prober
from fixtures.probes.ways import every_way, ping, udp
from fixtures.verdicts.judge import judge
from fixtures.verdicts.verdict import NotSupportedHere

pytestmark = [pytest.mark.claim("OVL-1"), pytest.mark.needs("vxlan", "conntrack", "esp")]

HERE = "overlay/swarm_encrypted"
PORT, VXLAN = 8080, 4789
SECRET = IPv4Network("198.51.100.0/24")


@dataclass(frozen=True)
class Encrypted:
    """Two hosts with a container each in an encrypted overlay network."""

    lab: Lab
    red: DockerHost
    blue: DockerHost
    switch: Switch
    inside: tuple[ContainerEndpoint, ContainerEndpoint]


@pytest.fixture(scope="module")
def not_cramped(engines: Engines, request: pytest.FixtureRequest) -> None:
    """Not in a guest, which has one processor, unless it was asked for by name; told before one is booted."""
    lacking = engines.local.lacking(named(request.node, "needs", Capability))
    if lacking and chosen(request.config).engine is EngineChoice.AUTO:
        raise NotSupportedHere(
            f"the local engine lacks {', '.join(lacking)}; the guest engine can encrypt, and has one processor for"
            " two Docker daemons: they take minutes and may miss their swarm's own deadlines, of 20 s to attach a"
            " container (--engine=uml has them try)"
        )


@pytest.fixture(scope="module")
def encrypted(not_cramped: None, lab: Lab) -> Encrypted:  # noqa: ARG001 - first, since the lab may boot a guest
    """A swarm of two hosts on a switch, with one encrypted network."""
    red, blue = lab.hosts("red", "blue")
    switch = lab.switch("switch")
    for number, host in ((1, red), (2, blue)):
        lab.cable(host.port("eth0", IPv4Interface(f"192.0.2.{number}/24")), switch.access(f"to-{host.name}"))
    swarm.join(red, blue)
    red.network("secret", "overlay", subnets=[SECRET], options={"encrypted": ""}, attachable=True)
    # One after the other: together they are slower than Docker waits, where a kernel is slow.
    return Encrypted(lab, red, blue, switch, (_inside(red, 11), _inside(blue, 12)))


def _inside(host: DockerHost, number: int) -> ContainerEndpoint:
    return swarm.container(host, f"{host.name}-in", "secret", SECRET[number], capabilities=NODE_CAPABILITIES)


@fault(site="encrypted", reddens={f"{HERE}/joined": "-in"}, spares=(f"{HERE}/wire",))
def large_esp_lost(encrypted: Encrypted) -> Iterator[None]:
    """blue drops ESP packets of more than 1000 bytes."""
    with encrypted.blue.rule(
        "filter", "INPUT", *("-p", "esp", "-m", "length", "--length", "1000:65535", "-j", "DROP")
    ):
        yield


@fault(
    site="encrypted", reddens={f"{HERE}/wire": "each host has got ESP for every probe"}, spares=(f"{HERE}/joined",)
)
def rules_before_dockers(encrypted: Encrypted) -> Iterator[None]:
    """Own rules come before Docker's: nothing is marked for encryption, and what is in clear is let in."""
    clear = ("-p", "udp", "--dport", str(VXLAN), "-j", "ACCEPT")
    with ExitStack() as rules:
        for host in (encrypted.red, encrypted.blue):
            rules.enter_context(host.rule("mangle", "OUTPUT", *clear))
            rules.enter_context(host.rule("filter", "INPUT", *clear))
        yield


@fault(
    site="encrypted",
    reddens={f"{HERE}/wire": "the switch shows none of it, and no VXLAN"},
    spares=(f"{HERE}/joined",),
)
def in_clear_beside_it(encrypted: Encrypted) -> Iterator[None]:
    """Routes by the hosts lead to blue-in, who answers through the tunnel."""
    one, other = encrypted.inside
    red, blue = encrypted.red, encrypted.blue
    target, bridge = str(address_of(other)), "docker_gwbridge"
    (pool,) = red.docker.api.inspect_network(bridge)["IPAM"]["Config"]
    with (
        routed(encrypted.lab, blue.endpoint, target, "dev", bridge),
        routed(encrypted.lab, red.endpoint, target, "via", str(address_of(blue.endpoint))),
        routed(encrypted.lab, one, target, "via", pool["Gateway"], "src", str(address_of(one))),
    ):
        yield


@contextmanager
def counted(*hosts: DockerHost) -> Iterator[dict[str, int]]:
    """How many ESP packets have come to each host when the block has ended, by its name."""
    counts: dict[str, int] = {}
    rule = ("-p", "esp", "-m", "comment", "--comment", "netproof")
    for host in hosts:
        host.iptables("-I", "INPUT", *rule)
    try:
        yield counts
        for host in hosts:
            found = re.search(r"\[(\d+):\d+\] -A INPUT -p esp .*netproof", host.as_root("iptables-save", "-c"))
            counts[host.name] = int(found[1]) if found else 0
    finally:
        for host in hosts:
            host.iptables("-D", "INPUT", *rule)


def test_joined(encrypted: Encrypted, lab_prober: Prober, proof: Proof) -> None:
    """The hosts' containers reach each other, and each sees the other's overlay address."""
    lab = encrypted.lab
    cells = between(encrypted.inside, every_way(PORT, timeout=lab.engine.patience))

    seen = lab_prober.sweep(cells)

    proof.concludes(judge(without_nat(cells, lab.endpoints), seen))


def test_wire(encrypted: Encrypted, lab_prober: Prober, proof: Proof) -> None:
    """ESP goes between the hosts; at the switch no packet shows what containers send, nor that it is VXLAN."""
    lab, patience = encrypted.lab, encrypted.lab.engine.patience
    cells = between(encrypted.inside, [udp(PORT, timeout=patience), ping(timeout=patience)])

    with (
        counted(encrypted.red, encrypted.blue) as esp,
        lab.capture.on([encrypted.switch.endpoint, *encrypted.inside], cells, ports=[VXLAN]) as taps,
    ):
        seen = lab_prober.sweep(cells)

    clear = [frame for frame in taps.frames if frame.place == "switch"]
    shown = {frame.place for frame in taps.frames} - {"switch"}
    proof.concludes(judge(without_nat(cells, lab.endpoints), seen))
    proof.draws({"esp": min(esp.values()), "clear": len(clear)})
    names = {end.name for end in encrypted.inside}
    proof.fact("the containers' own cards show what they send", shown == names, sorted(shown))
    proof.fact("each host has got ESP for every probe", min(esp.values()) >= len(cells), esp)
    proof.fact("the switch shows none of it, and no VXLAN", not clear, rendered(clear[:5]) or "nothing")
