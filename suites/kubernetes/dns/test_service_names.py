"""Every form of a Service's name resolves to its ClusterIP, in every namespace.

    client (namespace N)              resolv.conf: search N.svc.cluster.local svc.cluster.local cluster.local
      far                    ─┐                    ndots:5
      far.N                   ├─→ 10.96.0.10 (CoreDNS) ─→ 10.96.n.n
      far.N.svc               │
      far.N.svc.cluster.local ┘

A name with fewer dots than ndots is extended by the search path first; which whole name was found is seen in
the answer. It fails where the pod's resolv.conf names another server or path, where CoreDNS does not know the
Service, or where its look-ups are lost on the way.
"""

from __future__ import annotations

import pytest

from clusters.api import SERVICE
from fixtures.plugins.proof import Proof
from fixtures.probes.plan import every
from fixtures.probes.runner import Prober
from fixtures.probes.ways import ADDRESS_RECORD, lookup
from fixtures.verdicts.expectation import all_of, reached
from fixtures.verdicts.judge import judge
from fixtures.world.service_set import Services
from fixtures.world.ways_in import RESOLVER
from fixtures.world.world import World

pytestmark = pytest.mark.claim("DNS-1")


def test_every_form_of_the_name(
    world: World, services: Services, family: int, prober: Prober, proof: Proof
) -> None:
    """Short, with namespace, with "svc" and whole, with and without the closing dot, from a pod on each worker."""
    far, record = services["far"], ADDRESS_RECORD[family]
    names = [far.name, f"{far.name}.{far.namespace}", f"{far.name}.{far.namespace}.svc"]
    whole = [far.full_name.rstrip("."), far.full_name]
    cells = every([world["client"], world["remote"]], [RESOLVER], [lookup(name, record) for name in names + whole])

    seen = prober.sweep(cells)

    proof.concludes(judge(all_of(cells, reached(answers=[str(far.cluster_ip_of(family))], within=0.9)), seen))
    found = {one.detail for one in seen}
    proof.fact("the search path led each to the whole name", found == {f"NOERROR, {far.full_name}"}, found)


def test_the_api_server_by_its_name(world: World, prober: Prober, proof: Proof) -> None:
    """From a namespace that it is not in, `kubernetes.default` and its longer forms lead to the API server."""
    service = world.api.get(SERVICE, "kubernetes", "default") or {}
    names = ["kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local."]
    ways = [lookup(name, ADDRESS_RECORD[world.family]) for name in names]
    cells = every([world["client"], world["remote"]], [RESOLVER], ways)

    seen = prober.sweep(cells)

    proof.concludes(judge(all_of(cells, reached(answers=[service["spec"]["clusterIP"]], within=0.9)), seen))
    proof.fact("the asking pods are in another namespace", world.namespace != "default", world.namespace)
