"""A hostPort leads to its pod from everywhere, at the address of the pod's node and of no other node.

    outside, pods, nodes ──→ worker:18080         ─→ door :8080       TCP and UDP
                         ──→ worker2:18080        refused: nobody listens
                         ──→ control-plane:18080  refused

It fails where the node's translation was never written or serves one protocol alone, where it answers on other
nodes too, and after the pod was made anew: a translation that was left behind leads to a pod that is gone, and
a UDP client that keeps its source port stays with what the node remembers.
"""

from __future__ import annotations

import pytest

from fixtures.endpoints.endpoint import Endpoint
from fixtures.plugins.proof import Proof
from fixtures.plugins.services import HOST_PORT
from fixtures.probes.convergence import must_become
from fixtures.probes.kube_proxy_rules import host_port_targets
from fixtures.probes.node_state import Nodes
from fixtures.probes.plan import address_of, every
from fixtures.probes.runner import Prober
from fixtures.probes.source_ports import unused_port
from fixtures.probes.ways import tcp, udp
from fixtures.verdicts.expectation import all_of, reached, refused
from fixtures.verdicts.judge import judge
from fixtures.verdicts.wording import plain
from fixtures.world.backends import Backends
from fixtures.world.pods import Container, Pod, Port
from fixtures.world.ways_in import host_port
from fixtures.world.world import World

pytestmark = [pytest.mark.claim("EXT-1"), pytest.mark.requires("host-port")]


HATCH = 18081


def hatch(name: str, node: Endpoint) -> Pod:
    """A pod on that node that answers at port HATCH of it."""
    ports = (Port(8080, "TCP", host_port=HATCH), Port(8080, "UDP", host_port=HATCH))
    return Pod(name, node=node.name, containers=(Container(ports=ports),))


@pytest.mark.usefixtures("services")
def test_on_its_node_alone(world: World, prober: Prober, proof: Proof) -> None:
    """TCP and UDP from outside, pods and nodes: reached at the pod's node, refused by the others."""
    door = world["door"]
    sources = [world["outside"], world["client"], world["remote"], *world.nodes]
    here = every(sources, [host_port(door, world.host_of("door"))], [tcp(HOST_PORT), udp(HOST_PORT)])
    others = [host_port(door, node) for node in world.nodes if node.name != door.node]
    elsewhere = every(sources, others, [tcp(HOST_PORT), udp(HOST_PORT)])

    seen = prober.sweep([*here, *elsewhere])

    proof.concludes(judge({**all_of(here, reached()), **all_of(elsewhere, refused())}, seen))


def test_made_anew_twice(world: World, backends: Backends, nodes: Nodes, prober: Prober, proof: Proof) -> None:
    """Twice a new pod takes the port: the newest alone answers, also a UDP client that keeps its source port."""
    outside, worker = world["outside"], world.host_of("client")
    ways = [tcp(HATCH), udp(HATCH, source_port=unused_port())]
    backends.add(hatch("hatch-1", worker))

    first = must_become(
        prober, all_of(every([outside], [host_port(backends["hatch-1"], worker)], ways), reached())
    )
    proof.concludes(first.judgement)

    backends.remove("hatch-1")
    backends.add(hatch("hatch-2", worker))
    second = must_become(
        prober, all_of(every([outside], [host_port(backends["hatch-2"], worker)], ways), reached())
    )
    proof.concludes(second.judgement)

    backends.remove("hatch-2")
    backends.add(hatch("hatch-3", worker))
    third = must_become(
        prober, all_of(every([outside], [host_port(backends["hatch-3"], worker)], ways), reached())
    )
    proof.concludes(third.judgement)

    targets = host_port_targets(nodes.rules(worker), HATCH)
    newest = plain((address_of(backends["hatch-3"]), 8080))
    proof.fact("one target for TCP and one for UDP: the newest pod", targets == [newest, newest], targets)
