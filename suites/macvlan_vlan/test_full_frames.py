"""A trunk takes the tag's four bytes besides a full frame: packets of the whole MTU pass it in one piece.

    red, Docker host                   switch
    red10 192.0.2.11                   ├ to-red     10, 20 tagged    ‹longest› bytes of IP, tag 10
      └ trunk0.10 ─ trunk0 ════════════╡
    full10 192.0.2.31 ── eth0 ─────────┤ to-full10  10

A card or a switch that counts the tag as part of the frame drops what is full, and nothing else: handshakes and
small answers pass, and transfers stand still. The packets say that they must not be cut. The lab is one with that
of the other modules about VLANs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Interface

import pytest

from fixtures.endpoints.containers import ContainerEndpoint
from fixtures.faults.fault import fault
from fixtures.faults.lab_levers import mtu
from fixtures.lab.lab import Lab
from fixtures.lab.topologies.trunk import Trunk
from fixtures.plugins.proof import Proof
from fixtures.probes.capture import rendered
from fixtures.probes.plan import between
from fixtures.probes.runner import Prober
from fixtures.probes.ways import filling, ping, tcp
from fixtures.verdicts.expectation import all_of, reached
from fixtures.verdicts.judge import judge

pytestmark = [pytest.mark.claim("MVL-6"), pytest.mark.needs("vlan", "macvlan")]

MTU = 1500
TOO_SMALL = MTU - 5
"""A port of that MTU takes frames five bytes shorter than full ones, the tag not counted."""


@dataclass(frozen=True)
class Full:
    """The trunk, and a plain machine in VLAN 10."""

    trunk: Trunk
    full10: ContainerEndpoint


@pytest.fixture(scope="module")
def lab(trunk: Trunk) -> Lab:
    """The trunk's, in place of one of the module's own."""
    return trunk.lab


@pytest.fixture(scope="module")
def full(trunk: Trunk) -> Full:
    """The container on the trunk, and a machine at an access port."""
    return Full(trunk, trunk.access("full10", 10, IPv4Interface("192.0.2.31/24")).endpoint)


@fault(site="full", reddens={"macvlan_vlan/full_frames/pass_whole": "red10"})
def no_room_for_the_tag(full: Full) -> Iterator[None]:
    """The switch's port to red takes frames that are a little too short."""
    with mtu(full.trunk.switch, "to-red", TOO_SMALL):
        yield


def test_pass_whole(lab: Lab, full: Full, lab_prober: Prober, proof: Proof) -> None:
    """Both ways UDP and ICMP in packets of 1500 bytes, and 20 kB by TCP; none is cut, all are tagged."""
    patience = lab.engine.patience
    small, large = [ping(timeout=patience)], filling(8080, MTU, timeout=patience)
    cells = between([full.trunk.red10, full.full10], [*small, *large, tcp(8080, size=20_000, timeout=patience)])

    with lab.capture.on([full.trunk.switch.endpoint], cells, links=["to-red"]) as taps:
        seen = lab_prober.sweep(cells)

    packets = [frame for frame in taps.frames if frame.packet]
    longest = max((frame.packet.length for frame in packets if frame.packet), default=0)
    cut = [frame for frame in packets if frame.packet and frame.packet.fragment]
    untagged = [frame for frame in packets if frame.ethernet and frame.ethernet.tags != (10,)]
    proof.draws({"longest": longest})
    proof.concludes(judge(all_of(cells, reached()), seen))
    proof.fact(f"the longest of {len(packets)} packets has the whole MTU", longest == MTU, longest)
    proof.fact("none is cut", not cut, rendered(cut[:5]) or "none")
    proof.fact("all have the tag", bool(packets) and not untagged, rendered(untagged[:5]) or "all")
