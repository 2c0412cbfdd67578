"""Without Kubernetes flannel's pool lies in etcd: each host leases a subnet of it, and its Docker lives in that.

    etcd 192.0.2.10   /coreos.com/network/config                 198.18.0.0/16, a /24 each, vxlan
      │               /coreos.com/network/subnets/‹red subnet›   192.0.2.1 ‹red ttl› left
      │               /coreos.com/network/subnets/‹blue subnet›  192.0.2.2 ‹blue ttl› left
    switch ─┬─ red  192.0.2.1  docker0 ‹red bridge›   ── red-app
            ├─ blue 192.0.2.2  docker0 ‹blue bridge›  ── blue-app
            └─ green 192.0.2.3, for a moment

It fails where a host took a lease for the address of a wrong card, where Docker was started without the lease or
with an older one, and where a host that is gone is not forgotten: its route then takes packets to nobody.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Interface

import pytest

from clusters.datapath import Bridge
from fixtures.cni.flannel.convergence import until_settled
from fixtures.cni.flannel.hosts import BRIDGE, CARD, POOL, PREFIX, FlannelHosts, Images, plugged, stand
from fixtures.cni.flannel.tunnel import differences
from fixtures.faults.fault import fault
from fixtures.faults.lab_levers import mtu, routed
from fixtures.lab.lab import Lab
from fixtures.lab.machine import Machine
from fixtures.plugins.proof import Proof
from fixtures.probes.kernel import look_at
from fixtures.probes.plan import Destination, address_of, between, every
from fixtures.probes.runner import Prober
from fixtures.probes.ways import ping
from fixtures.verdicts.expectation import all_of, blocked, reached
from fixtures.verdicts.judge import judge
from fixtures.world.addresses import misplaced

pytestmark = [pytest.mark.claim("OVL-2"), pytest.mark.needs("vxlan", "bridge-netfilter", "conntrack")]

HERE = "overlay/flannel_etcd_leases"
MTU = 1450
"""A card's 1500 less the 50 bytes of VXLAN's headers."""
PATIENCE = 4.0
HOUR, DAY = 3600, 24 * 3600
"""Seconds for which flannel leases; it renews an hour before they are over."""
SOON = 2
"""Seconds that are left to the lease of a host that has gone."""


@pytest.fixture(scope="module")
def leased(lab: Lab, flannel_images: Images) -> FlannelHosts:
    """Two hosts with flannel's vxlan, and etcd."""
    return stand(lab, flannel_images, "vxlan")


@pytest.fixture
def green(lab: Lab, leased: FlannelHosts) -> Iterator[Machine]:
    """A machine that comes and goes."""
    machine = plugged(lab, leased.switch, "green", 3)
    yield machine
    lab.dismiss(machine)


def unknown(leased: FlannelHosts, *, but: str = "") -> list[str]:
    """Where red's and blue's tables are not what the leases in etcd say, leaving one host's lease out."""
    leases = {name: lease for name, lease in leased.leases().items() if name != but}
    kernels = look_at(leased.lab.conversations, [host.docker.endpoint for host in leased.hosts])
    return [f"{name} has no lease" for name in kernels if name not in leases] + [
        line
        for name, state in kernels.items()
        if name in leases
        for line in differences(leases[name], leases.values(), state, POOL, Bridge(BRIDGE))
    ]


@fault(
    site="leased",
    reddens={
        f"{HERE}/pool": "each host has a lease in the name of its own address",
        f"{HERE}/known_to_all": "both hosts' tables are what the leases say",
        f"{HERE}/leaves": "red-app → green",
    },
    spares=(f"{HERE}/docker_lives_in_it",),
)
def lease_taken_away(leased: FlannelHosts) -> Iterator[None]:
    """Somebody deletes red's lease in etcd, whereupon its flanneld ends."""
    stored = leased.stored()["red"]
    leased.registry.delete(stored)
    yield
    leased.registry.bind(stored, DAY)
    leased.red.flanneld.again()
    until_settled(lambda: unknown(leased))


@fault(
    site="leased",
    reddens={
        f"{HERE}/known_to_all": "both hosts' tables are what the leases say",
        f"{HERE}/leaves": "both hosts knew the new lease",
    },
    spares=(f"{HERE}/pool", f"{HERE}/docker_lives_in_it"),
)
def route_left_behind(leased: FlannelHosts) -> Iterator[None]:
    """blue has a route to a subnet that nobody leases."""
    with routed(leased.lab, leased.blue.docker.endpoint, "198.18.0.0/24", "dev", "flannel.1"):
        yield


@fault(
    site="leased",
    reddens={f"{HERE}/docker_lives_in_it": "bytes that the tunnel leaves"},
    spares=(f"{HERE}/pool", f"{HERE}/known_to_all"),
)
def larger_bridge(leased: FlannelHosts) -> Iterator[None]:
    """blue's Docker bridge has the MTU of the card and not of the tunnel."""
    with mtu(leased.blue.docker, BRIDGE, 1500):
        yield


@fault(
    site="leased", reddens={f"{HERE}/leaves": "blue-app → green"}, spares=(f"{HERE}/pool", f"{HERE}/known_to_all")
)
def flanneld_stands_still(leased: FlannelHosts) -> Iterator[None]:
    """blue's flanneld hears nothing of what happens in etcd."""
    with leased.blue.flanneld.still():
        yield


def test_pool(leased: FlannelHosts, proof: Proof) -> None:
    """The pool is in etcd, and for a day each host leases its own subnet, which it has written down."""
    stored = leased.stored()

    subnets = {name: it.lease.subnet for name, it in stored.items()}
    owners = {name: it.lease.vtep for name, it in stored.items()}
    lives = {name: (it.granted, it.left) for name, it in stored.items()}
    wrong = misplaced(list(subnets.values()), [POOL])

    proof.draws({f"{name} subnet": it.key.rpartition("/")[2] for name, it in stored.items()})
    proof.draws({f"{name} ttl": f"{it.left} s" for name, it in stored.items()})
    config, written = leased.registry.config(), {host.name: host.file.subnet for host in leased.hosts}
    proof.fact("the pool is what was written", config["Network"] == str(POOL), config)
    addresses = {host.name: address_of(host.docker.endpoint) for host in leased.hosts}
    proof.fact("each host has a lease in the name of its own address", owners == addresses, owners)
    own = not wrong and {it.prefixlen for it in subnets.values()} == {PREFIX}
    proof.fact("of a subnet of its own", own, wrong or subnets)
    proof.fact("which its subnet.env says as well", written == subnets, written)
    fresh = all(granted == DAY and DAY - HOUR < left <= DAY for granted, left in lives.values())
    proof.fact("for a day, which has begun within this hour", fresh, lives)


def test_docker_lives_in_it(leased: FlannelHosts, proof: Proof) -> None:
    """Docker's bridge has the address that the host's subnet.env says, containers go by it, and all by its MTU."""
    ends = [end for host in leased.hosts for end in (host.docker.endpoint, host.app)]
    kernels = look_at(leased.lab.conversations, ends)
    bridges = {host.name: kernels[host.name].link(BRIDGE) for host in leased.hosts}
    apps = {host.app.name: kernels[host.app.name].link(CARD) for host in leased.hosts}
    files = {host.name: host.file for host in leased.hosts}

    at = {name: link.addresses for name, link in bridges.items()}
    proof.draws({f"{name} bridge": link.addresses[0] for name, link in bridges.items()})
    right = {name: (IPv4Interface(f"{it.gateway}/{PREFIX}"),) for name, it in files.items()}
    proof.fact("docker0 has the first address of its host's subnet", at == right, at)
    strays = [host.app.name for host in leased.hosts if address_of(host.app) not in host.file.subnet]
    proof.fact("the containers have addresses of it", not strays, strays or [it.addresses for it in apps.values()])
    sizes = {name: link.mtu for name, link in (bridges | apps).items()}
    fits = set(sizes.values()) == {it.mtu for it in files.values()} == {MTU}
    proof.fact(f"bridges and containers have the {MTU} bytes that the tunnel leaves", fits, sizes)


def test_known_to_all(leased: FlannelHosts, proof: Proof) -> None:
    """Each host has routes, neighbours and forwarding entries for the other's lease, and no more."""
    found = unknown(leased)

    proof.fact("both hosts' tables are what the leases say", not found, found or list(leased.leases()))


def test_leaves(leased: FlannelHosts, green: Machine, lab_prober: Prober, proof: Proof) -> None:
    """A third host comes and is known to all; it dies, its lease runs out, and nobody has a way to it any more."""
    flanneld, name = leased.flanneld(green), str(address_of(green.endpoint))
    came = until_settled(lambda: unknown(leased))
    stored = leased.stored()[name]
    there = every(leased.apps, [Destination("green", str(stored.lease.gateway))], [ping(timeout=PATIENCE)])
    before = lab_prober.sweep(there)

    flanneld.remove()
    leased.registry.bind(stored, SOON)
    expired = until_settled(lambda: [found for found in leased.stored() if found == name])
    forgotten = until_settled(lambda: unknown(leased, but=name))
    others = between(leased.apps, [ping(timeout=PATIENCE)])
    after = lab_prober.sweep(there + others)

    proof.concludes(judge(all_of(there, reached()), before))
    proof.concludes(judge(all_of(there, blocked()) | all_of(others, reached()), after, [before]))
    proof.fact("both hosts knew the new lease", came.seconds is not None, came.differences or stored.key)
    proof.fact("etcd removed it", expired.seconds is not None, expired.differences or f"{expired.seconds:.2f} s")
    proof.fact("both hosts forgot it", forgotten.seconds is not None, forgotten.differences or "all of it")
    proof.measured("a new lease is known after", came.seconds or 0.0, "s")
    proof.measured(f"a lease of {SOON} s is gone after", expired.seconds or 0.0, "s")
    proof.measured("its routes are gone after another", forgotten.seconds or 0.0, "s")
