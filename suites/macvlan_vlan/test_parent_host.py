"""The host of a macvlan network's parent cannot reach the containers through it, nor they the host.

    red, Docker host                                       switch
      one 192.0.2.11 ┬ macvlan, mode bridge                │
      two 192.0.2.12 ┴ card0 192.0.2.10 ═══════════════════╪═ eth0 192.0.2.21 peer

    red → one: ‹red→one tcp›           one → red: ‹one→red tcp›
    one → two: ‹one→two tcp›           one → peer: ‹one→peer tcp›
    red → peer: ‹red→peer tcp›         peer → red: ‹peer→red tcp›

What the host sends leaves by the card, and a switch sends nothing back to where it came from; what a container
sends is never handed to its parent. All others reach each other on the same card and subnet. It fails with a shim,
a macvlan link of the host's own with routes to the containers: people add one when they want it otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fixtures.endpoints.endpoint import Endpoint
from fixtures.faults.fault import fault
from fixtures.faults.lab_levers import configured, configured_inside
from fixtures.lab.lab import Lab
from fixtures.lab.topologies.segment import PARENT, Segment, segment
from fixtures.plugins.proof import Proof
from fixtures.probes.kernel import NetState, look_at
from fixtures.probes.plan import address_of, at, between, every
from fixtures.probes.promises import without_nat
from fixtures.probes.runner import Prober
from fixtures.probes.ways import ping, tcp, udp
from fixtures.verdicts.expectation import Expectation, all_of, blocked
from fixtures.verdicts.judge import judge
from fixtures.verdicts.observation import Cell, Probe

pytestmark = [pytest.mark.claim("MVL-2"), pytest.mark.needs("macvlan")]

NOBODY = "no answer"


@pytest.fixture(scope="module")
def shared(lab: Lab) -> Segment:
    """The host has an address on the card that its containers share."""
    return segment(lab)


@fault(
    site="shared",
    reddens={
        "macvlan_vlan/parent_host/host_and_children": "red → one",
        "macvlan_vlan/parent_host/not_even_arp": "red → one",
    },
    spares=("macvlan_vlan/parent_host/children_reach_each_other",),
)
def host_shim(shared: Segment) -> Iterator[None]:
    """The host has a macvlan link of its own on the card, and routes to the containers by it."""
    made = f"link add shim link {PARENT} type macvlan mode bridge"
    routes = [f"route add {address_of(child)}/32 dev shim" for child in shared.children]
    with configured(shared.red, [made, "link set shim up", *routes], ["link del shim"]):
        yield


@fault(
    site="shared",
    reddens={"macvlan_vlan/parent_host/children_reach_each_other": "one → two"},
    spares=("macvlan_vlan/parent_host/host_and_children",),
)
def private_by_mistake(shared: Segment) -> Iterator[None]:
    """One container's link is in mode private instead of bridge."""
    link = "link set dev eth0 type macvlan mode"
    with configured_inside(shared.red, shared.one, f"{link} private", f"{link} bridge"):
        yield


def apart(lab: Lab, shared: Segment, *ways: Probe) -> dict[Cell, Expectation]:
    """Host and containers do not reach each other; all reach the peer, which is what makes the silence count."""
    red, peer = shared.red.endpoint, shared.peer.endpoint
    silent = every([red], map(at, shared.children), ways) + every(shared.children, [at(red)], ways)
    heard = every([red, *shared.children], [at(peer)], ways) + every(
        [peer], map(at, [red, *shared.children]), ways
    )
    return all_of(silent, blocked()) | without_nat(heard, lab.endpoints)


def test_host_and_children(lab: Lab, shared: Segment, lab_prober: Prober, proof: Proof) -> None:
    """The host reaches no container, and no container the host; the peer and each of them reach each other."""
    expected = apart(lab, shared, tcp(8080), udp(8080), ping())

    seen = lab_prober.sweep(tuple(expected))

    proof.concludes(judge(expected, seen))


def test_children_reach_each_other(lab: Lab, shared: Segment, lab_prober: Prober, proof: Proof) -> None:
    """On the same card the containers reach each other, under their own addresses."""
    cells = between(shared.children, [tcp(8080), udp(8080), ping()])

    seen = lab_prober.sweep(cells)

    proof.concludes(judge(without_nat(cells, lab.endpoints), seen))


def test_not_even_arp(lab: Lab, shared: Segment, lab_prober: Prober, proof: Proof) -> None:
    """Host and container ask for each other's MAC address and learn none; the peer's they learn.

        red asks for 192.0.2.11: ‹red of one›                one asks for 192.0.2.10: ‹one of red›
        red asks for 192.0.2.21: ‹red of peer›               one asks for 192.0.2.21: ‹one of peer›

    A firewall would look the same to probes, and would let the questions through.
    """
    expected = apart(lab, shared, ping())

    seen = lab_prober.sweep(tuple(expected))

    red, one, peer = shared.red.endpoint, shared.one, shared.peer.endpoint
    kernels = look_at(lab.conversations, [red, one])
    asked = [(red, one), (one, red), (red, peer), (one, peer)]
    learned = {f"{asker.name} of {whom.name}": mac(kernels[asker.name], whom) for asker, whom in asked}
    proof.draws(learned)
    proof.concludes(judge(expected, seen))
    silent = [pair for pair, found in learned.items() if found == NOBODY]
    proof.fact("host and container learn nothing of each other", silent == ["red of one", "one of red"], learned)


def mac(state: NetState, whom: Endpoint) -> str:
    """The MAC address that a neighbour table has for somebody."""
    return next((it.mac for it in state.neighbours if it.address == address_of(whom)), NOBODY)
