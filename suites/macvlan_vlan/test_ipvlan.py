"""ipvlan gives containers addresses of their own on a card, and no MAC address: it bridges (l2) or routes (l3).

    red, Docker host                                           near, a plain machine
      lean  198.18.2.11 ┬ ipvlan, mode l2 ─ flat0 ═══════ eth0 198.18.2.1
      lank  198.18.2.12 ┘                   one MAC ‹macs›
      slim  198.18.5.11 ┬ ipvlan, mode l3 ─ flat1 ═══════ eth1 198.18.4.1
      slight 198.18.6.11┘      198.18.4.2                 route 198.18.5.0/24, 198.18.6.0/24 via 198.18.4.2

Where a switch allows one MAC address at a port, macvlan does not work and ipvlan does. It fails where a container
shows a MAC address of its own, where two subnets of one card are not routed, and where broadcasts pass in mode l3.
The lab is one with that of the modules about VLANs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Interface, IPv4Network

import pytest

from fixtures.endpoints.containers import ContainerEndpoint
from fixtures.endpoints.together import together
from fixtures.faults.fault import fault
from fixtures.faults.lab_levers import configured
from fixtures.lab.lab import Lab
from fixtures.lab.machine import Machine
from fixtures.lab.topologies.trunk import Trunk
from fixtures.plugins.proof import Proof
from fixtures.probes.kernel import look_at
from fixtures.probes.plan import address_of, at, between, every
from fixtures.probes.promises import without_nat
from fixtures.probes.runner import Prober
from fixtures.probes.ways import ping, tcp, udp
from fixtures.verdicts.judge import judge

pytestmark = [pytest.mark.claim("MVL-9"), pytest.mark.needs("ipvlan", "vlan", "macvlan")]

HERE = "macvlan_vlan/ipvlan"
BRIDGED, CARDS = IPv4Network("198.18.2.0/24"), IPv4Network("198.18.4.0/24")
ROUTED = IPv4Network("198.18.5.0/24"), IPv4Network("198.18.6.0/24")


@dataclass(frozen=True)
class Thin:
    """The machine at the other end of both cards, two containers in mode l2, and two in mode l3."""

    lab: Lab
    near: Machine
    bridged: tuple[ContainerEndpoint, ...]
    routed: tuple[ContainerEndpoint, ...]


@pytest.fixture(scope="module")
def lab(trunk: Trunk) -> Lab:
    """The trunk's, in place of one of the module's own."""
    return trunk.lab


@pytest.fixture(scope="module")
def thin(lab: Lab, trunk: Trunk) -> Thin:
    """Two cards more of the Docker host, and a network on either."""
    red, near = trunk.red, lab.station("near")
    lab.cable(red.port("flat0"), near.port("eth0", IPv4Interface(f"{BRIDGED[1]}/24")))
    far_end, own_end = (IPv4Interface(f"{CARDS[number]}/24") for number in (2, 1))
    lab.cable(red.port("flat1", far_end), near.port("eth1", own_end))
    near.configure(*(f"route add {subnet} via {CARDS[2]}" for subnet in ROUTED))
    red.network("bridged", "ipvlan", subnets=[BRIDGED], options={"parent": "flat0", "ipvlan_mode": "l2"})
    red.network("routed", "ipvlan", subnets=ROUTED, options={"parent": "flat1", "ipvlan_mode": "l3"})
    lean, lank, slim, slight = together(
        partial(red.container, "lean", "bridged", BRIDGED[11]),
        partial(red.container, "lank", "bridged", BRIDGED[12]),
        partial(red.container, "slim", "routed", ROUTED[0][11]),
        partial(red.container, "slight", "routed", ROUTED[1][11]),
    )
    return Thin(lab, near, (lean, lank), (slim, slight))


@fault(site="thin", reddens={f"{HERE}/bridged": "near → lank"}, spares=(f"{HERE}/routed",))
def mac_of_somebody_else(thin: Thin) -> Iterator[None]:
    """The machine beside believes that one of the containers has a MAC address of its own."""
    entry = f"{address_of(thin.bridged[1])} dev eth0"
    wrong = f"neigh replace {entry} lladdr 02:42:c6:12:02:0c nud permanent"
    with configured(thin.near, [wrong], [f"neigh del {entry}"]):
        yield


@fault(site="thin", reddens={f"{HERE}/routed": "near → slight"}, spares=(f"{HERE}/bridged",))
def no_way_to_the_second(thin: Thin) -> Iterator[None]:
    """The machine beside has lost its route to the second subnet."""
    route = f"{ROUTED[1]} via {CARDS[2]}"
    with configured(thin.near, [f"route del {route}"], [f"route add {route}"]):
        yield


def test_bridged(lab: Lab, thin: Thin, lab_prober: Prober, proof: Proof) -> None:
    """In mode l2 all on the card reach each other under their own addresses, and have its one MAC address."""
    patience = lab.engine.patience
    ways = [tcp(8080, timeout=patience), udp(8080, timeout=patience), ping(timeout=patience)]
    cells = between(thin.bridged, ways) + every([thin.near.endpoint], [at(one) for one in thin.bridged], ways)

    seen = lab_prober.sweep(cells)

    proof.concludes(judge(without_nat(cells, lab.endpoints), seen))
    red = lab.machines["red"].endpoint
    kernels = look_at(lab.conversations, [*thin.bridged, red])
    macs = {it.name: kernels[it.name].holding(address_of(it)).mac for it in thin.bridged}
    macs["the card"] = kernels["red"].link("flat0").mac
    proof.draws({"macs": macs["the card"]})
    proof.fact("all have one MAC address, the card's", len(set(macs.values())) == 1, macs)


def test_routed(lab: Lab, thin: Thin, lab_prober: Prober, proof: Proof) -> None:
    """In mode l3 two subnets of one card reach each other and a machine that has routes to them."""
    patience = lab.engine.patience
    ways = [tcp(8080, timeout=patience), udp(8080, timeout=patience), ping(timeout=patience)]
    slim, slight = thin.routed
    cells = between([slim, slight], ways) + every([thin.near.endpoint], [at(slim), at(slight)], ways)

    seen = lab_prober.sweep(cells)

    proof.concludes(judge(without_nat(cells, lab.endpoints), seen))
    kernels = look_at(lab.conversations, thin.routed)
    known = {name: [str(it) for it in kernel.neighbours] for name, kernel in kernels.items()}
    proof.fact("nobody there has asked for a MAC address", not any(known.values()), known)
