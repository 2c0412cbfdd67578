"""A running cluster goes from flannel's VXLAN to plain routes and back: edit net-conf.json, restart flannel.

    net-conf.json  vxlan ──▶ host-gw ──▶ vxlan      pods keep their addresses all the while
    the wire       wrapped     bare        wrapped

Operators do it by hand and look whether pods reach each other. That tells nothing: routes of the old backend that
are more specific stay, pods stay reachable, and packets go the old way. Only the wire tells which way they take.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import pytest

from clusters.features import Feature
from clusters.waiting import TIMEOUTS, TimedOut, poll
from fixtures.cni.flannel.settings import backend, with_backend
from fixtures.faults.fault import fault
from fixtures.faults.link_levers import added
from fixtures.faults.site import Site
from fixtures.plugins.proof import Proof
from fixtures.probes.capture import Capture
from fixtures.probes.convergence import Convergence, must_become
from fixtures.probes.kernel import look_at
from fixtures.probes.outage import asking
from fixtures.probes.plan import address_of, between
from fixtures.probes.promises import without_nat
from fixtures.probes.runner import Prober
from fixtures.probes.ways import tcp, udp
from fixtures.world.addresses import located
from fixtures.world.agents import Agent, daemon_pods, pods_anew
from fixtures.world.world import PORT, World

WAYS = (tcp(PORT, timeout=0.5), udp(PORT, timeout=0.5))
BETWEEN_NODES = ("client", "remote", "third")


@fault(
    reddens={"disruption/backend_switch/there_and_back": "with host-gw none of the packets"},
    spares=("kubernetes/pods/pods_on_other_nodes/every_direction",),
    requires=(Feature.FLANNEL_LEASES, Feature.BRIDGE, Feature.VXLAN),
)
def old_route_stays(site: Site) -> Iterator[None]:
    """The near node keeps a more specific route for the far pods by the tunnel of the old backend."""
    address, device = f"{site.pod_address('remote')}/32", site.tunnel.device
    gateway = site.subnet(site.far).partition("/")[0]
    with added(site, site.near, "ip", "route", address, "via", gateway, "dev", device, "onlink"):
        yield


@pytest.mark.claim("FLN-5")
@pytest.mark.requires("flannel-leases", "bridge", "vxlan")
def test_there_and_back(world: World, prober: Prober, capture: Capture, proof: Proof) -> None:
    """With each backend pods reach each other, the wire carries what it says, and every address is as it was."""
    before = {one.pod: one.address for one in located(world.api)}
    cells = between([world[name] for name in BETWEEN_NODES], WAYS)
    assert backend(world.api) == "vxlan"

    with with_backend(world.api, "host-gw"):
        with asking(prober, cells) as going:
            pods_anew(world.api, daemon_pods(world.api, Agent.CNI))
        there, wrapped_there = settled(world, prober, capture, wrapped=False)
        kept_there = {one.pod: one.address for one in located(world.api)}
    with asking(prober, cells) as returning:
        pods_anew(world.api, daemon_pods(world.api, Agent.CNI))
    back, wrapped_back = settled(world, prober, capture, wrapped=True)
    kept_back = {one.pod: one.address for one in located(world.api)}

    proof.concludes(there.judgement, back.judgement)
    proof.measured("longest outage while flannel starts anew, going", max(going.outages().values()), "s")
    proof.measured("the same, returning", max(returning.outages().values()), "s")
    bare, wrapped = wrapped_there.count(False), wrapped_back.count(True)
    proof.fact("with host-gw none of the packets between nodes is wrapped", bare == len(wrapped_there) > 0, bare)
    proof.fact("with vxlan every one is", wrapped == len(wrapped_back) > 0, wrapped)
    proof.fact("every pod has kept its address", before == kept_there == kept_back, kept_back)


def settled(world: World, prober: Prober, capture: Capture, *, wrapped: bool) -> tuple[Convergence, list[bool]]:
    """Wait until pods of all nodes reach each other, and each packet on the wire is wrapped or none is.

    flannel says that it runs before it has laid its routes. What was seen last comes back in any case: of each
    packet whether it was wrapped.
    """
    cells = between([world[name] for name in BETWEEN_NODES], WAYS)
    kernels = look_at(prober.conversations, world.nodes, world.family)
    cards = {kernels[node.name].holding(address_of(node)).name for node in world.nodes}
    seen: list[bool] = []

    def look() -> bool:
        with capture.on(world.nodes, cells, links=cards) as taps:
            prober.sweep(cells)
        seen[:] = [frame.encapsulated for frame in taps.frames]
        return bool(seen) and all(it is wrapped for it in seen)

    with suppress(TimedOut):
        poll(look, until=bool, what="the wire to carry what the backend says", within=TIMEOUTS.converge)
    return must_become(prober, without_nat(cells, world)), seen
