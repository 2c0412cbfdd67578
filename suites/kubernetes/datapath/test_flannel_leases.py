"""flannel leases each node a subnet of the pool, every node knows all leases, and a lease goes with its node.

    pool 10.244.0.0/16                     on worker, for each other node:
      ├ 10.244.0.0/24  control-plane         10.244.2.0/24 via 10.244.2.0 dev flannel.1         route
      ├ 10.244.1.0/24  worker                10.244.2.0 is at 66:…:02 on flannel.1              neighbour
      ├ 10.244.2.0/24  worker2               66:…:02 is behind 172.18.0.4                       forwarding
      └ 10.244.n.0/24  a fake node (192.0.2.77, a Node object without a machine, for a moment)

It fails where flannel took the address of a wrong card, where something changed the hardware address of a
tunnel device, and where a node was away while another came or went: flannel follows events, and mends nothing that
it missed. A route too many is as bad as a missing one: it takes packets to nobody, or past the tunnel in clear.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address

import pytest

from clusters.api import NODE
from clusters.cluster import Cluster
from clusters.features import Feature
from fixtures.cni.flannel.convergence import Overlay, until_settled
from fixtures.cni.flannel.fake_node import fake_node
from fixtures.cni.flannel.lease import PREFIX, PUBLIC, Lease, SubnetFile, spare
from fixtures.endpoints.conversation import Conversations
from fixtures.faults.fault import fault
from fixtures.faults.node_levers import annotated
from fixtures.faults.site import Site
from fixtures.plugins.proof import Proof
from fixtures.probes.plan import address_of
from fixtures.world import node_files
from fixtures.world.addresses import IPNetwork, misplaced
from fixtures.world.world import World

pytestmark = [pytest.mark.claim("FLN-1"), pytest.mark.requires("flannel-leases")]

SUBNET_FILE = "/run/flannel/subnet.env"


@fault(
    reddens={"kubernetes/datapath/flannel_leases/one_for_each": "the public address is the node's own"},
    spares=("kubernetes/pods/pods_on_one_node/both_directions",),
    requires=(Feature.FLANNEL_LEASES,),
)
def lease_of_another_address(site: Site) -> Iterator[None]:
    """The far node's lease has the address of a card that is not on the nodes' own network."""
    with annotated(site, site.far, f"{PREFIX}/{PUBLIC[4]}", "198.51.100.9"):
        yield


@pytest.fixture
def pool(cluster: Cluster, family: int) -> IPNetwork:
    """What flannel leases from."""
    return next(subnet for subnet in cluster.profile.pod_subnet if subnet.version == family)


@pytest.fixture
def leases(world: World, family: int) -> dict[str, Lease]:
    """The lease of every node that has a machine, by the node's name."""
    found = world.api.list(NODE)
    return {node.name: Lease.read(found[node.name], family) for node in world.nodes}


@pytest.fixture
def overlay(world: World, cluster: Cluster, pool: IPNetwork, conversations: Conversations) -> Overlay:
    """The nodes' kernels."""
    return Overlay(world.nodes, pool, cluster.datapath.attachment, conversations)


def test_one_for_each(world: World, pool: IPNetwork, leases: dict[str, Lease], proof: Proof) -> None:
    """Every node leases a subnet of the pool, all different, under its own address."""
    addresses = {node.name: address_of(node, pool.version) for node in world.nodes}

    subnets = {name: lease.subnet for name, lease in leases.items()}
    public = {name: lease.vtep for name, lease in leases.items()}
    wrong = misplaced(list(subnets.values()), [pool])

    proof.fact("every node leases its own subnet of the pool", not wrong, wrong or subnets)
    proof.fact("the public address is the node's own", public == addresses, public)


@pytest.mark.requires("bridge")
def test_subnet_file(world: World, pool: IPNetwork, leases: dict[str, Lease], proof: Proof) -> None:
    """The file that flannel's plugin makes pods from says the same as the lease, on every node."""
    texts = {node.name: node_files.known(world, node.name, SUBNET_FILE) for node in world.nodes}
    without = sorted(name for name, text in texts.items() if text is None)
    proof.fact("every node has the file", not without, without)

    files = {name: SubnetFile.read(text, pool.version) for name, text in texts.items() if text is not None}

    on_nodes = {name: (file.pool, file.subnet) for name, file in files.items()}
    right = {name: (pool, lease.subnet) for name, lease in leases.items()}
    proof.fact("subnet.env says the same", on_nodes == right, on_nodes)


@pytest.mark.requires("vxlan")
def test_known_to_all(leases: dict[str, Lease], overlay: Overlay, proof: Proof) -> None:
    """Routes, neighbours and forwarding entries of each node are those of the other leases, no more, no less."""
    found = overlay.differences(leases.values())

    proof.fact("every node's tables are what the leases say", not found, found or list(leases))


@pytest.mark.requires("vxlan")
@pytest.mark.requires_absent("dual-stack")  # the fake node has a lease of one family, which flannel refuses there
def test_goes_with_its_node(world: World, leases: dict[str, Lease], overlay: Overlay, proof: Proof) -> None:
    """A node's lease reaches every other node when its object comes, and is gone from all when that goes."""
    real = list(leases.values())
    away = Lease(
        "netproof-fake-node",
        spare(overlay.pool, real),
        ip_address("192.0.2.77" if overlay.pool.version == 4 else "2001:db8::77"),
        "vxlan",
        "02:00:5e:00:00:77",
        vni=1,
    )

    with fake_node(world.api, world.run, away):
        came = until_settled(lambda: overlay.differences([*real, away]))
    went = until_settled(lambda: overlay.differences(real))

    proof.fact(
        "every node knew the new lease", came.seconds is not None, came.differences or f"{came.seconds:.2f} s"
    )
    proof.fact("every node forgot it", went.seconds is not None, went.differences or f"{went.seconds:.2f} s")
    proof.measured("a new lease is known after", came.seconds or 0.0, "s")
    proof.measured("a removed lease is forgotten after", went.seconds or 0.0, "s")
