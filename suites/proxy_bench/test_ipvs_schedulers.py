"""kube-proxy's setting `ipvs.scheduler` is the kernel's scheduler, and each chooses as its name says.

    client 10.244.0.10, 32 to 37 ── ClusterIP 10.96.n.n, rr | wrr | lc | sh ──┬── one   10.244.0.21   weight 1
                                                                              ├── two   10.244.0.22   weight 1
                                                                              └── three 10.244.0.23   weight 1

kube-proxy gives every endpoint the same weight, so that wrr has nothing to weigh and does as rr. It fails where
kube-proxy passes another scheduler on than it was told, or leaves virtual servers with the one from before.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address

import pytest

from clusters.model import KubeProxy
from fixtures.bench.bench import ADDRESSES, GATEWAY, PORT, Bench
from fixtures.bench.kube_proxy import Settings
from fixtures.endpoints.inside import routed
from fixtures.faults.fault import fault
from fixtures.lab.ipvs import Scheduler, afresh
from fixtures.plugins.proof import Proof
from fixtures.probes.held import held
from fixtures.probes.plan import every
from fixtures.probes.runner import Prober
from fixtures.verdicts.expectation import all_of, reached
from fixtures.verdicts.judge import judge
from fixtures.verdicts.observation import Cell, Protocol
from fixtures.verdicts.spread import shares, shares_in_words
from fixtures.world.services import Service, ServiceSpec
from fixtures.world.ways_in import cluster_ip

pytestmark = [pytest.mark.claim("LVS-2"), pytest.mark.needs("ipvs", "ipset", "dummy", "conntrack")]

HERE = "proxy_bench/ipvs_schedulers"
MORE = [IPv4Address("10.244.0.32") + number for number in range(6)]
"""Further addresses of the client, each a client of its own to the kernel."""


@pytest.fixture(scope="module")
def mode() -> KubeProxy:
    """These are about ipvs."""
    return KubeProxy.IPVS


@dataclass(frozen=True)
class Scheduled:
    """The bench with one Service, and whom it was started with to choose by."""

    bench: Bench
    service: Service

    def by(self, scheduler: Scheduler) -> None:
        """Have kube-proxy choose so from now on; round robin is what it does untold."""
        told = {} if scheduler is Scheduler.ROUND_ROBIN else {"scheduler": scheduler.value}
        self.bench.proxy.run(Settings(KubeProxy.IPVS, told))
        self.bench.carried(self.service)

    @contextmanager
    def forestalled(self, way: str) -> Iterator[None]:
        """What is for the Service by that protocol goes to one endpoint, past IPVS, while a block lasts."""
        turned = (
            "-d",
            str(self.service.cluster_ip),
            "-p",
            way,
            "-j",
            "DNAT",
            "--to",
            f"{ADDRESSES['one']}:{PORT}",
        )
        self.bench.iptables("-t", "nat", "-I", "PREROUTING", *turned)
        try:
            yield
        finally:
            self.bench.iptables("-t", "nat", "-D", "PREROUTING", *turned)

    def told(self) -> set[str]:
        """By what the kernel's virtual servers choose."""
        return {virtual.scheduler for virtual in self.bench.servers().values()}

    def cells(self, times: int) -> tuple[Cell, ...]:
        """The client asks so many times by TCP and by UDP, each for the kernel to choose anew."""
        ways = afresh(self.bench.ways() * times)
        return every([self.bench.client.endpoint], [cluster_ip(self.service)], ways)


@pytest.fixture(scope="module")
def scheduled(bench: Bench) -> Iterator[Scheduled]:
    """The Service, and more addresses of the client."""
    with bench.services.standing(ServiceSpec("scheduled", by_hand=True), bench.backends) as service:
        bench.carried(service)
        bench.client.configure(*(f"address add {address}/32 dev eth0" for address in MORE))
        bench.node.configure(*(f"route add {address} dev to-client" for address in MORE))
        yield Scheduled(bench, service)
        bench.node.configure(*(f"route delete {address} dev to-client" for address in MORE))
        bench.client.configure(*(f"address delete {address}/32 dev eth0" for address in MORE))


@pytest.fixture
def restored(scheduled: Scheduled) -> Iterator[None]:
    """After a check kube-proxy is as it was before."""
    yield
    scheduled.by(Scheduler.ROUND_ROBIN)


@fault(
    site="scheduled",
    reddens={
        f"{HERE}/in_turn": "each endpoint answers 16",
        f"{HERE}/least_connections": "each endpoint has three of nine",
    },
    spares=(f"{HERE}/source_hash",),
)
def tcp_forestalled(scheduled: Scheduled) -> Iterator[None]:
    """A rule of somebody else turns clients by TCP to one endpoint before IPVS is asked."""
    with scheduled.forestalled("tcp"):
        yield


@fault(
    site="scheduled",
    reddens={f"{HERE}/in_turn": "each endpoint answers 16", f"{HERE}/source_hash": "not all have the same"},
    spares=(f"{HERE}/least_connections",),
)
def udp_forestalled(scheduled: Scheduled) -> Iterator[None]:
    """A rule of somebody else turns clients by UDP to one endpoint before IPVS is asked."""
    with scheduled.forestalled("udp"):
        yield


@pytest.mark.parametrize("scheduler", [Scheduler.ROUND_ROBIN, Scheduler.WEIGHTED], ids=str)
@pytest.mark.usefixtures("restored")
def test_in_turn(scheduled: Scheduled, scheduler: Scheduler, lab_prober: Prober, proof: Proof) -> None:
    """rr, and wrr with equal weights: of 24 requests by TCP and 24 by UDP each endpoint answers 16."""
    scheduled.by(scheduler)
    cells = scheduled.cells(24)

    seen = lab_prober.sweep(cells)

    proof.concludes(judge(all_of(cells, reached()), seen))
    told = scheduled.told()
    proof.fact(f"every virtual server chooses by {scheduler}", told == {scheduler.value}, told)
    equal = {"one": 16, "two": 16, "three": 16}
    proof.fact("each endpoint answers 16", shares(seen) == equal, shares_in_words(shares(seen)))


@pytest.mark.usefixtures("restored")
def test_least_connections(scheduled: Scheduled, proof: Proof) -> None:
    """lc: connections are opened one after the other and held; each endpoint gets the same number of them."""
    scheduled.by(Scheduler.LEAST_CONNECTIONS)
    bench, patience = scheduled.bench, scheduled.bench.lab.engine.patience

    with held(bench.client.endpoint, cluster_ip(scheduled.service), 80, 9, patience=9 * patience) as connections:
        answered = connections.answered_by()

    told = scheduled.told()
    proof.fact("every virtual server chooses by lc", told == {Scheduler.LEAST_CONNECTIONS.value}, told)
    counted = {name: answered.count(name) for name in ("one", "two", "three")}
    proof.fact("each endpoint has three of nine", set(counted.values()) == {3}, counted)


@pytest.mark.usefixtures("restored")
def test_source_hash(scheduled: Scheduled, lab_prober: Prober, proof: Proof) -> None:
    """sh: six addresses of the client, 4 requests by UDP from each: each has one endpoint, not all the same.

    By TCP the same client may have another: kube-proxy gives virtual servers their real ones in any order, and the
    hash goes by their places.
    """
    scheduled.by(Scheduler.SOURCE_HASH)
    bench, found = scheduled.bench, {}

    for address in MORE:
        cells = [cell for cell in scheduled.cells(4) if cell.probe.protocol is Protocol.UDP]
        target = (str(scheduled.service.cluster_ip), "via", str(GATEWAY), "src", str(address))
        with routed(bench.lab.conversations, bench.client.endpoint, *target):
            seen = lab_prober.sweep(cells)
        proof.concludes(judge(all_of(cells, reached(seen_as=[address])), seen))
        found[str(address)] = shares(seen)

    told = scheduled.told()
    proof.fact("every virtual server chooses by sh", told == {Scheduler.SOURCE_HASH.value}, told)
    proof.fact("each client has one endpoint", all(len(it) == 1 for it in found.values()), found)
    who = {name for it in found.values() for name in it}
    proof.fact("not all have the same", len(who) > 1, found)
