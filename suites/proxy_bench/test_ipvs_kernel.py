"""In ipvs mode the kernel holds just what the API server says: addresses, virtual servers, and sets beside them.

    kube-ipvs0   ‹addresses›
    ipvsadm      10.96.n.n:80, 192.0.2.1:3nnnn   rr   ─ Masq, weight 1 ─→ 10.244.0.21:8080, 22:8080, 23:8080
    ipset        KUBE-CLUSTER-IP 10.96.n.n,tcp:80 …   KUBE-NODE-PORT-TCP 3nnnn   KUBE-LOOP-BACK …

It fails where one of these is missing, or is left of a Service that is gone: the node then holds an address that
is nobody's, or hands packets to whoever has got the endpoint's address since.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from clusters.model import KubeProxy
from clusters.proxy import IPVS_LINK, IPVS_SETS
from fixtures.bench.bench import NODE_ADDRESS, PORT, Bench
from fixtures.faults.fault import fault
from fixtures.faults.lab_levers import configured
from fixtures.plugins.proof import Proof
from fixtures.probes.kube_proxy_servers import RealServer, Virtual
from fixtures.probes.plan import address_of
from fixtures.world.services import Service, ServiceSpec, ServiceType

pytestmark = [pytest.mark.claim("LVS-2"), pytest.mark.needs("ipvs", "ipset", "dummy", "conntrack")]

HERE = "proxy_bench/ipvs_kernel"
WAYS = ("tcp", "udp")
NODE_PORTS = (IPVS_SETS.by_node_port_tcp, IPVS_SETS.by_node_port_udp)
"""The set of either."""


@pytest.fixture(scope="module")
def mode() -> KubeProxy:
    """These are about ipvs."""
    return KubeProxy.IPVS


@dataclass(frozen=True)
class Laid:
    """The bench with three Services: with a node port, with clients that are kept, without endpoints."""

    bench: Bench
    web: Service
    sticky: Service
    empty: Service

    @property
    def services(self) -> tuple[Service, ...]:
        """All of them."""
        return self.web, self.sticky, self.empty

    @property
    def reals(self) -> frozenset[RealServer]:
        """All three, as a virtual server has them."""
        addresses = [address_of(one) for one in self.bench.backends]
        return frozenset(RealServer(f"{address}:{PORT}", "Masq", 1) for address in addresses)

    def edited(self, *words: str) -> None:
        """Change the virtual server of `web` by TCP."""
        self.bench.node.run("ipvsadm", *words[:1], "-t", f"{self.web.cluster_ip}:80", *words[1:])


@pytest.fixture(scope="module")
def laid(bench: Bench) -> Iterator[Laid]:
    """The Services, once they are carried."""
    make = bench.services.standing
    with (
        make(ServiceSpec("web", type=ServiceType.NODE_PORT, by_hand=True), bench.backends) as web,
        make(ServiceSpec("sticky", affinity=True, by_hand=True), bench.backends) as sticky,
        make(ServiceSpec("empty", by_hand=True)) as empty,
    ):
        bench.carried(web, sticky)
        yield Laid(bench, web, sticky, empty)


@fault(
    site="laid",
    reddens={f"{HERE}/addresses": "kube-ipvs0 has every ClusterIP and no other address"},
    spares=(f"{HERE}/virtual_servers", f"{HERE}/sets"),
)
def address_lost_from_the_link(laid: Laid) -> Iterator[None]:
    """kube-ipvs0 has lost the address of a Service."""
    line = f"{laid.web.cluster_ip}/32 dev {IPVS_LINK}"
    with configured(laid.bench.node, [f"address delete {line}"], [f"address add {line}"]):
        yield


@fault(
    site="laid",
    reddens={f"{HERE}/addresses": "kube-ipvs0 has every ClusterIP and no other address"},
    spares=(f"{HERE}/virtual_servers",),
)
def address_of_nobody(laid: Laid) -> Iterator[None]:
    """kube-ipvs0 has an address that no Service has any more."""
    line = f"10.96.255.254/32 dev {IPVS_LINK}"
    with configured(laid.bench.node, [f"address add {line}"], [f"address delete {line}"]):
        yield


@fault(
    site="laid",
    reddens={f"{HERE}/virtual_servers": "each way to a Service is a virtual server with its real ones"},
    spares=(f"{HERE}/addresses", f"{HERE}/sets"),
)
def real_server_lost(laid: Laid) -> Iterator[None]:
    """The virtual server of a Service has lost the real server `two`."""
    real = f"{address_of(laid.bench.two.endpoint)}:{PORT}"
    laid.edited("-d", "-r", real)
    yield
    laid.edited("-a", "-r", real, "-m", "-w", "1")


@fault(
    site="laid",
    reddens={f"{HERE}/virtual_servers": "each way to a Service is a virtual server with its real ones"},
    spares=(f"{HERE}/addresses", f"{HERE}/sets"),
)
def another_scheduler(laid: Laid) -> Iterator[None]:
    """The virtual server of a Service chooses by least connections."""
    laid.edited("-E", "-s", "lc")
    yield
    laid.edited("-E", "-s", "rr")


@fault(
    site="laid",
    reddens={f"{HERE}/sets": "the set of ClusterIPs has each way to a Service"},
    spares=(f"{HERE}/addresses", f"{HERE}/virtual_servers"),
)
def way_lost_from_the_set(laid: Laid) -> Iterator[None]:
    """The set of ClusterIPs has lost a Service, whose clients kube-proxy's own filter then refuses."""
    entry = (IPVS_SETS.by_address, f"{laid.web.cluster_ip},tcp:80")
    laid.bench.node.run("ipset", "del", *entry)
    yield
    laid.bench.node.run("ipset", "add", *entry)


@fault(
    site="laid",
    reddens={f"{HERE}/sets": "the sets of node ports have those of the Service alone"},
    spares=(f"{HERE}/addresses", f"{HERE}/virtual_servers"),
)
def node_port_lost_from_the_set(laid: Laid) -> Iterator[None]:
    """The set of node ports by UDP is empty."""
    entry = (IPVS_SETS.by_node_port_udp, str(laid.web.node_port("udp")))
    laid.bench.node.run("ipset", "del", *entry)
    yield
    laid.bench.node.run("ipset", "add", *entry)


def test_addresses(laid: Laid, proof: Proof) -> None:
    """kube-ipvs0 has the ClusterIP of every Service, also of one without endpoints, and no other address."""
    wanted, found = laid.bench.services.addresses(), laid.bench.held(IPVS_LINK)

    proof.draws({"addresses": ", ".join(map(str, sorted(found)))})
    proof.fact("kube-ipvs0 has every ClusterIP and no other address", found == wanted, sorted(found))


def test_virtual_servers(laid: Laid, proof: Proof) -> None:
    """ipvsadm: one for each way to a Service, with its real servers by NAT, weight 1, round robin, persistence."""
    found = laid.bench.servers()

    web, plain = laid.web, Virtual("rr", 0, laid.reals)
    wanted = {(way, f"{web.cluster_ip}:80"): plain for way in WAYS}
    wanted |= {(way, f"{NODE_ADDRESS}:{web.node_port(way)}"): plain for way in WAYS}
    wanted |= {(way, f"{laid.sticky.cluster_ip}:80"): Virtual("rr", 10800, laid.reals) for way in WAYS}
    wanted |= {(way, f"{laid.empty.cluster_ip}:80"): Virtual("rr", 0, frozenset()) for way in WAYS}
    seen = {key: found.get(key) for key in wanted}
    proof.fact("each way to a Service is a virtual server with its real ones", seen == wanted, seen)
    addresses = {address.rpartition(":")[0] for _, address in found}
    known = {str(address) for address in (*laid.bench.services.addresses(), *laid.bench.own())}
    proof.fact("no virtual server is at an address of anybody else", addresses <= known, sorted(addresses - known))


def test_sets(laid: Laid, proof: Proof) -> None:
    """ipset: ways to Services by address and by node port, and the node's endpoints, which may ask themselves."""
    found = laid.bench.sets()

    ways = {f"{service.cluster_ip},{way}:80" for service in laid.services for way in WAYS}
    by_address = found[IPVS_SETS.by_address]
    proof.fact("the set of ClusterIPs has each way to a Service", ways <= by_address, sorted(by_address))
    ports = {way: found[name] for way, name in zip(WAYS, NODE_PORTS, strict=True)}
    wanted = {way: frozenset({str(laid.web.node_port(way))}) for way in WAYS}
    proof.fact("the sets of node ports have those of the Service alone", ports == wanted, ports)
    reals = {(address_of(one), way) for one in laid.bench.backends for way in WAYS}
    own = {f"{address},{way}:{PORT},{address}" for address, way in reals}
    hairpin = found[IPVS_SETS.hairpin]
    proof.fact("the set for who asks itself has each endpoint", hairpin == own, sorted(hairpin))
