"""In nftables mode kube-proxy's maps hold each way to a Service, and lead to its endpoints and to nobody else.

    table ip kube-proxy
      map service-ips        10.96.n.n . tcp . 80 : goto service-…   ─→ endpoint-… ─ dnat to 10.244.0.2n:8080
      map service-nodeports  tcp . 3nnnn          : goto external-…  ─→ service-…

The same is asked of clusters. It fails where an element is missing, or leads to an endpoint that has gone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from clusters.model import KubeProxy
from clusters.proxy import NFTABLES
from fixtures.bench.bench import PORT, Bench
from fixtures.faults.fault import fault
from fixtures.plugins.proof import Proof
from fixtures.probes.plan import address_of
from fixtures.world.services import Service, ServiceSpec, ServiceType

pytestmark = [pytest.mark.claim("LVS-3"), pytest.mark.needs("nftables", "conntrack")]

HERE = "proxy_bench/nftables_maps"
WAYS = ("tcp", "udp")


@pytest.fixture(scope="module")
def mode() -> KubeProxy:
    """These are about nftables."""
    return KubeProxy.NFTABLES


@dataclass(frozen=True)
class Mapped:
    """The bench with one Service that has a node port."""

    bench: Bench
    service: Service

    @property
    def ends(self) -> frozenset[str]:
        """Its endpoints, as the maps have them."""
        return frozenset(f"{address_of(one)}:{PORT}" for one in self.bench.backends)

    @contextmanager
    def lost(self, name: str, key: tuple[str | int, ...]) -> Iterator[None]:
        """One element of a map is gone while a block lasts."""
        chain = self.bench.nodes.maps(self.bench.node.endpoint).maps[name][key]
        words, element = ("element", "ip", NFTABLES.table, name), " . ".join(map(str, key))
        self.bench.node.run("nft", "delete", *words, f"{{ {element} }}")
        try:
            yield
        finally:
            self.bench.node.run("nft", "add", *words, f"{{ {element} : goto {chain} }}")


@pytest.fixture(scope="module")
def mapped(bench: Bench) -> Iterator[Mapped]:
    """The Service, once it is carried."""
    spec = ServiceSpec("mapped", type=ServiceType.NODE_PORT, by_hand=True)
    with bench.services.standing(spec, bench.backends) as service:
        bench.carried(service)
        yield Mapped(bench, service)


@fault(
    site="mapped",
    reddens={f"{HERE}/by_address": "the map of addresses leads to the endpoints"},
    spares=(f"{HERE}/by_node_port",),
)
def address_lost_from_the_map(mapped: Mapped) -> Iterator[None]:
    """The map of addresses has lost the Service by TCP."""
    with mapped.lost(NFTABLES.by_address, (str(mapped.service.cluster_ip), "tcp", 80)):
        yield


@fault(
    site="mapped",
    reddens={f"{HERE}/by_node_port": "the map of node ports leads to the endpoints"},
    spares=(f"{HERE}/by_address",),
)
def node_port_lost_from_the_map(mapped: Mapped) -> Iterator[None]:
    """The map of node ports has lost the Service by UDP."""
    with mapped.lost(NFTABLES.by_node_port, ("udp", mapped.service.node_port("udp"))):
        yield


def test_by_address(mapped: Mapped, proof: Proof) -> None:
    """ClusterIP, protocol and port lead to all endpoints and to no other."""
    maps = mapped.bench.nodes.maps(mapped.bench.node.endpoint)

    held = {way: maps.endpoints(str(mapped.service.cluster_ip), way, 80) for way in WAYS}
    proof.fact("the map of addresses leads to the endpoints", set(held.values()) == {mapped.ends}, held)


def test_by_node_port(mapped: Mapped, proof: Proof) -> None:
    """Protocol and node port lead to all endpoints and to no other."""
    maps = mapped.bench.nodes.maps(mapped.bench.node.endpoint)

    held = {way: maps.endpoints_of_node_port(way, mapped.service.node_port(way)) for way in WAYS}
    proof.fact("the map of node ports leads to the endpoints", set(held.values()) == {mapped.ends}, held)
