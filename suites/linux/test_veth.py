"""A veth pair is a wire: what enters one end leaves the other, and each end names the other one.

    red                                              blue
      eth0 192.0.2.1 ════════════ ‹red→blue› ════════ eth0 192.0.2.2

It fails where an end is taken for another one (an index alone says nothing, for each namespace counts for itself),
or where something between the two ends adds, takes or changes a frame.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Interface

import pytest

from fixtures.faults.fault import fault
from fixtures.lab.lab import Lab
from fixtures.lab.machine import Machine
from fixtures.lab.namespaces import by_number
from fixtures.plugins.proof import Proof
from fixtures.probes.capture import Taps, rendered
from fixtures.probes.frames import Direction
from fixtures.probes.plan import between
from fixtures.probes.runner import Prober
from fixtures.probes.ways import ping, udp
from fixtures.verdicts.expectation import all_of, reached
from fixtures.verdicts.judge import judge

pytestmark = pytest.mark.claim("LNX-3")


NONE = -1
"""What iproute2 leaves out where the peer is in the same namespace: such a peer needs no number."""


@dataclass(frozen=True)
class Wire:
    """Two machines, and the pair of links between them."""

    lab: Lab
    red: Machine
    blue: Machine


@dataclass(frozen=True)
class End:
    """One end of the pair as its namespace tells of it: its own index, and three times its peer's."""

    namespace: str
    index: int
    by_driver: int
    by_link: int | None
    by_file: int
    peers_namespace: str

    def __str__(self) -> str:
        three = f"{self.by_driver} by ethtool, {self.by_link} by ip link, {self.by_file} by iflink"
        return f"index {three}, in {self.peers_namespace}"


@pytest.fixture(scope="module")
def wire(lab: Lab) -> Wire:
    """Two machines and a cable. Red has one link more, so that the indexes of the two ends differ."""
    red, blue = lab.stations("red", "blue")
    red.configure("link add name other type bridge")
    lab.cable(red.port("eth0", IPv4Interface("192.0.2.1/24")), blue.port("eth0", IPv4Interface("192.0.2.2/24")))
    return Wire(lab, red, blue)


@fault(
    site="wire",
    reddens={
        "linux/veth/each_end_names_the_other": "'s end names the other",
        "linux/veth/down_at_one_end_is_no_carrier_at_the_other": "while blue's is down red's is up without one",
    },
    spares=("linux/veth/what_enters_one_end_leaves_the_other",),
)
def mistaken(wire: Wire) -> Iterator[None]:
    """Blue's end goes by another name, and what is called eth0 there is an end of another pair."""
    swap = "link set dev {0} down", "link set dev {0} name {1}", "link set dev {1} up"
    wire.blue.configure(*(line.format("eth0", "real0") for line in swap))
    wire.blue.configure("link add name eth0 type veth peer name loop0", "link set dev eth0 up")
    yield
    wire.blue.configure("link delete dev eth0", *(line.format("real0", "eth0") for line in swap))


@fault(
    site="wire",
    reddens=("linux/veth/what_enters_one_end_leaves_the_other",),
    spares=("linux/veth/each_end_names_the_other",),
    says="blue",
)
def narrow(wire: Wire) -> Iterator[None]:
    """Blue's end takes small frames alone."""
    wire.blue.configure("link set dev eth0 mtu 1000")
    yield
    wire.blue.configure("link set dev eth0 mtu 1500")


def end_at(lab: Lab, machine: Machine) -> End:
    """Read the end that is called eth0 there."""
    (link,) = machine.ip("-d", "link", "show", "dev", "eth0")
    statistics = machine.run("ethtool", "-S", "eth0").out.split()
    return End(
        namespace=machine.run("readlink", "/proc/self/ns/net").out.strip(),
        index=link["ifindex"],
        by_driver=int(statistics[statistics.index("peer_ifindex:") + 1]),
        by_link=link.get("link_index"),
        by_file=int(machine.run("cat", "/sys/class/net/eth0/iflink").out),
        peers_namespace=by_number(lab, machine).get(link.get("link_netnsid", NONE), "its own namespace"),
    )


def test_each_end_names_the_other(wire: Wire, proof: Proof) -> None:
    """`ethtool -S`, `ip -d link` and /sys agree on the peer's index, and link-netnsid is the peer's namespace.

        red 192.0.2.1   ‹red namespace›                 blue 192.0.2.2  ‹blue namespace›
          eth0, index ‹red index› ═════════════════════════ eth0, index ‹blue index›
          red's says of its peer:   ‹red peer›
          blue's says of its peer:  ‹blue peer›

    Red has one link more, so that the two indexes differ.
    """
    red, blue = (end_at(wire.lab, machine) for machine in (wire.red, wire.blue))

    proof.draws({"red namespace": red.namespace, "red index": red.index, "red peer": red})
    proof.draws({"blue namespace": blue.namespace, "blue index": blue.index, "blue peer": blue})
    for own, peer, name in ((red, blue, "red"), (blue, red, "blue")):
        said = (own.by_driver, own.by_link, own.by_file, own.peers_namespace)
        proof.fact(f"{name}'s end names the other", said == (*[peer.index] * 3, peer.namespace), own)


def test_what_enters_one_end_leaves_the_other(wire: Wire, lab_prober: Prober, proof: Proof) -> None:
    """Every frame that goes out at one end comes in at the other, once, byte by byte, and no other one does."""
    red, blue, patience = wire.red.endpoint, wire.blue.endpoint, wire.lab.engine.patience
    cells = between([red, blue], [udp(8080, timeout=patience), ping(1400, timeout=patience)])

    with wire.lab.capture.on([red, blue], cells) as taps:
        seen = lab_prober.sweep(cells)

    proof.concludes(judge(all_of(cells, reached()), seen))
    proof.shows(rendered(taps.frames))
    for one, other in (("red", "blue"), ("blue", "red")):
        entered, left = went(taps, one, Direction.OUT), went(taps, other, Direction.IN)
        same = entered == left and entered.total() == len(cells)
        proof.fact(f"what {one} sent is what {other} got", same, f"{entered.total()} sent, {left.total()} got")


def went(taps: Taps, place: str, direction: Direction) -> Counter[bytes]:
    """The frames that went that way there, and how often each."""
    found = (frame for frame in taps.frames if (frame.place, frame.direction) == (place, direction))
    return Counter(frame.raw for frame in found)


def test_down_at_one_end_is_no_carrier_at_the_other(wire: Wire, proof: Proof) -> None:
    """Like a cable that is pulled: while blue's end is down, red's end is up and has no carrier.

        red 192.0.2.1 eth0 ════════════ eth0 192.0.2.2 blue
          ‹before›                      up
          ‹while down›                  down

    Red's own end is not touched.
    """
    before = carrier(wire.red)
    wire.blue.configure("link set dev eth0 down")
    while_down = carrier(wire.red)
    wire.blue.configure("link set dev eth0 up")

    proof.draws({"before": carried(before), "while down": carried(while_down)})
    proof.fact("with both ends up red's has a carrier", before == (True, True), before)
    proof.fact("while blue's is down red's is up without one", while_down == (True, False), while_down)


def carrier(machine: Machine) -> tuple[bool, bool]:
    """Whether its eth0 is set up, and whether it has a carrier."""
    (link,) = machine.ip("link", "show", "dev", "eth0")
    return "UP" in link["flags"], "LOWER_UP" in link["flags"]


def carried(state: tuple[bool, bool]) -> str:
    """The same in words."""
    up, carrier = state
    return f"{'up' if up else 'down'}, {'a' if carrier else 'no'} carrier"
