"""Two network namespaces without a link between them cannot reach each other.

    near 192.0.2.11                                         far 192.0.2.12
      │ eth0    ‹red→near›                                    │ eth0    ‹blue→far›
      │ veth                                                  │ veth
      │ eth0                                                  │ eth0
    red 192.0.2.1   ···· no link   ‹red→blue› ····          blue 192.0.2.2

All four are of one subnet, so each believes the others to be on its link: nothing but the lack of one keeps red
and blue apart. It fails where near and far are joined behind their backs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Interface

import pytest

from fixtures.faults.fault import fault
from fixtures.lab.lab import Lab
from fixtures.lab.machine import Machine
from fixtures.plugins.proof import Proof
from fixtures.probes.plan import Destination, between, every
from fixtures.probes.runner import Prober
from fixtures.probes.ways import ping, tcp, udp
from fixtures.verdicts.expectation import all_of, blocked, reached
from fixtures.verdicts.judge import judge
from fixtures.verdicts.observation import Probe

pytestmark = pytest.mark.claim("LNX-2")


@dataclass(frozen=True)
class Apart:
    """Two machines, and with each one that it can reach."""

    lab: Lab
    red: Machine
    blue: Machine
    near: Machine
    far: Machine


@pytest.fixture(scope="module")
def apart(lab: Lab) -> Apart:
    """Two cables that have nothing to do with each other."""
    red, blue, near, far = lab.stations("red", "blue", "near", "far")
    for one, other, number in ((red, near, 1), (blue, far, 2)):
        lab.cable(
            one.port("eth0", IPv4Interface(f"192.0.2.{number}/24")),
            other.port("eth0", IPv4Interface(f"192.0.2.1{number}/24")),
        )
    return Apart(lab, red, blue, near, far)


@fault(
    site="apart",
    reddens=("linux/unlinked_namespaces/without_a_link",),
    spares=("linux/unlinked_namespaces/with_a_link",),
    says="blue",
)
def linked_in_secret(apart: Apart) -> Iterator[None]:
    """A link that nobody knows of joins red and blue."""
    apart.lab.cable(apart.red.port("secret"), apart.blue.port("secret"))
    apart.red.configure("route add 192.0.2.2 dev secret")
    apart.blue.configure("route add 192.0.2.1 dev secret")
    yield
    apart.red.configure("link delete dev secret")


@fault(
    site="apart",
    reddens=("linux/unlinked_namespaces/with_a_link",),
    spares=("linux/unlinked_namespaces/without_a_link",),
    says="blue",
)
def never_sent(apart: Apart) -> Iterator[None]:
    """Red throws away what is for blue's address on their link."""
    apart.red.configure("route add blackhole 198.51.100.2")
    yield
    apart.red.configure("route delete blackhole 198.51.100.2")


@pytest.fixture
def joined(apart: Apart) -> Iterator[Destination]:
    """A cable between red and blue while a check runs; blue, by the address that it has on it."""
    apart.lab.cable(apart.red.port("eth1"), apart.blue.port("eth1"))
    apart.red.configure("address add 198.51.100.1/24 dev eth1")
    apart.blue.configure("address add 198.51.100.2/24 dev eth1")
    yield Destination("blue", "198.51.100.2", frozenset({"blue"}), apart.blue.endpoint)
    apart.red.configure("link delete dev eth1")


def ways(lab: Lab) -> list[Probe]:
    """TCP, UDP and ICMP."""
    patience = lab.engine.patience
    return [tcp(8080, timeout=patience), udp(8080, timeout=patience), ping(timeout=patience)]


def test_without_a_link(apart: Apart, lab_prober: Prober, proof: Proof) -> None:
    """Neither reaches the other by TCP, UDP or ICMP, though each reaches who is on its own link, and back."""
    red, blue, near, far = (it.endpoint for it in (apart.red, apart.blue, apart.near, apart.far))
    linked = between([red, near], ways(apart.lab)) + between([blue, far], ways(apart.lab))
    unlinked = between([red, blue], ways(apart.lab))
    expected = all_of(linked, reached()) | all_of(unlinked, blocked())

    proof.concludes(judge(expected, lab_prober.sweep(tuple(expected))))


def test_with_a_link(apart: Apart, joined: Destination, lab_prober: Prober, proof: Proof) -> None:
    """The same two reach each other once a veth pair joins them, so it was the link that was missing.

        red 198.51.100.1 ── eth1 ═══ ‹red→blue› ═══ eth1 ── 198.51.100.2 blue

    The pair is there for this check alone.
    """
    cells = every([apart.red.endpoint], [joined], ways(apart.lab))

    proof.concludes(judge(all_of(cells, reached()), lab_prober.sweep(cells)))
