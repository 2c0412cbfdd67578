"""kube-proxy carries Services in each of its modes, by what this mode lays into the kernel and by nothing else.

    client 10.244.0.10 ────────── node ──┬── one   10.244.0.21
                        kube-proxy ‹mode› ├── two   10.244.0.22
    outside 192.0.2.200 ── 192.0.2.1 ────┴── three 10.244.0.23

There is no CNI and no kubelet here: what fails is kube-proxy, or the kernel under it. It fails where an endpoint
is left out or one that is gone is kept, where the mark for masquerade is lost, and where kube-proxy stands still.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from clusters.model import KubeProxy
from clusters.proxy import IPTABLES
from fixtures.bench.bench import GATEWAY, Bench
from fixtures.faults.fault import fault
from fixtures.plugins.proof import Proof
from fixtures.probes.connections import listed
from fixtures.probes.plan import address_of, every
from fixtures.probes.runner import Prober
from fixtures.probes.spread import must_spread
from fixtures.probes.ways import tcp
from fixtures.verdicts.expectation import all_of, reached, refused
from fixtures.verdicts.judge import judge
from fixtures.verdicts.observation import Cell
from fixtures.verdicts.spread import shares
from fixtures.world.services import Service, ServiceSpec, ServiceType
from fixtures.world.ways_in import by_node_port, cluster_ip

HERE = "proxy_bench/services"
FOLLOWS = 20
"""So many times the patience of a probe kube-proxy may take to follow."""
ALL = frozenset({"one", "two", "three"})


@dataclass(frozen=True)
class Carried:
    """The bench with a Service that all three answer, with a node port, and one that nobody answers."""

    bench: Bench
    web: Service
    empty: Service

    @property
    def doors(self) -> tuple[Cell, ...]:
        """The host outside asks the node port by TCP and UDP."""
        ways = by_node_port(self.web, self.bench.lab.engine.patience)
        return every([self.bench.outside.endpoint], [self.bench.door(self.web)], ways * 4)


@pytest.fixture(scope="module")
def carried(bench: Bench) -> Iterator[Carried]:
    """Both Services, once one of them is answered."""
    spec = ServiceSpec("web", type=ServiceType.NODE_PORT, by_hand=True)
    with (
        bench.services.standing(ServiceSpec("empty", by_hand=True)) as empty,
        bench.services.standing(spec, bench.backends) as web,
    ):
        bench.carried(web)
        yield Carried(bench, web, empty)


@fault(
    site="carried",
    reddens={f"{HERE}/mode": "kube-proxy says that it is in mode", f"{HERE}/follows": "one is alone"},
    spares=(f"{HERE}/every_endpoint", f"{HERE}/by_node_port", f"{HERE}/without_endpoints"),
)
def stands_still(carried: Carried) -> Iterator[None]:
    """kube-proxy stands still; what it has written is in the kernel."""
    with carried.bench.proxy.still():
        yield


@fault(
    site="carried",
    reddens={f"{HERE}/every_endpoint": "client → service/web", f"{HERE}/translation": "client → service/web"},
    spares=(f"{HERE}/mode", f"{HERE}/by_node_port", f"{HERE}/without_endpoints"),
)
def pods_masqueraded(carried: Carried) -> Iterator[None]:
    """The node masquerades what its pods send to each other."""
    client = str(address_of(carried.bench.client.endpoint))
    with carried.bench.rule("nat", "POSTROUTING", "-s", client, "-j", "MASQUERADE"):
        yield


@fault(
    site="carried",
    reddens={f"{HERE}/by_node_port": "outside → web on node"},
    spares=(f"{HERE}/every_endpoint", f"{HERE}/mode"),
)
def mark_lost(carried: Carried) -> Iterator[None]:
    """A rule of somebody else takes the mark off before packets are masqueraded for it."""
    with carried.bench.rule("mangle", "POSTROUTING", "-j", "MARK", "--set-xmark", f"0x0/{IPTABLES.mark:#x}"):
        yield


@fault(
    site="carried",
    reddens={f"{HERE}/itself": "one → service/web"},
    spares=(f"{HERE}/every_endpoint", f"{HERE}/by_node_port"),
)
def no_way_back_to_oneself(carried: Carried) -> Iterator[None]:
    """The node drops what would go back to the pod that it came from."""
    one = str(address_of(carried.bench.one.endpoint))
    with carried.bench.rule("mangle", "POSTROUTING", "-s", one, "-o", "to-one", "-j", "DROP"):
        yield


@fault(
    site="carried",
    reddens={f"{HERE}/without_endpoints": "client → service/empty"},
    spares=(f"{HERE}/every_endpoint", f"{HERE}/mode"),
)
def swallowed(carried: Carried) -> Iterator[None]:
    """The node drops what is for the Service without endpoints before kube-proxy's rules see it."""
    with carried.bench.rule("mangle", "PREROUTING", "-d", str(carried.empty.cluster_ip), "-j", "DROP"):
        yield


@pytest.mark.usefixtures("carried")
def test_mode(bench: Bench, mode: KubeProxy, proof: Proof) -> None:
    """kube-proxy says of itself which mode it is in; what that mode lays is there, and nothing of another."""
    said, found = bench.proxy.mode(), bench.laid()

    proof.draws({"mode": said or "says nothing"})
    proof.fact(f"kube-proxy says that it is in mode {mode}", said == mode.value, said or "nothing")
    there = [name for name, things in found.items() if things]
    proof.fact(f"what is laid is of {mode} alone", there == [mode], found)


@pytest.mark.claim("SVC-1")
def test_every_endpoint(carried: Carried, lab_prober: Prober, proof: Proof) -> None:
    """30 requests by TCP, 30 by UDP: all three answer and nobody else, and each sees the client itself."""
    cells = carried.bench.asked(cluster_ip(carried.web), 30)

    seen = lab_prober.sweep(cells)

    client = address_of(carried.bench.client.endpoint)
    proof.concludes(judge(all_of(cells, reached(seen_as=[client])), seen))
    proof.fact("all three answer", set(shares(seen)) == ALL, shares(seen))


@pytest.mark.claim("SVC-2")
def test_itself(carried: Carried, lab_prober: Prober, proof: Proof) -> None:
    """An endpoint asks its own Service: the others see it as itself, and where it asks itself it sees the node."""
    one = carried.bench.one
    cells = carried.bench.asked(cluster_ip(carried.web), 30, of=one)

    seen = lab_prober.sweep(cells)

    proof.concludes(judge(all_of(cells, reached()), seen))
    by = {(it.answered_by, str(it.seen_as[0])) for it in seen if it.seen_as}
    own = {("one", str(GATEWAY))}
    proof.fact("it asks itself as the node", {it for it in by if it[0] == "one"} == own, sorted(by))
    others = {(name, str(address_of(one.endpoint))) for name in ("two", "three")}
    proof.fact("it asks the others as itself", by - own == others, sorted(by))


@pytest.mark.claim("EXT-1")
def test_by_node_port(carried: Carried, lab_prober: Prober, proof: Proof) -> None:
    """NodePort asked from outside by TCP and UDP: answered, and endpoints see the node."""
    cells = carried.doors

    seen = lab_prober.sweep(cells)

    proof.concludes(judge(all_of(cells, reached(seen_as=[GATEWAY])), seen))


@pytest.mark.claim("SVC-2")
def test_without_endpoints(carried: Carried, lab_prober: Prober, proof: Proof) -> None:
    """A Service that nobody answers: refused at once, by TCP and by UDP."""
    cells = carried.bench.asked(cluster_ip(carried.empty), 3)

    seen = lab_prober.sweep(cells)

    proof.concludes(judge(all_of(cells, refused()), seen))


@pytest.mark.claim("LVS-4")
def test_translation(carried: Carried, lab_prober: Prober, proof: Proof) -> None:
    """conntrack: a pod's ClusterIP becomes an endpoint; by node port the source becomes the node besides."""
    bench, web = carried.bench, carried.web
    pods, doors = bench.asked(cluster_ip(web), 3), carried.doors

    seen = lab_prober.sweep([*pods, *doors])

    client = address_of(bench.client.endpoint)
    promise = all_of(pods, reached(seen_as=[client])) | all_of(doors, reached(seen_as=[GATEWAY]))
    proof.concludes(judge(promise, seen))
    for cells, keeps in ((pods, True), (doors, False)):
        wanted = frozenset(cells)
        known = bench.nodes.remembered(bench.node.endpoint, [it for it in seen if it.cell in wanted])
        right = [it for it in known if it.keeps_source is keeps and it.answered.source != it.asked.destination]
        said = "keeps" if keeps else "changes"
        proof.fact(f"each is translated, and {said} its source", len(right) == len(cells), listed([known]))


@pytest.mark.claim("SVC-1")
def test_follows(bench: Bench, lab_prober: Prober, proof: Proof) -> None:
    """Endpoints come and go: one, all three, another one; those answer and nobody else, within seconds."""
    one, two, three = bench.backends
    # In a slow kernel kube-proxy writes for many seconds: it starts a process for each table and each set.
    web, within = tcp(80, timeout=bench.lab.engine.patience), FOLLOWS * bench.lab.engine.patience
    sources = [bench.client.endpoint]

    with bench.standing(ServiceSpec("follows", by_hand=True), [one]) as service:
        for said, ends in (("one is alone", [one]), ("three more join", [one, two, three]), ("two stays", [two])):
            now = bench.services.answered_by(service, ends)
            spread = must_spread(lab_prober, sources, cluster_ip(now), web, within=within)
            proof.fact(said, spread.complete, spread.answered)
            proof.measured(said, spread.took, "s")
