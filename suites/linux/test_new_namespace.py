"""A new network namespace holds nothing but `lo`, which is down, and all that comes into it stays in it.

    host                                             fresh, made out of host
      lo          ‹host lo›                            lo          ‹fresh lo›
      links       ‹host links›
      addresses   ‹host addresses›
      routes      ‹host routes›

It fails where a namespace is handed out that is not new, or where something furnishes each new one. Where the
kernel has tunnels, each namespace gets their fallback devices (tunl0, sit0 …) at its birth, down as `lo` is: they
are the kernel's, and no other link may be there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import pytest

from clusters.capabilities import Capability
from fixtures.endpoints.conversation import Ran
from fixtures.endpoints.shadowing import shadowed
from fixtures.faults.fault import fault
from fixtures.lab.lab import Lab
from fixtures.lab.machine import Machine
from fixtures.lab.namespaces import Namespace, fresh
from fixtures.plugins.proof import Proof
from fixtures.probes.contents import TABLES, Inside

pytestmark = pytest.mark.claim("LNX-1")

FALLBACKS = frozenset({"tunl0", "gre0", "gretap0", "erspan0", "ip_vti0", "sit0", "ip6tnl0", "ip6_vti0", "ip6gre0"})
"""What tunnel modules put into each namespace, unless net.core.fb_tunnels_only_for_init_net says no."""

NEEDS = {
    "iptables": Capability.NFTABLES,
    "iptables-legacy": Capability.IPTABLES_LEGACY,
    "nftables": Capability.NFTABLES,
}
"""What the kernel must have for a table to exist."""

HOST, FRESH = 1, 2
"""The numbers that their entries have."""


@dataclass(frozen=True)
class Host:
    """A machine with something in each table that its kernel has; `given` are the entries by table."""

    lab: Lab
    machine: Machine
    given: dict[str, str]


@pytest.fixture(scope="module")
def host(lab: Lab) -> Host:
    """A machine with a link of its own, and an entry in each table."""
    machine = lab.station("host")
    link_up(machine, HOST)
    here = [name for name in TABLES if name not in NEEDS or lab.engine.can(NEEDS[name])]
    return Host(lab, machine, {name: TABLES[name].give(machine, HOST) for name in here})


@fault(
    site="host",
    reddens={
        "linux/new_namespace/nothing_but_lo_and_that_is_down": "the new one has no link but lo",
        "linux/new_namespace/lo_works_once_it_is_up": "while lo is down the kernel refuses",
    },
    spares=("linux/new_namespace/what_it_is_given_stays_in_it",),
)
def furnished(host: Host) -> Iterator[None]:
    """Something sets up each new namespace at its birth: a link more, and lo up."""
    furnish = "ip -n $3 link add name gift type bridge && ip -n $3 link set dev lo up"
    with shadowed(_maker(host), "ip", _after_netns_add(furnish)):
        yield


@fault(
    site="host",
    reddens={"linux/new_namespace/what_it_is_given_stays_in_it": "the host has its own and not the new one's"},
    spares=("linux/new_namespace/nothing_but_lo_and_that_is_down", "linux/new_namespace/lo_works_once_it_is_up"),
)
def shared(host: Host) -> Iterator[None]:
    """Whatever a new namespace is given, the host has as well."""
    link_up(host.machine, FRESH)
    for name in host.given:
        TABLES[name].give(host.machine, FRESH)
    yield
    for undo in UNDO:
        host.machine.run(*undo, check=False)


UNDO = (
    *(("ip", "link", "delete", "dev", f"{name}{FRESH}") for name in ("of", "made")),
    ("nft", "delete", "table", "ip", f"of{FRESH}"),
    *((iptables, "-X", f"of{FRESH}") for iptables in ("iptables-nft", "iptables-legacy")),
)
"""What takes the entries of fresh's number away; some of these tables a kernel may not have."""


def _maker(host: Host) -> Callable[..., Ran]:
    return partial(host.lab.within, host.machine)


def _after_netns_add(words: str) -> str:
    return f'/usr/sbin/ip "$@" || exit\n[ "$1 $2" != "netns add" ] || {{ {words}; }}'


@pytest.fixture
def new(host: Host) -> Iterator[Namespace]:
    """A namespace made out of the host's."""
    with fresh(host.lab, host.machine) as namespace:
        yield namespace


def link_up(where: Inside, number: int) -> None:
    """Give it the link that other entries need."""
    where.run("ip", "link", "add", "name", f"of{number}", "type", "bridge")
    where.run("ip", "link", "set", "dev", f"of{number}", "up")


def state_of(where: Inside, link: str) -> str:
    """Whether a link is up."""
    (found,) = where.ip("link", "show", "dev", link)
    return "up" if "UP" in found["flags"] else "down"


def asks_itself(where: Inside) -> str:
    """What becomes of an echo request to 127.0.0.1: REACHED, or the kernel's refusal."""
    said = where.run("python3", "-m", "agent", "ask", "icmp", "127.0.0.1", check=False)
    answer = json.loads(said.out)
    return str(answer.get("detail") or answer["outcome"])


def test_nothing_but_lo_and_that_is_down(host: Host, new: Namespace, proof: Proof) -> None:
    """The new namespace's links are `lo` alone, down, and every other table is empty; the host's are not."""
    held = {name: TABLES[name].entries(new) for name in host.given}
    hosts = {name: TABLES[name].entries(host.machine) for name in host.given}

    proof.draws({"fresh lo": state_of(new, "lo"), "host lo": state_of(host.machine, "lo")})
    proof.draws({f"host {name}": ", ".join(sorted(hosts[name])) for name in ("links", "addresses", "routes")})
    proof.fact("the host has something in each table", all(hosts.values()), hosts)
    proof.fact("the new one has no link but lo", held["links"] - FALLBACKS == {"lo"}, sorted(held["links"]))
    states = {link: state_of(new, link) for link in held["links"]}
    proof.fact("and that is down", set(states.values()) == {"down"}, states)
    rest = {name: sorted(entries) for name, entries in held.items() if name != "links"}
    proof.fact("all other tables are empty", not any(rest.values()), rest)


def test_lo_works_once_it_is_up(new: Namespace, proof: Proof) -> None:
    """The namespace does not reach even itself: the kernel knows no route to 127.0.0.1 until `lo` is set up.

        fresh ──→ 127.0.0.1     lo down: ‹down›
                                lo up:   ‹up›

    The same question twice, to the same namespace.
    """
    before = asks_itself(new)
    new.run("ip", "link", "set", "dev", "lo", "up")
    after = asks_itself(new)

    proof.draws({"down": before, "up": after})
    proof.fact("while lo is down the kernel refuses", before.startswith("ENETUNREACH"), before)
    proof.fact("once it is up the echo comes back", after == "REACHED", after)


@pytest.mark.parametrize(
    "table",
    [pytest.param(name, marks=pytest.mark.needs(NEEDS[name]) if name in NEEDS else ()) for name in TABLES],
)
def test_what_it_is_given_stays_in_it(host: Host, new: Namespace, proof: Proof, table: str) -> None:
    """An entry given to either is in its own table and not in the other's.

        host, given ‹host's›             fresh, given ‹fresh's›
          ‹in host›
                                         ‹in fresh›

    Of every table in turn that the kernel has.
    """
    link_up(new, FRESH)
    own = TABLES[table].give(new, FRESH)

    there, here = TABLES[table].entries(new), TABLES[table].entries(host.machine)

    proof.draws({"host's": host.given[table], "fresh's": own})
    proof.draws({"in host": ", ".join(sorted(here)), "in fresh": ", ".join(sorted(there))})
    proof.fact(
        "the new one has its own and not the host's", own in there and host.given[table] not in there, there
    )
    proof.fact("the host has its own and not the new one's", host.given[table] in here and own not in here, here)
