"""In iptables mode each first packet takes kube-proxy's steps: their counters rise with each connection.

    client, a pod                        ─→ KUBE-SERVICES ─→ KUBE-SVC-… ─→ KUBE-SEP-… ─ DNAT ─→ 10.244.0.2n:8080
    outside ─ 192.0.2.1:3nnnn ─→ KUBE-NODEPORTS ─→ KUBE-EXT-… ─ 0x4000 ─→ KUBE-SVC-… ─→ … ─ MASQUERADE

The same is asked of clusters, where a CNI has rules of its own. A counter that rises less was bypassed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from clusters.model import KubeProxy
from clusters.proxy import IPTABLES
from fixtures.bench.bench import PORT, Bench
from fixtures.faults.fault import fault
from fixtures.plugins.proof import Proof
from fixtures.probes.plan import address_of, every
from fixtures.probes.runner import Prober
from fixtures.probes.ways import tcp
from fixtures.verdicts.expectation import all_of, reached
from fixtures.verdicts.judge import judge
from fixtures.world.services import Service, ServiceSpec, ServiceType
from fixtures.world.ways_in import cluster_ip

pytestmark = [pytest.mark.claim("LVS-1"), pytest.mark.needs("conntrack")]

HERE = "proxy_bench/iptables_chains"
CONNECTIONS = 10


@pytest.fixture(scope="module")
def mode() -> KubeProxy:
    """These are about iptables."""
    return KubeProxy.IPTABLES


@dataclass(frozen=True)
class Chained:
    """The bench with one Service that has a node port."""

    bench: Bench
    service: Service


@pytest.fixture(scope="module")
def chained(bench: Bench) -> Iterator[Chained]:
    """The Service, once it is carried."""
    spec = ServiceSpec("chained", type=ServiceType.NODE_PORT, by_hand=True)
    with bench.services.standing(spec, bench.backends) as service:
        bench.carried(service)
        yield Chained(bench, service)


@fault(
    site="chained",
    reddens={f"{HERE}/from_a_pod": "ten packets took each step"},
    spares=(f"{HERE}/by_node_port",),
)
def chains_forestalled(chained: Chained) -> Iterator[None]:
    """A rule of somebody else turns the client to an endpoint before kube-proxy's rules are asked."""
    rule = (
        "-s",
        str(address_of(chained.bench.client.endpoint)),
        "-d",
        str(chained.service.cluster_ip),
        "-p",
        "tcp",
    )
    turned = (*rule, "-j", "DNAT", "--to-destination", f"{address_of(chained.bench.one.endpoint)}:{PORT}")
    chained.bench.iptables("-t", "nat", "-I", "PREROUTING", *turned)
    yield
    chained.bench.iptables("-t", "nat", "-D", "PREROUTING", *turned)


@fault(
    site="chained",
    reddens={f"{HERE}/by_node_port": "0x4000 was set and led to MASQUERADE"},
    spares=(f"{HERE}/from_a_pod",),
)
def mark_lost_after_the_chains(chained: Chained) -> Iterator[None]:
    """A rule of somebody else takes the mark off before packets are masqueraded for it."""
    rule = ("POSTROUTING", "-j", "MARK", "--set-xmark", f"0x0/{IPTABLES.mark:#x}")
    chained.bench.iptables("-t", "mangle", "-I", *rule)
    yield
    chained.bench.iptables("-t", "mangle", "-D", *rule)


def test_from_a_pod(chained: Chained, lab_prober: Prober, proof: Proof) -> None:
    """ClusterIP asked by a pod: the Service's chain, an endpoint's chain, and no mark for masquerade."""
    bench, service = chained.bench, chained.service
    ways = [tcp(80, timeout=bench.lab.engine.patience)] * CONNECTIONS
    cells = every([bench.client.endpoint], [cluster_ip(service)], ways)

    counted = bench.nodes.counted(bench.node.endpoint, service.label("tcp"), lambda: lab_prober.sweep(cells))

    proof.concludes(judge(all_of(cells, reached()), counted.seen))
    hit = counted.steps
    wanted = dict.fromkeys(IPTABLES.from_a_pod, CONNECTIONS)
    proof.fact("ten packets took each step, none was marked", hit == wanted, hit)


def test_by_node_port(chained: Chained, lab_prober: Prober, proof: Proof) -> None:
    """NodePort asked from outside: through the chain for external traffic, marked and masqueraded."""
    bench, service = chained.bench, chained.service
    ways = [tcp(service.node_port("tcp"), timeout=bench.lab.engine.patience)] * CONNECTIONS
    cells = every([bench.outside.endpoint], [bench.door(service)], ways)

    counted = bench.nodes.counted(bench.node.endpoint, service.label("tcp"), lambda: lab_prober.sweep(cells))

    proof.concludes(judge(all_of(cells, reached()), counted.seen))
    hit, ends = counted.steps, counted.masquerade
    wanted = dict.fromkeys(IPTABLES.by_node_port, CONNECTIONS)
    proof.fact("ten packets took each step and the mark", hit == wanted, hit)
    proof.fact("0x4000 was set and led to MASQUERADE", min(ends.values()) >= CONNECTIONS, ends)
