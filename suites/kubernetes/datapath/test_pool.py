"""The pool that Calico gives addresses from is the cluster's own range of pod addresses.

    kube-controller-manager and kube-proxy   10.244.0.0/16   what counts as a pod
    Calico's IPPool                          10.244.0.0/16   what pods get

Left to itself Calico takes 192.168.0.0/16. Pods reach each other then as well; what kube-proxy takes for traffic
from elsewhere is masqueraded, so that pods are no longer seen under their own addresses.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from clusters.cluster import Cluster
from clusters.features import Feature
from fixtures.cni.calico.blocks import one_more_pool, pools
from fixtures.faults.fault import fault
from fixtures.faults.site import Site
from fixtures.plugins.proof import Proof
from fixtures.world.pod_range import pod_range
from fixtures.world.world import World

SOMEWHERE_ELSE = "198.51.100.0/24"


@fault(
    reddens={"kubernetes/datapath/pool/is_the_clusters": "every pool is the cluster's range"},
    spares=("kubernetes/pods/pods_on_one_node/both_directions",),
    requires=(Feature.IP_POOLS,),
)
def pool_of_another_range(site: Site) -> Iterator[None]:
    """Calico has a pool that is not of the cluster's range."""
    with one_more_pool(site.cluster.api, SOMEWHERE_ELSE):
        yield


@pytest.mark.claim("CAL-3")
@pytest.mark.requires("ip-pools")
def test_is_the_clusters(world: World, cluster: Cluster, proof: Proof) -> None:
    """The pools are just the range that the control plane was set up with, which is the profile's."""
    clusters = set(pod_range(world.api))

    found = pools(world.api)

    wrong = {name: str(it) for name, it in found.items() if it not in clusters}
    shown = {name: str(it) for name, it in found.items()}
    told = sorted(map(str, clusters))
    proof.fact("every pool is the cluster's range", not wrong, f"pools {shown}, cluster {told}")
    proof.fact("the cluster's range has a pool", clusters == set(found.values()), f"pools {shown}, cluster {told}")
    proof.fact("it is the profile's", clusters == set(cluster.profile.pod_subnet), told)
