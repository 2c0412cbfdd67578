"""CoreDNS answers every other kind of question about Services, and says at once what does not exist.

    _tcp._tcp.web.N.svc…   SRV    the port of a Service, by the port's name
    10.96.n.n              PTR    back to web.N.svc…
    alias.N.svc…           CNAME  an ExternalName, followed to the address behind it
    nobody-there.N.svc…    A      no such name, at once
    web.N.svc…             AAAA   no such record, at once

A missing name that is answered by silence costs every client seconds for each look-up, since resolvers try
several names and both address families. All names lie in the cluster's own domain, so that nothing is asked of
other servers.
"""

from __future__ import annotations

import pytest

from fixtures.plugins.proof import Proof
from fixtures.probes.plan import every
from fixtures.probes.runner import Prober
from fixtures.probes.ways import ADDRESS_RECORD, lookup
from fixtures.verdicts.expectation import all_of, no_such_name, no_such_record, reached
from fixtures.verdicts.judge import judge
from fixtures.world.service_set import Services
from fixtures.world.ways_in import RESOLVER, lacked_by
from fixtures.world.world import World

pytestmark = pytest.mark.claim("DNS-2")


def test_port_by_name(world: World, services: Services, prober: Prober, proof: Proof) -> None:
    """SRV of a Service's port gives its number and the Service's name."""
    web = services["web"]
    weight = 100 // len(web.addresses)  # shared between its addresses
    cells = every([world["client"]], [RESOLVER], [lookup(f"_tcp._tcp.{web.full_name}", "SRV")])

    seen = prober.sweep(cells)

    proof.concludes(judge(all_of(cells, reached(answers=[f"0 {weight} 80 {web.full_name}"], within=0.9)), seen))


def test_address_leads_back(world: World, services: Services, family: int, prober: Prober, proof: Proof) -> None:
    """PTR of a ClusterIP gives the Service's whole name."""
    web = services["web"]
    cells = every([world["client"]], [RESOLVER], [lookup(str(web.cluster_ip_of(family)), "PTR")])

    seen = prober.sweep(cells)

    proof.concludes(judge(all_of(cells, reached(answers=[web.full_name], within=0.9)), seen))


def test_alias(world: World, services: Services, prober: Prober, proof: Proof) -> None:
    """An ExternalName is an alias, and asking for an address follows it in one answer."""
    alias, web = services["alias"].full_name, services["web"]
    name = every([world["client"]], [RESOLVER], [lookup(alias, "CNAME")])
    address = every([world["client"]], [RESOLVER], [lookup(alias, ADDRESS_RECORD[world.family])])

    seen = prober.sweep([*name, *address])

    to_name = all_of(name, reached(answers=[web.full_name], within=0.9))
    to_address = all_of(address, reached(answers=[str(web.cluster_ip)], within=0.9))
    proof.concludes(judge({**to_name, **to_address}, seen))


def test_what_does_not_exist(world: World, services: Services, prober: Prober, proof: Proof) -> None:
    """A name that nobody has, and a record that a name lacks: said within half a second, by UDP and TCP."""
    single = services["single"]
    missing = single.full_name.replace(single.name, "nobody-there", 1)
    clients = [world["client"], world["remote"]]
    unknown = [lookup(missing), lookup(missing, "AAAA"), lookup(missing, over_tcp=True)]
    nobody = every(clients, [RESOLVER], unknown)
    lacking = every(clients, [RESOLVER], [lookup(single.full_name, lacked_by(single))])

    seen = prober.sweep([*nobody, *lacking])

    promised = all_of(nobody, no_such_name(within=0.5)) | all_of(lacking, no_such_record(within=0.5))
    proof.concludes(judge(promised, seen))
