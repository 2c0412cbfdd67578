"""What a label leaves to another proxy is not kube-proxy's until it goes: a Service, or a slice of endpoints.

    ours         10.96.a.a ─→ remote
    for-another  10.96.b.b     service.kubernetes.io/service-proxy-name: another     nobody answers
    listed       10.96.c.c ─→ remote      its slice: service.kubernetes.io/headless  refused, as without endpoints

Service meshes and load balancers take Services over in that way. Where kube-proxy does not let go, two programs
translate the same address. Packets for a Service that is not its own end in the drain.
"""

from __future__ import annotations

import pytest

from clusters.api import ENDPOINT_SLICE, SERVICE, Object
from fixtures.plugins.proof import Proof
from fixtures.probes.convergence import must_become
from fixtures.probes.plan import address_of, every
from fixtures.probes.runner import Prober
from fixtures.probes.ways import tcp, udp
from fixtures.verdicts.expectation import all_of, blocked, reached, refused
from fixtures.verdicts.judge import judge
from fixtures.world.service_set import Services
from fixtures.world.services import WEB, Service, ServiceSpec, endpoints_by_hand
from fixtures.world.ways_in import cluster_ip
from fixtures.world.world import World

pytestmark = pytest.mark.claim("SVC-7")

PROXY_NAME, HEADLESS = "service.kubernetes.io/service-proxy-name", "service.kubernetes.io/headless"
OURS = ServiceSpec("ours", ("remote",))
FOR_ANOTHER = ServiceSpec("for-another", ("remote",), marks={PROXY_NAME: "another"})


def test_a_service(world: World, services: Services, family: int, prober: Prober, proof: Proof) -> None:
    """Pods and nodes reach the Service without the label and not the other; once its label is gone that too."""
    sources, ways = [world["client"], *world.open_nodes], [tcp(80), udp(80)]
    with services.all_standing(OURS, FOR_ANOTHER):
        ours, other = (every(sources, [cluster_ip(services[it.name], family)], ways) for it in (OURS, FOR_ANOTHER))
        served = must_become(prober, all_of(ours, reached()))
        left = prober.sweep([*ours, *other])
        world.api.patch(SERVICE, FOR_ANOTHER.name, {"metadata": {"labels": {PROXY_NAME: None}}}, world.namespace)
        taken = must_become(prober, all_of(other, reached()))

    promised = all_of(ours, reached()) | all_of(other, blocked())
    proof.concludes(served.judgement, judge(promised, left, [taken.judgement.sweep]), taken.judgement)
    proof.measured("served once its label is gone, after", taken.took, "s")


def test_a_slice(world: World, services: Services, prober: Prober, proof: Proof) -> None:
    """Endpoints of a slice count until it has the label: then their Service has none, and clients are refused."""
    remote = world["remote"]

    def slices(service: Service) -> list[Object]:
        return [endpoints_by_hand(service, [address_of(remote)], *WEB)]

    with services.by_hand("listed", slices) as made:
        # Not by the endpoint itself: for a second after it was redirected to itself a node sends it no refusal.
        there, pods = [cluster_ip(made.served_by([remote]))], [world["client"], world["third"]]
        cells = every(pods, there, [tcp(80), udp(80)]) + every(world.nodes, there, [tcp(80)])
        counted = must_become(prober, all_of(cells, reached()))
        (found,) = (it["metadata"]["name"] for it in slices(made))
        world.api.patch(ENDPOINT_SLICE, found, {"metadata": {"labels": {HEADLESS: ""}}}, world.namespace)
        # Nodes alone until then: a node refuses each pod once a second, and itself as often as it asks.
        left = must_become(prober, all_of(every(world.nodes, there, [tcp(80)]), refused()))
        everywhere = prober.sweep(cells)

    proof.concludes(counted.judgement, left.judgement, judge(all_of(cells, refused()), everywhere))
    proof.measured("refused once its slice has the label, after", left.took, "s")
