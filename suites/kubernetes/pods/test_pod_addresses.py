"""Every pod has an address that no other pod has, and it tells the node that the pod is on.

    pool 10.244.0.0/16
      ├ 10.244.0.0/24  control-plane   bridge 10.244.0.1   third .x
      ├ 10.244.1.0/24  worker          bridge 10.244.1.1   client .y, neighbour .z
      └ 10.244.2.0/24  worker2         bridge 10.244.2.1   remote .x

It fails where a CNI's pool and the nodes' subnets were configured apart, where a bridge kept the address of an
earlier life, where a second configuration sorts before the CNI's own (its pods get addresses of another pool, and
the same ones on every node), and where a node has lost a plugin or its subnet: old pods go on there, and only a
new one shows it. So a new one is made on every node.
"""

from __future__ import annotations

from itertools import chain

import pytest

from clusters.cluster import Cluster
from fixtures.cni.subnets import subnets
from fixtures.plugins.proof import Proof
from fixtures.probes.kernel import look_at
from fixtures.probes.plan import at, every
from fixtures.probes.promises import without_nat
from fixtures.probes.runner import Prober
from fixtures.probes.ways import tcp, udp
from fixtures.verdicts.judge import judge
from fixtures.world import node_files
from fixtures.world.addresses import astray, located, misplaced, shared
from fixtures.world.new_pods import fresh_pods
from fixtures.world.pods import Pod
from fixtures.world.world import PORT, World

CONFIGURATIONS = "/etc/cni/net.d"


@pytest.mark.claim("POD-6")
def test_unique(world: World, proof: Proof) -> None:
    """No two pods of the whole cluster have one address."""
    known = located(world.api)

    twice = shared(known)

    proof.fact(f"{len(known)} pods have different addresses", bool(known) and not twice, twice or len(known))


@pytest.mark.claim("POD-6")
@pytest.mark.requires("known-profile")
def test_of_their_node(world: World, cluster: Cluster, proof: Proof) -> None:
    """Each node has subnets of the pool (its podCIDR, or blocks), all different, and its pods are in them."""
    of_nodes = subnets(cluster)
    without = [name for name, them in of_nodes.items() if not them]
    wrong = misplaced(list(chain(*of_nodes.values())), cluster.profile.pod_subnet)

    strays = astray(located(world.api), of_nodes)

    told = ", ".join(f"{name} {', '.join(map(str, them))}" for name, them in of_nodes.items())
    proof.fact("every node has a subnet", not without, without or told)
    proof.fact("they are of the pool, and no two overlap", not wrong, wrong or told)
    proof.fact("every pod is in its node's subnet", not strays, strays or "none is astray")


@pytest.mark.claim("POD-6")
@pytest.mark.requires("bridge")
def test_bridge_is_the_gateway(world: World, cluster: Cluster, prober: Prober, proof: Proof) -> None:
    """The bridge of each node has the first address of its node's subnet, and no other."""
    kernels = look_at(prober.conversations, world.nodes, world.family)

    has = {
        name: [str(it) for it in state.link(cluster.datapath.bridge).addresses] for name, state in kernels.items()
    }

    first = {
        node.name: [f"{it[1]}/{it.prefixlen}" for it in node.pod_cidrs if it.version == world.family]
        for node in cluster.nodes
    }
    proof.fact("the bridge has the first address of its subnet", has == first, {"has": has, "promised": first})


@pytest.mark.claim("POD-6")
def test_one_configuration(world: World, proof: Proof) -> None:
    """Each node has one CNI configuration, so that none sorts before it."""
    found = {node.name: node_files.names(world, node.name, CONFIGURATIONS) for node in world.nodes}

    used = {
        name: [it for it in files if it.endswith((".conf", ".conflist", ".json"))] for name, files in found.items()
    }

    proof.fact("each node has one CNI configuration", all(len(files) == 1 for files in used.values()), used)


@pytest.mark.claim("POD-6")
def test_fresh_pods(world: World, prober: Prober, proof: Proof) -> None:
    """A pod made now on each node is ready within 20 s, reaches the others' and is reached by them."""
    wanted = [Pod(f"fresh-{number}", node=node.name) for number, node in enumerate(world.nodes)]

    with fresh_pods(world, wanted) as fresh:
        proof.fact("a fresh pod is ready on every node", not fresh.trouble, fresh.trouble or list(fresh.pods))
        known = [world[name] for name in ("client", "remote", "third")]
        there = every(fresh.pods.values(), map(at, known), [tcp(PORT), udp(PORT)])
        back = every(known, map(at, fresh.pods.values()), [tcp(PORT), udp(PORT)])
        seen = prober.sweep([*there, *back])
        proof.concludes(judge(without_nat([*there, *back], world), seen))
