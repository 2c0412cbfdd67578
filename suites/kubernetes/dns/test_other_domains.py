"""CoreDNS asks the server that its ConfigMap names for a domain that is not the cluster's.

    elsewhere.example      ┐            ┌ forward . DRAIN:5353    everybody's server
    203.0.113.80 (PTR)     ├─ CoreDNS ──┤
    an alias to it         ┘            │
    host.stub.example      ─ CoreDNS ───┴ forward . DRAIN:5354    that of the stub domain

Each of the two servers knows names that the other does not, so that an answer tells who was asked. It fails where
CoreDNS's pods do not reach a server outside of the cluster, and where a stub domain's questions go to everybody's.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from clusters.drain import STUB_DOMAIN, STUB_PORT, UPSTREAM_PORT
from fixtures.agent.zones import ZONES
from fixtures.faults.fault import fault
from fixtures.faults.site import Site
from fixtures.plugins.proof import Proof
from fixtures.probes.plan import every
from fixtures.probes.runner import Prober
from fixtures.probes.ways import ADDRESS_RECORD, lookup
from fixtures.verdicts.expectation import Expectation, all_of, no_such_name, reached
from fixtures.verdicts.judge import judge
from fixtures.verdicts.observation import Cell
from fixtures.world.service_set import Services
from fixtures.world.services import ServiceSpec, ServiceType
from fixtures.world.ways_in import RESOLVER
from fixtures.world.world import World

pytestmark = [pytest.mark.claim("DNS-5"), pytest.mark.requires("known-profile")]  # the names are our drain's

ELSEWHERE = "elsewhere.example."
ALIAS = ServiceSpec("to-elsewhere", type=ServiceType.EXTERNAL_NAME, external_name=ELSEWHERE.rstrip("."))
NOBODY = f"nobody.{STUB_DOMAIN}."


@fault(
    reddens={"kubernetes/dns/other_domains/of_everybody": ELSEWHERE},
    spares=("kubernetes/dns/other_domains/of_a_stub_domain", "kubernetes/dns/service_names/*"),
)
def upstream_at_another_port(site: Site) -> Iterator[None]:
    """CoreDNS asks the upstream server at a port where only names of the stub domain are known."""
    with site.corefile_at_once(lambda before: before.replace(f":{UPSTREAM_PORT}", f":{STUB_PORT}")):
        yield


@fault(
    reddens={"kubernetes/dns/other_domains/of_a_stub_domain": f"host.{STUB_DOMAIN}"},
    spares=("kubernetes/dns/other_domains/of_everybody", "kubernetes/dns/service_names/*"),
)
def stub_domain_forgotten(site: Site) -> Iterator[None]:
    """The ConfigMap no longer names a server for the stub domain."""
    with site.corefile_at_once(lambda before: before.partition(f"{STUB_DOMAIN}:53")[0]):
        yield


def test_of_everybody(world: World, services: Services, prober: Prober, proof: Proof) -> None:
    """Names, addresses and aliases that the cluster does not own are looked up elsewhere, from every node."""
    known = _known(world, UPSTREAM_PORT)
    with services.standing(ALIAS) as alias:
        record = ADDRESS_RECORD[world.family]
        address = ZONES[UPSTREAM_PORT][ELSEWHERE][record]
        followed = every(world.one_pod_of_each_node, [RESOLVER], [lookup(alias.full_name, record)])

        seen = prober.sweep([*known, *followed])

    proof.concludes(judge(known | all_of(followed, reached(answers=[address])), seen))


def test_of_a_stub_domain(world: World, prober: Prober, proof: Proof) -> None:
    """Names of the stub domain are asked of its own server, and what that does not know is said not to exist."""
    known = _known(world, STUB_PORT)
    nobody = every(world.one_pod_of_each_node, [RESOLVER], [lookup(NOBODY), lookup(NOBODY, over_tcp=True)])

    seen = prober.sweep([*known, *nobody])

    proof.concludes(judge(known | all_of(nobody, no_such_name()), seen))


def _known(world: World, port: int) -> dict[Cell, Expectation]:
    """Every record of the server at that port of the drain, by UDP and TCP, with what must be answered."""
    clients, promised = world.one_pod_of_each_node, dict[Cell, Expectation]()
    for name, records in ZONES[port].items():
        for kind, value in records.items():
            ways = [lookup(name, kind), lookup(name, kind, over_tcp=True)]
            promised |= all_of(every(clients, [RESOLVER], ways), reached(answers=[value]))
    return promised
