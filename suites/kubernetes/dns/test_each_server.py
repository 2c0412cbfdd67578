"""Every replica of CoreDNS answers alike, and by itself; and a name without a record is no unknown name.

    pods of every node ─┬─→ CoreDNS 10.244.0.x:53
                        └─→ CoreDNS 10.244.0.y:53      asked at their own addresses, past the Service

The Service hides a replica that is out of date: every second answer is right. So each is asked by itself, also
for a Service that was made a moment before. And a client that hears NXDOMAIN for the IPv6 address of a name that
has an IPv4 one may take the whole name for unknown: musl's resolver drops the good answer then. Such a name has
no data.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from clusters.api import POD
from fixtures.faults.fault import fault
from fixtures.faults.rule_levers import packet_rule
from fixtures.faults.services import COREDNS
from fixtures.faults.site import Site
from fixtures.plugins.proof import Proof
from fixtures.probes.convergence import must_become
from fixtures.probes.plan import Destination, every, foreign
from fixtures.probes.runner import Prober
from fixtures.probes.ways import ADDRESS_RECORD, lookup
from fixtures.verdicts.expectation import all_of, no_such_name, no_such_record, reached
from fixtures.verdicts.judge import judge
from fixtures.world.service_set import Services
from fixtures.world.services import ServicePort, ServiceSpec
from fixtures.world.ways_in import lacked_by
from fixtures.world.world import World

pytestmark = pytest.mark.claim("DNS-5")

NEW = ServiceSpec("made-just-now", ports=(ServicePort("tcp", 80, 8080),))


@fault(
    reddens={"kubernetes/dns/each_server/hears_of_new_services": "→ coredns"},
    spares=("kubernetes/dns/each_server/answers_alike", "kubernetes/dns/service_names/*"),
)
def one_coredns_out_of_date(site: Site) -> Iterator[None]:
    """One of the two replicas of CoreDNS no longer hears from the API server."""
    first = sorted(site.addresses_of(*COREDNS))[0]
    (node,) = site.nodes_of_pod(first)
    with packet_rule(site, node, "postrouting", f"ip daddr {first} tcp sport {{ 443, 6443 }} drop"):
        yield


def test_answers_alike(world: World, services: Services, prober: Prober, proof: Proof) -> None:
    """From pods of every node each replica gives the address, no data for another family, NXDOMAIN for no name."""
    single, servers = services["single"], replicas(world)
    missing = single.full_name.replace(single.name, "nobody-there", 1)
    clients = world.one_pod_of_each_node
    has = lookup(single.full_name, ADDRESS_RECORD[single.cluster_ip.version])
    lacks = lookup(single.full_name, lacked_by(single))
    address, none, nobody = (every(clients, servers, [way]) for way in (has, lacks, lookup(missing)))

    seen = prober.sweep([*address, *none, *nobody])

    promised = all_of(address, reached(answers=[str(single.cluster_ip)], within=0.9))
    promised |= all_of(none, no_such_record(within=0.9)) | all_of(nobody, no_such_name(within=0.9))
    proof.concludes(judge(promised, seen))
    proof.fact("there is more than one replica", len(servers) > 1, [server.name for server in servers])


def test_hears_of_new_services(world: World, services: Services, prober: Prober, proof: Proof) -> None:
    """A Service that was made a moment before is known to each replica, by UDP and by TCP."""
    name = f"{NEW.name}.{services['web'].full_name.partition('.')[2]}"
    record = ADDRESS_RECORD[world.family]
    ways = [lookup(name, record), lookup(name, record, over_tcp=True)]
    cells = every([world["client"], world["remote"]], replicas(world), ways)

    with services.standing(NEW) as new:
        known = must_become(prober, all_of(cells, reached(answers=[str(new.cluster_ip)])))

    proof.concludes(known.judgement)
    proof.measured("name known to each replica after", known.took, "s")


def replicas(world: World) -> list[Destination]:
    """The servers of the cluster's DNS, each at the address of its own pod."""
    found = world.api.list(POD, *COREDNS)
    return [foreign(f"coredns {pod['status']['podIP']}", pod["status"]["podIP"]) for pod in found.values()]
