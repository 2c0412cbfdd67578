"""In ipvs mode sets decide what is marked and masqueraded, and a ClusterIP gives nothing else of the node away.

    client, a pod ─→ 10.96.n.n:80             no mark: the endpoint sees the client
    node          ─→ 10.96.n.n:80             in KUBE-CLUSTER-IP, and no pod: 0x4000 ─→ MASQUERADE
    outside       ─→ 192.0.2.1:3nnnn          in KUBE-NODE-PORT-TCP:          0x4000 ─→ MASQUERADE
    client        ─→ 10.96.n.n:8080           the node listens there itself:  KUBE-IPVS-FILTER refuses

ClusterIPs are addresses of the node's own, so that whatever listens on all of its addresses would answer there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pytest

from clusters.model import KubeProxy
from clusters.proxy import IPTABLES, IPVS_SETS
from fixtures.bench.bench import GATEWAY, NODE_ADDRESS, PORT, Bench
from fixtures.faults.fault import fault
from fixtures.plugins.proof import Proof
from fixtures.probes.kube_proxy_rules import marked_and_masqueraded
from fixtures.probes.plan import address_of, every, virtual
from fixtures.probes.runner import Prober
from fixtures.probes.ways import tcp
from fixtures.verdicts.expectation import all_of, reached, refused
from fixtures.verdicts.judge import judge
from fixtures.verdicts.observation import Cell, Sweep
from fixtures.world.services import Service, ServiceSpec, ServiceType
from fixtures.world.ways_in import cluster_ip

pytestmark = [pytest.mark.claim("LVS-2"), pytest.mark.needs("ipvs", "ipset", "dummy", "conntrack")]

HERE = "proxy_bench/ipvs_marks"
CONNECTIONS = 9


@pytest.fixture(scope="module")
def mode() -> KubeProxy:
    """These are about ipvs."""
    return KubeProxy.IPVS


@dataclass(frozen=True)
class Marked:
    """The bench with one Service that has a node port."""

    bench: Bench
    service: Service

    def counted(self, prober: Prober, cells: Sequence[Cell]) -> tuple[Sweep, dict[str, int]]:
        """Ask, and see how many first packets were marked and masqueraded meanwhile."""
        nodes, node = self.bench.nodes, self.bench.node.endpoint
        before = nodes.rules(node)
        seen = prober.sweep(cells)
        return seen, marked_and_masqueraded(before, nodes.rules(node))


@pytest.fixture(scope="module")
def marked(bench: Bench) -> Iterator[Marked]:
    """The Service, once it is carried."""
    spec = ServiceSpec("marked", type=ServiceType.NODE_PORT, by_hand=True)
    with bench.services.standing(spec, bench.backends) as service:
        bench.carried(service)
        yield Marked(bench, service)


@fault(
    site="marked",
    reddens={f"{HERE}/from_a_pod": "client → service/marked"},
    spares=(f"{HERE}/by_node_port", f"{HERE}/other_ports"),
)
def pods_masqueraded_beside_ipvs(marked: Marked) -> Iterator[None]:
    """The node masquerades what its pods send to each other."""
    client = str(address_of(marked.bench.client.endpoint))
    with marked.bench.rule("nat", "POSTROUTING", "-s", client, "-j", "MASQUERADE"):
        yield


@fault(
    site="marked",
    reddens={
        f"{HERE}/from_the_node": "9 were marked and masqueraded",
        f"{HERE}/from_a_pod": "client → service/marked",
    },
    spares=(f"{HERE}/by_node_port",),
)
def service_lost_from_the_set(marked: Marked) -> Iterator[None]:
    """The set of ClusterIPs has lost the Service: nobody is marked for it, and kube-proxy's filter refuses all."""
    entry = (IPVS_SETS.by_address, f"{marked.service.cluster_ip},tcp:80")
    marked.bench.node.run("ipset", "del", *entry)
    yield
    marked.bench.node.run("ipset", "add", *entry)


@fault(
    site="marked",
    reddens={f"{HERE}/by_node_port": "outside → marked on node"},
    spares=(f"{HERE}/from_a_pod", f"{HERE}/other_ports"),
)
def mark_lost_after_ipvs(marked: Marked) -> Iterator[None]:
    """A rule of somebody else takes the mark off before packets are masqueraded for it."""
    with marked.bench.rule("mangle", "POSTROUTING", "-j", "MARK", "--set-xmark", f"0x0/{IPTABLES.mark:#x}"):
        yield


@fault(
    site="marked",
    reddens={f"{HERE}/other_ports": "client → other ports"},
    spares=(f"{HERE}/from_a_pod", f"{HERE}/by_node_port"),
)
def filter_forestalled(marked: Marked) -> Iterator[None]:
    """A rule of somebody else lets pods in before kube-proxy's filter is asked."""
    client = str(address_of(marked.bench.client.endpoint))
    with marked.bench.rule("filter", "INPUT", "-s", client, "-j", "ACCEPT"):
        yield


def test_from_a_pod(marked: Marked, lab_prober: Prober, proof: Proof) -> None:
    """ClusterIP asked by a pod: nothing is marked, and endpoints see the client."""
    client = marked.bench.client.endpoint
    cells = every([client], [cluster_ip(marked.service)], marked.bench.ways()[:1] * CONNECTIONS)

    seen, ends = marked.counted(lab_prober, cells)

    proof.concludes(judge(all_of(cells, reached(seen_as=[address_of(client)])), seen))
    proof.fact("none was marked", ends["marked"] == 0, ends)


def test_from_the_node(marked: Marked, lab_prober: Prober, proof: Proof) -> None:
    """ClusterIP asked by the node itself, which is no pod: marked, masqueraded, and seen as the node."""
    node = marked.bench.node.endpoint
    cells = every([node], [cluster_ip(marked.service)], marked.bench.ways()[:1] * CONNECTIONS)

    seen, ends = marked.counted(lab_prober, cells)

    both = {"marked": CONNECTIONS, "masqueraded": CONNECTIONS}
    proof.fact(f"{CONNECTIONS} were marked and masqueraded", ends == both, ends)
    proof.concludes(judge(all_of(cells, reached(seen_as=[GATEWAY])), seen))


def test_by_node_port(marked: Marked, lab_prober: Prober, proof: Proof) -> None:
    """NodePort asked from outside: marked, masqueraded, and seen as the node."""
    bench, service = marked.bench, marked.service
    ways = [tcp(service.node_port("tcp"), timeout=bench.lab.engine.patience)] * CONNECTIONS
    cells = every([bench.outside.endpoint], [bench.door(service)], ways)

    seen, ends = marked.counted(lab_prober, cells)

    proof.concludes(judge(all_of(cells, reached(seen_as=[GATEWAY])), seen))
    both = {"marked": CONNECTIONS, "masqueraded": CONNECTIONS}
    proof.fact(f"{CONNECTIONS} were marked and masqueraded", ends == both, ends)


def test_other_ports(marked: Marked, lab_prober: Prober, proof: Proof) -> None:
    """A port that the node listens on, and the Service has not: refused at the ClusterIP, answered at the node."""
    bench, node = marked.bench, marked.bench.node.endpoint
    closed = every(
        [bench.client.endpoint], [virtual("other ports", marked.service.cluster_ip, [node])], bench.ways(PORT)
    )
    open_ = every([bench.client.endpoint], [virtual("node", NODE_ADDRESS, [node])], bench.ways(PORT))

    seen = lab_prober.sweep([*closed, *open_])

    proof.concludes(judge(all_of(closed, refused()) | all_of(open_, reached()), seen))
