"""Who says by ARP that a ClusterIP is at the node: with `ipvs.strictARP` nobody, without it the node does.

    outside 192.0.2.200 ── who has 10.96.n.n? ── eth1 node ── kube-ipvs0 10.96.n.n

The ClusterIPs are the node's own addresses in this mode, and Linux answers for any address of its own on any link.
MetalLB in its L2 mode needs the strict way: else every node answers for a load balancer's address, and not the one
that was chosen. It fails where the setting is not heeded, or where the node then answers for nothing at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address

import pytest

from clusters.model import KubeProxy
from fixtures.bench.bench import NODE_ADDRESS, OUTSIDE, Bench
from fixtures.bench.kube_proxy import Settings
from fixtures.faults.fault import fault
from fixtures.faults.lab_levers import configured
from fixtures.plugins.proof import Proof
from fixtures.world.services import Service, ServiceSpec

pytestmark = [pytest.mark.claim("LVS-2"), pytest.mark.needs("ipvs", "ipset", "dummy", "conntrack")]

HERE = "proxy_bench/ipvs_arp"
LISTENS = 2.0
"""Seconds that the host outside listens for answers."""


@pytest.fixture(scope="module")
def mode() -> KubeProxy:
    """These are about ipvs."""
    return KubeProxy.IPVS


@dataclass(frozen=True)
class Asked:
    """The bench with one Service, and a host outside that asks by ARP."""

    bench: Bench
    service: Service

    def answers(self, address: IPv4Address) -> list[str]:
        """The hardware addresses that say they have it."""
        words = ("python3", "-m", "agent", "who-has", "eth0", str(address), str(OUTSIDE), str(LISTENS))
        return self.bench.outside.run(*words).out.split()

    @property
    def card(self) -> str:
        """The node's own, at the link that both share."""
        (link,) = self.bench.node.ip("link", "show", "dev", "eth1")
        found: str = link["address"]
        return found


@pytest.fixture(scope="module")
def asked(bench: Bench) -> Iterator[Asked]:
    """The Service, and a kernel that says again afterwards what it did before."""
    with bench.services.standing(ServiceSpec("asked", by_hand=True), bench.backends) as service:
        bench.carried(service)
        yield Asked(bench, service)


@pytest.fixture
def strict(asked: Asked) -> Iterator[Asked]:
    """kube-proxy with strictARP; it sets the kernel so, and never back."""
    bench, before = asked.bench, Settings(KubeProxy.IPVS)
    keys = ("net.ipv4.conf.all.arp_ignore", "net.ipv4.conf.all.arp_announce")
    with bench.lab.setting(bench.node, keys[0], "0"), bench.lab.setting(bench.node, keys[1], "0"):
        bench.proxy.run(Settings(KubeProxy.IPVS, {"strictARP": True}))
        bench.carried(asked.service)
        yield asked
        bench.proxy.run(before)


@fault(
    site="asked",
    reddens={f"{HERE}/as_it_is": "the node answers for the ClusterIP"},
    spares=(f"{HERE}/strict",),
)
def answers_for_own_links_alone(asked: Asked) -> Iterator[None]:
    """The node answers for addresses of the link that it is asked on alone (arp_ignore=1)."""
    with asked.bench.lab.setting(asked.bench.node, "net.ipv4.conf.eth1.arp_ignore", "1"):
        yield


@fault(
    site="asked",
    reddens={f"{HERE}/strict": "nobody answers for the ClusterIP"},
    spares=(f"{HERE}/as_it_is",),
)
def on_the_card_as_well(asked: Asked) -> Iterator[None]:
    """The ClusterIP is on the node's card as well, where somebody once put it by hand."""
    line = f"{asked.service.cluster_ip}/32 dev eth1"
    with configured(asked.bench.node, [f"address add {line}"], [f"address delete {line}"]):
        yield


def test_as_it_is(asked: Asked, proof: Proof) -> None:
    """Without the setting the node answers for the ClusterIP, as for its own address."""
    own, virtual = asked.answers(NODE_ADDRESS), asked.answers(IPv4Address(asked.service.cluster_ip))

    proof.fact("the node answers for its own address", own == [asked.card], own)
    proof.fact("the node answers for the ClusterIP", virtual == [asked.card], virtual or "nobody")


def test_strict(strict: Asked, proof: Proof) -> None:
    """With it nobody answers for the ClusterIP, and the node for its own address as before."""
    own, virtual = strict.answers(NODE_ADDRESS), strict.answers(IPv4Address(strict.service.cluster_ip))

    proof.fact("the node answers for its own address", own == [strict.card], own)
    proof.fact("nobody answers for the ClusterIP", not virtual, virtual)
