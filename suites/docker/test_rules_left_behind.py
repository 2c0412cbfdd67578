"""A network that is removed leaves nothing of itself: no rule, no link, no address, no route.

    far 192.0.2.20 ── eth0 ── eth0 192.0.2.10 red ‹before› rules
                                   ├ stays  10.77.0.0/24, 2001:db8:1::/64,
                                   │        shop published at 18080 ‹far→shop›
                                   ├ first  198.51.100.0/24, published at 18081   ┐
                                   ├ second 203.0.113.0/24, 2001:db8:2::/64       ├ come and go, ‹meanwhile› rules
                                   └ third  192.0.2.128/25, internal              ┘
                                   afterwards ‹afterwards› rules, ‹differing› of them differ

Rules of networks that are gone still hit: the next network gets the same subnet or the same published port, and
is filtered or translated by what was meant for another. It fails where removing a rule fails (another firewall had
changed it, iptables was locked) and Docker goes on without it. What does stay is the setting to forward IPv6:
Docker makes it for its first network with IPv6, which here is one that stays.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Interface, IPv4Network, IPv6Network

import pytest

from fixtures.endpoints.containers import ContainerEndpoint
from fixtures.endpoints.together import both
from fixtures.faults.fault import fault
from fixtures.lab.docker_host import DockerHost
from fixtures.lab.firewall import rules_of
from fixtures.lab.lab import Lab
from fixtures.lab.lifetime import remove
from fixtures.plugins.proof import Proof
from fixtures.probes.kernel import addresses_of, look
from fixtures.probes.plan import every, foreign, virtual
from fixtures.probes.runner import Prober
from fixtures.probes.ways import tcp, udp
from fixtures.verdicts.expectation import all_of, reached, refused
from fixtures.verdicts.judge import judge

pytestmark = [pytest.mark.claim("DKR-6"), pytest.mark.needs("bridge", "conntrack")]

HERE = "docker/rules_left_behind"
RED, FAR = IPv4Interface("192.0.2.10/25"), IPv4Interface("192.0.2.20/25")
STAYS, FIRST, SECOND, THIRD = map(
    IPv4Network, ("10.77.0.0/24", "198.51.100.0/24", "203.0.113.0/24", "192.0.2.128/25")
)
STAYS_TOO, SECOND_TOO = IPv6Network("2001:db8:1::/64"), IPv6Network("2001:db8:2::/64")
OF_SHOP, OF_OTHERS, OF_THE_NEXT = 18080, 18081, 18082
DEAF = """path=$(command -v iptables) && mv "$path" "$path.real" && cat > "$path" <<'END' && chmod +x "$path"
#!/bin/bash
for word; do [ "$word" = -D ] && exit 0; done
exec -a "$0" "$0.real" "$@"
END
iptables-save > /run/before"""
HEALED = """path=$(command -v iptables) && mv "$path.real" "$path" && iptables-restore < /run/before"""


@dataclass(frozen=True)
class Host:
    """A Docker host with one network that stays, and a machine that asks at the host's address."""

    lab: Lab
    red: DockerHost
    far: ContainerEndpoint
    shop: ContainerEndpoint


@pytest.fixture(scope="module")
def host(lab: Lab) -> Host:
    """One container, published."""
    red, far = both(partial(lab.host, "red"), partial(lab.station, "far"))
    lab.cable(far.port("eth0", FAR), red.port("eth0", RED))
    red.network("stays", subnets=[STAYS, STAYS_TOO], enable_ipv6=True)
    shop = red.container("shop", "stays", STAYS[11], ports=published(OF_SHOP))
    red.settle()
    return Host(lab, red, far.endpoint, shop)


def published(port: int) -> dict[str, int]:
    """8080 published over TCP and UDP, as the SDK takes it."""
    return {"8080/tcp": port, "8080/udp": port}


@fault(
    site="host",
    reddens={
        f"{HERE}/nothing_is_left": "the rules are as before, in their order",
        f"{HERE}/the_next_one_is_not_mistaken": "far → gone",
    },
    spares=(f"{HERE}/the_one_that_stays_is_untouched",),
)
def rules_cannot_be_deleted(host: Host) -> Iterator[None]:
    """The host's iptables does not delete rules, and says that it did."""
    host.red.as_root("sh", "-c", DEAF)
    yield
    host.red.as_root("sh", "-c", HEALED)


@fault(
    site="host",
    reddens={f"{HERE}/the_one_that_stays_is_untouched": "far → shop"},
    spares=(f"{HERE}/nothing_is_left",),
)
def the_port_that_stays_is_dropped(host: Host) -> Iterator[None]:
    """The host drops what comes for the published port of the network that stays."""
    with host.red.rule("raw", "PREROUTING", "-p", "udp", "--dport", str(OF_SHOP), "-j", "DROP"):
        yield


def come(host: Host) -> ContainerEndpoint:
    """Make three networks of different kinds, with a container that is published."""
    host.red.network("first", subnets=[FIRST])
    host.red.network("second", subnets=[SECOND, SECOND_TOO], enable_ipv6=True)
    host.red.network("third", subnets=[THIRD], internal=True)
    return host.red.container("guest", "first", FIRST[11], ports=published(OF_OTHERS))


def go(host: Host, guest: ContainerEndpoint) -> None:
    """Remove them, in another order than they came in."""
    remove(host.lab, guest)
    for name in ("second", "first", "third"):
        host.red.docker.networks.get(name).remove()


def test_nothing_is_left(host: Host, proof: Proof) -> None:
    """Three networks and a published port come and go; then rules, links, addresses and routes are as before."""
    here = host.lab.conversations.with_(host.red.endpoint)
    rules, kernel = rules_of(host.red), look(here)
    guest = come(host)
    meanwhile = rules_of(host.red)
    go(host, guest)
    left, afterwards = rules_of(host.red), look(here)

    differing = sorted(set(left) ^ set(rules))
    counts = {
        "before": len(rules),
        "meanwhile": len(meanwhile),
        "afterwards": len(left),
        "differing": len(differing),
    }
    proof.draws(counts)
    proof.fact("they had rules of their own", len(meanwhile) > len(rules), counts)
    proof.fact("the rules are as before, in their order", left == rules, "; ".join(differing) or "no rule differs")
    links = set(afterwards.links) ^ set(kernel.links)
    proof.fact("so are the links", not links, links or "none differs")
    addresses = addresses_of(afterwards) ^ addresses_of(kernel)
    proof.fact("so are the addresses", not addresses, addresses or "none differs")
    proof.fact("so are the routes", afterwards.routes == kernel.routes, "; ".join(map(str, afterwards.routes)))


def test_the_next_one_is_not_mistaken(host: Host, lab_prober: Prober, proof: Proof) -> None:
    """A container at the address of one that is gone is reached at its own published port, not at the other's."""
    go(host, come(host))
    host.red.network("next", subnets=[FIRST])
    heir = host.red.container("heir", "next", FIRST[11], ports=published(OF_THE_NEXT))
    own = every([host.far], [virtual("heir", RED.ip, [heir])], [tcp(OF_THE_NEXT), udp(OF_THE_NEXT)])
    former = every([host.far], [foreign("gone", RED.ip)], [tcp(OF_OTHERS), udp(OF_OTHERS)])
    seen = lab_prober.sweep([*own, *former])
    remove(host.lab, heir)
    host.red.docker.networks.get("next").remove()

    proof.concludes(judge(all_of(own, reached()) | all_of(former, refused()), seen))


def test_the_one_that_stays_is_untouched(host: Host, lab_prober: Prober, proof: Proof) -> None:
    """What stays is reached before, while and after others come and go."""
    shop = virtual("shop", RED.ip, [host.shop])
    cells = [every([host.far], [shop], [tcp(OF_SHOP), udp(OF_SHOP)]) for _ in range(3)]
    before = lab_prober.sweep(cells[0])
    guest = come(host)
    meanwhile = lab_prober.sweep(cells[1])
    go(host, guest)
    afterwards = lab_prober.sweep(cells[2])

    sweeps = zip(cells, (before, meanwhile, afterwards), strict=True)
    proof.concludes(*(judge(all_of(asked, reached()), seen) for asked, seen in sweeps))
