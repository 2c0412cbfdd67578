"""The name of a headless Service is the addresses of its ready pods, and each pod with a host name has its own.

    direct.N.svc…            → 10.244.1.y, 10.244.2.z      neighbour and remote
    low.family.N.svc…        → 10.244.…                    the pod with hostname low, subdomain family
    _web._tcp.family.N.svc…  → SRV low.family… , high.family…
    PTR of a pod's address   → low.family.N.svc…

Nothing translates such requests: the client talks to the pod itself. It fails where a pod that is gone is still
listed or one that is ready is not, and where the records of a name disagree.
"""

from __future__ import annotations

import pytest

from fixtures.plugins.proof import Proof
from fixtures.probes.plan import address_of, every
from fixtures.probes.runner import Prober
from fixtures.probes.ways import ADDRESS_RECORD, lookup, tcp, udp
from fixtures.verdicts.expectation import all_of, reached
from fixtures.verdicts.judge import judge
from fixtures.world.service_set import Services
from fixtures.world.ways_in import RESOLVER, by_name
from fixtures.world.world import World


@pytest.mark.claim("DNS-2")
def test_addresses_of_the_pods(
    world: World, services: Services, family: int, prober: Prober, proof: Proof
) -> None:
    """One A or AAAA record for each ready pod, no other; the pod that is not ready is missing."""
    direct = services["direct"]
    cells = every(
        [world["client"], world["remote"]], [RESOLVER], [lookup(direct.full_name, ADDRESS_RECORD[family])]
    )

    seen = prober.sweep(cells)

    pods = [str(address_of(pod, family)) for pod in direct.backends]
    proof.concludes(judge(all_of(cells, reached(answers=pods, within=0.9)), seen))


@pytest.mark.claim("SVC-2")
def test_nothing_in_between(world: World, services: Services, prober: Prober, proof: Proof) -> None:
    """Asked by the name, ten times each, the pod itself answers, at its own address, and sees the client's own."""
    client = world["client"]
    cells = every([client], [by_name(services["direct"])], [tcp(8080), udp(8080)] * 10)

    seen = prober.sweep(cells)

    proof.concludes(judge(all_of(cells, reached(seen_as=client.addresses)), seen))
    asked = {str(one.served_at[0]) for one in seen if one.served_at}
    pods = {str(address_of(pod)) for pod in services["direct"].backends}
    proof.fact("the pod was asked at its own address", bool(asked) and asked <= pods, asked)


@pytest.mark.claim("DNS-2")
def test_names_of_pods(world: World, services: Services, family: int, prober: Prober, proof: Proof) -> None:
    """Host name and subdomain name the pod; its address leads back to that and to its name in another Service."""
    name, address = f"low.{services['family'].full_name}", str(address_of(world["named-low"], family))
    forward = every([world["client"]], [RESOLVER], [lookup(name, ADDRESS_RECORD[family])])
    back = every([world["client"]], [RESOLVER], [lookup(address, "PTR")])

    seen = prober.sweep([*forward, *back])

    plain = f"{address.replace('.', '-').replace(':', '-')}.{services['named'].full_name}"
    there = all_of(forward, reached(answers=[address], within=0.9))
    proof.concludes(judge({**there, **all_of(back, reached(answers=[name, plain], within=0.9))}, seen))


@pytest.mark.claim("DNS-2")
def test_ports_of_pods(world: World, services: Services, prober: Prober, proof: Proof) -> None:
    """SRV of a named port lists every pod by its own name, with the number that the port has there."""
    family = services["family"]
    cells = every([world["client"]], [RESOLVER], [lookup(f"_web._tcp.{family.full_name}", "SRV")])

    seen = prober.sweep(cells)

    weight = 100 // (len(family.backends) * len(family.families))  # CoreDNS counts addresses, not names
    records = [f"0 {weight} 8081 low.{family.full_name}", f"0 {weight} 8082 high.{family.full_name}"]
    proof.concludes(judge(all_of(cells, reached(answers=records, within=0.9)), seen))
