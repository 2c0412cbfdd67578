"""One parent carries one macvlan network; since Docker 27 it carries several, unless one wants it for itself.

    red, Docker host                                       switch
      one 192.0.2.11 ┬ macvlan `flat`                      │
      two 192.0.2.12 ┴ card0 192.0.2.10 ═══════════════════╪═ eth0 192.0.2.21 peer
        `second` on card0: ‹second›

A refusal names the parent that is taken, and leaves the first network as it was. It fails where a release is
looser or stricter than it is known to be, and where Docker has lost track of who has the card.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv4Network

import pytest

from fixtures.endpoints.containers import ContainerEndpoint
from fixtures.engines.behaviour import Behaviour, expected
from fixtures.faults.fault import fault
from fixtures.faults.lab_levers import configured_inside
from fixtures.lab import attempts, lifetime
from fixtures.lab.lab import Lab
from fixtures.lab.topologies.segment import NETWORK, PARENT, Segment, segment
from fixtures.plugins.proof import Proof
from fixtures.probes.plan import at, between, cell
from fixtures.probes.promises import without_nat
from fixtures.probes.runner import Prober
from fixtures.probes.ways import tcp
from fixtures.verdicts.judge import judge

pytestmark = [pytest.mark.claim("MVL-3"), pytest.mark.needs("macvlan")]

SECOND = IPv4Network("198.51.100.0/24")


@pytest.fixture(scope="module")
def taken(lab: Lab) -> Segment:
    """A card with a network on it, and a second card without one; the peer has an address for a second network."""
    made = segment(lab)
    lab.cable(made.red.port("card1"), made.switch.access("to-red-too"))
    made.peer.configure("address add 198.51.100.1/24 dev eth0")
    return made


@fault(
    site="taken",
    reddens={
        "macvlan_vlan/one_network_per_parent/second_network": "it is refused",
        "macvlan_vlan/one_network_per_parent/passthru": "it is refused, and the card is named",
        "macvlan_vlan/one_network_per_parent/another_card": "it is made",
    },
    spares=("macvlan_vlan/one_network_per_parent/first_is_undisturbed",),
)
def network_on_another_card(taken: Segment) -> Iterator[None]:
    """The first network was made on the other card by mistake, where its containers work as well."""
    with taken.macvlan.otherwise(parent="card1"):
        yield


@fault(
    site="taken",
    reddens={"macvlan_vlan/one_network_per_parent/first_is_undisturbed": "one → two"},
    spares=("macvlan_vlan/one_network_per_parent/second_network",),
)
def made_private_by_the_second(taken: Segment) -> Iterator[None]:
    """A container of the first network is in another mode, as an attempt at a second one might leave it."""
    link = "link set dev eth0 type macvlan mode"
    with configured_inside(taken.red, taken.one, f"{link} private", f"{link} bridge"):
        yield


@contextmanager
def lodged(lab: Lab, taken: Segment, attempt: attempts.Attempt) -> Iterator[list[ContainerEndpoint]]:
    """A container on what the attempt made, if it made something, for as long as this lasts."""
    lodgers = [taken.red.container("third", network, IPv4Address("198.51.100.11")) for network in attempt.made]
    yield lodgers
    lifetime.remove(lab, *lodgers)


def test_second_network(lab: Lab, taken: Segment, lab_prober: Prober, proof: Proof) -> None:
    """A second network on the card is refused, and the card named; from Docker 27 on it is made, and of use."""
    shared, peer = expected(Behaviour.MACVLAN_PARENT_SHARED, taken.red.version), taken.peer.endpoint

    with (
        attempts.network(taken.red, "second", SECOND, parent=PARENT) as second,
        lodged(lab, taken, second) as lodgers,
    ):
        pairs = [(peer, taken.two), *((lodger, peer) for lodger in lodgers)]
        promised = without_nat([cell(one, at(other), tcp(8080)) for one, other in pairs], lab.endpoints)
        seen = lab_prober.sweep(tuple(promised))

    proof.shows(str(shared))
    proof.draws({"second": second})
    proof.fact(f"it is {'made' if shared else 'refused'}", bool(second.made) == bool(shared), second)
    proof.fact("a refusal names the card", PARENT in second.refusal or not second.refusal, second)
    proof.concludes(judge(promised, seen))


def test_first_is_undisturbed(lab: Lab, taken: Segment, lab_prober: Prober, proof: Proof) -> None:
    """While a second network is asked for and after it, all on the first one and the peer reach each other."""
    promised = without_nat(between([*taken.children, taken.peer.endpoint], [tcp(8080)]), lab.endpoints)

    with attempts.network(taken.red, "second", SECOND, parent=PARENT) as second:
        meanwhile = lab_prober.sweep(tuple(promised))
    afterwards = lab_prober.sweep(tuple(promised))

    proof.draws({"second": second})
    proof.concludes(judge(promised, meanwhile), judge(promised, afterwards))


def test_passthru(taken: Segment, proof: Proof) -> None:
    """A network that wants the card for itself is refused in any release, and is not there afterwards.

        `flat`   on card0, mode bridge
        `second` on card0, mode passthru: ‹second›

    Mode passthru hands the whole card to one container.
    """
    with attempts.network(taken.red, "second", SECOND, parent=PARENT, macvlan_mode="passthru") as second:
        known = {str(it.name) for it in taken.red.docker.networks.list()}

    proof.draws({"second": second})
    proof.fact("it is refused, and the card is named", PARENT in second.refusal, second)
    proof.fact("there is no such network", {"second", NETWORK} & known == {NETWORK}, sorted(known))


def test_another_card(taken: Segment, proof: Proof) -> None:
    """On a card without a network it is made, in the same moment, with the same subnet.

        `flat`   on card0
        `second` on card1: ‹second›

    So it is the card that a refusal is about.
    """
    with attempts.network(taken.red, "second", SECOND, parent="card1") as second:
        known = {str(it.name) for it in taken.red.docker.networks.list()}

    proof.draws({"second": second})
    proof.fact("it is made", bool(second.made) and "second" in known, second)
