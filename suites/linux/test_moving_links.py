"""A veth end moves to another namespace and is then gone from the first; `lo` and a bridge cannot be moved.

    first 192.0.2.1                                        second 192.0.2.2
      stays ═══════════════ ‹first→second› ════════════════  end, once it is here
      lo, br0 stay where they are

The kernel alone says what it does: its answer is read, number and words. It fails where a link is copied and not
moved, where the wire is cut on the way, or where a kernel lets a namespace's own links go.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import pytest

from fixtures.endpoints.shadowing import WITHOUT_RIGHTS, shadowed
from fixtures.faults.fault import fault
from fixtures.lab.lab import Lab
from fixtures.lab.machine import Machine
from fixtures.lab.namespaces import move
from fixtures.plugins.proof import Proof
from fixtures.probes.contents import addresses, links
from fixtures.probes.plan import Destination, every
from fixtures.probes.runner import Prober
from fixtures.probes.ways import ping, tcp
from fixtures.verdicts.expectation import all_of, reached
from fixtures.verdicts.judge import judge

pytestmark = pytest.mark.claim("LNX-4")


@dataclass(frozen=True)
class Two:
    """A machine with a veth pair and a bridge, and one with nothing."""

    lab: Lab
    first: Machine
    second: Machine


@pytest.fixture(scope="module")
def two(lab: Lab) -> Two:
    """Both machines; nothing joins them yet."""
    first, second = lab.stations("first", "second")
    return Two(lab, first, second)


@fault(
    site="two",
    reddens={"linux/moving_links/what_belongs_to_a_namespace_cannot_leave_it": "is refused with EINVAL"},
    spares=("linux/moving_links/a_veth_end_is_gone_from_the_first", "linux/moving_links/the_wire_goes_along"),
)
def without_rights(two: Two) -> Iterator[None]:
    """Whoever asks for lo or br0 has no right to: the kernel refuses as well, and for another reason."""
    run = partial(two.lab.within, two.first)
    limited = f"case $2 in lo|br0) without='{WITHOUT_RIGHTS}';; esac"
    with shadowed(run, "python3", f'{limited}\nexec $without /usr/bin/python3 "$@"'):
        yield


@fault(
    site="two",
    reddens={
        "linux/moving_links/a_veth_end_is_gone_from_the_first": "the kernel moved it",
        "linux/moving_links/the_wire_goes_along": "first → second",
    },
    spares=("linux/moving_links/what_belongs_to_a_namespace_cannot_leave_it",),
)
def name_is_taken(two: Two) -> Iterator[None]:
    """The second namespace has a link of the name already, so that the end has to stay where it is."""
    two.second.configure("link add name end type bridge")
    yield
    two.second.configure("link delete dev end")


@pytest.fixture
def pair(two: Two) -> Iterator[None]:
    """Both ends of a pair and a bridge in the first namespace; gone after the check, wherever they are then."""
    two.first.configure(
        "link add name stays type veth peer name end",
        "address add 192.0.2.1/24 dev stays",
        "address add 192.0.2.2/24 dev end",
        "link set dev stays up",
        "link set dev end up",
        "link add name br0 type bridge",
    )
    yield
    two.first.configure("link delete dev stays", "link delete dev br0")


@pytest.mark.usefixtures("pair")
def test_a_veth_end_is_gone_from_the_first(two: Two, proof: Proof) -> None:
    """After the move the end is a link of the second namespace alone, without the address that it had.

        first 192.0.2.1 ── end 192.0.2.2 ──→ second       the kernel says: ‹end›
        then has ‹first›                     then has ‹second›

    Asked for the end, the first namespace knows none.
    """
    answer = move(two.lab, "end", two.first, two.second)

    there, here = links(two.second), links(two.first)
    refusal = two.first.run("ip", "link", "show", "dev", "end", check=False)
    proof.draws({"end": answer, "first": ", ".join(sorted(here)), "second": ", ".join(sorted(there))})
    proof.fact("the kernel moved it", answer.error == "", answer)
    proof.fact("the second namespace has it", "end" in there, sorted(there))
    proof.fact("the first has it no more, and keeps the other end", {"stays"} <= here and "end" not in here, here)
    proof.fact("asked for it there, the kernel knows none", refusal.status != 0, refusal.err.strip())
    held = addresses(two.second) | addresses(two.first)
    proof.fact("its address is gone with the move", "192.0.2.2" not in held, sorted(held))


@pytest.mark.usefixtures("pair")
def test_the_wire_goes_along(two: Two, lab_prober: Prober, proof: Proof) -> None:
    """With one end in each namespace, what was a loop in the first is a link between the two."""
    move(two.lab, "end", two.first, two.second)
    two.second.configure("address add 192.0.2.2/24 dev end", "link set dev end up")
    second = Destination("second", "192.0.2.2", frozenset({"second"}), two.second.endpoint)
    patience = two.lab.engine.patience
    cells = every([two.first.endpoint], [second], [tcp(8080, timeout=patience), ping(timeout=patience)])

    proof.concludes(judge(all_of(cells, reached()), lab_prober.sweep(cells)))


@pytest.mark.usefixtures("pair")
@pytest.mark.parametrize("link", ["lo", "br0"])
def test_what_belongs_to_a_namespace_cannot_leave_it(two: Two, proof: Proof, link: str) -> None:
    """The kernel refuses with EINVAL, and the link stays where it was.

        first 192.0.2.1 ── ‹link› ──→ second 192.0.2.2    the kernel says: ‹answer›

    An errno of its own: no right to ask would be EPERM.
    """
    before = links(two.second)

    answer = move(two.lab, link, two.first, two.second)

    proof.draws({"link": link, "answer": answer})
    proof.fact(f"moving {link} is refused with EINVAL", answer.error == "EINVAL", answer)
    proof.fact(f"{link} is still in the first", link in links(two.first), sorted(links(two.first)))
    proof.fact("the second got nothing", links(two.second) == before, sorted(links(two.second)))
