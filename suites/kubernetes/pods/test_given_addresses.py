"""A pod has the addresses and routes that its network gave it and no others, in both families.

    client eth0  10.244.1.x        and fe80::… where the kernel has IPv6
           lo    127.0.0.1, ::1
           route default via the bridge, its own subnet, the pool

A pod that has one more address answers to a name that nobody gave it, and one more default route takes its packets
past the network and its rules: an IPv6 router that announces itself on a node's link is enough for both. What the
API server knows of a pod's addresses is the whole of what it may have.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fixtures.endpoints.conversation import Conversations
from fixtures.faults.fault import fault
from fixtures.faults.site import Site
from fixtures.plugins.proof import Proof
from fixtures.probes.kernel import addresses_everywhere, default_routes
from fixtures.world.world import World

pytestmark = pytest.mark.claim("POD-10")

FOREIGN = "2001:db8:5eed::7"


@fault(
    reddens={"kubernetes/pods/given_addresses/addresses": f"remote: {FOREIGN}"},
    spares=("kubernetes/pods/given_addresses/routes", "kubernetes/pods/pods_on_other_nodes/every_direction"),
)
def one_address_more(site: Site) -> Iterator[None]:
    """The pod remote has got an IPv6 address, as an announcement on its link would give it."""
    node, namespace = site.namespace_of("remote")
    words = ("nsenter", f"--net={namespace}", "ip", "-6", "address")
    site.run(node, *words, "add", f"{FOREIGN}/64", "dev", "eth0", "nodad", "noprefixroute")
    try:
        yield
    finally:
        site.run(node, *words, "del", f"{FOREIGN}/64", "dev", "eth0")


@fault(
    reddens={"kubernetes/pods/given_addresses/routes": "default via fe80::1"},
    spares=("kubernetes/pods/given_addresses/addresses", "kubernetes/pods/pods_on_other_nodes/every_direction"),
)
def one_router_more(site: Site) -> Iterator[None]:
    """The pod remote has got an IPv6 default route, as an announcement on its link would give it."""
    node, namespace = site.namespace_of("remote")
    words = ("nsenter", f"--net={namespace}", "ip", "-6", "route")
    site.run(node, *words, "add", "default", "via", "fe80::1", "dev", "eth0")
    try:
        yield
    finally:
        site.run(node, *words, "del", "default", "via", "fe80::1", "dev", "eth0")


def test_addresses(world: World, conversations: Conversations, proof: Proof) -> None:
    """Pods of every node have the addresses that the API server knows, and link-local ones besides."""
    found = addresses_everywhere(conversations, world.pods)

    given = {pod.name: frozenset(pod.addresses) for pod in world.pods}
    foreign = {name: own - given[name] for name, own in found.items() if own - given[name]}
    missing = {name: given[name] - own for name, own in found.items() if given[name] - own}
    proof.fact(f"{len(found)} pods have no address but those given", bool(found) and not foreign, foreign)
    proof.fact("and all of those", not missing, missing)


def test_routes(world: World, conversations: Conversations, proof: Proof) -> None:
    """Pods of every node have one default route in each family that they have an address in, and no other."""
    found = {pod.name: default_routes(conversations, pod) for pod in world.pods}

    wanted = {pod.name: sorted(address.version for address in pod.addresses) for pod in world.pods}
    wrong = {
        name: [route for _, route in routes]
        for name, routes in found.items()
        if sorted(version for version, _ in routes) != wanted[name]
    }
    proof.fact(f"{len(found)} pods have one default route in each family", bool(found) and not wrong, wrong)
