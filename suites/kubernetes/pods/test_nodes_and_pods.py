"""Every node reaches every pod by pod IP, and every pod reaches every node.

    control-plane          worker                     worker2
    172.18.0.2             172.18.0.3                 172.18.0.4        ← listen on 8080 too
      └ third                ├ client                   └ remote
                             └ neighbour

A node asks its own pods from its bridge and the others' from its tunnel, so two ways have to work. It fails
where one of them is missing, where a host firewall drops what pods send to the node itself, and where the answer
leaves by another link than the question came in by.
"""

from __future__ import annotations

import pytest

from fixtures.plugins.proof import Proof
from fixtures.probes.kernel import addresses_everywhere
from fixtures.probes.plan import at, every
from fixtures.probes.promises import seen_as
from fixtures.probes.runner import Prober
from fixtures.probes.ways import get, ping, tcp, udp
from fixtures.verdicts.judge import judge
from fixtures.world.world import PORT, World

WAYS = (tcp(PORT), udp(PORT), ping(), get(PORT, size=200_000, timeout=3.0))
PODS = ("client", "neighbour", "remote", "third")


@pytest.mark.claim("POD-5")
def test_nodes_reach_pods(world: World, family: int, prober: Prober, proof: Proof) -> None:
    """From each node to pods on all nodes, which see an address of that very node."""
    own = addresses_everywhere(prober.conversations, world.nodes)
    cells = every(world.nodes, [at(world[name], family) for name in PODS], WAYS)

    seen = prober.sweep(cells)

    proof.concludes(judge(seen_as(cells, own), seen))


@pytest.mark.claim("POD-5")
def test_pods_reach_nodes(world: World, family: int, prober: Prober, proof: Proof) -> None:
    """From pods on all nodes to each node, which sees the pod itself or the node that the pod is on."""
    pods = [world[name] for name in PODS]
    cells = every(pods, [at(node, family) for node in world.nodes], WAYS)

    seen = prober.sweep(cells)

    known = {pod.name: (*pod.addresses, *world.host_of(pod.name).addresses) for pod in pods}
    proof.concludes(judge(seen_as(cells, known), seen))
