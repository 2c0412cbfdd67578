"""A Service keeps its ClusterIP while its pods come and go, and each change is followed within seconds.

    10.96.n.n ─→ pod-1                                   one pod
              ─→ pod-1 … pod-5, on both workers          five: each of them is reached
              ─→ pod-5                                   one again, and another than before: nobody else is

It fails where a node's rules stop following: requests then go to pods that are gone, and new ones never get
any. Pods and nodes ask, because each node follows by itself.
"""

from __future__ import annotations

import pytest

from fixtures.plugins.proof import Proof
from fixtures.probes.runner import Prober
from fixtures.probes.spread import must_spread
from fixtures.probes.ways import tcp
from fixtures.world.backends import Backends
from fixtures.world.ways_in import cluster_ip
from fixtures.world.world import World


@pytest.mark.claim("SVC-1")
def test_one_five_one(world: World, backends: Backends, family: int, prober: Prober, proof: Proof) -> None:
    """One pod, five, another one: everywhere all of them and nobody else answer within ten seconds."""
    sources = [world["client"], world["remote"], *world.nodes]
    backends.add("pod-1")

    alone = must_spread(prober, sources, cluster_ip(backends.service, family), tcp(80))
    proof.concludes(alone.judgement)

    backends.add("pod-2", "pod-3", "pod-4", "pod-5")
    grown = must_spread(prober, sources, cluster_ip(backends.service, family), tcp(80))
    proof.concludes(grown.judgement)
    proof.fact("all five answered everywhere", grown.complete, grown.answered)

    backends.remove("pod-1", "pod-2", "pod-3", "pod-4")
    shrunk = must_spread(prober, sources, cluster_ip(backends.service, family), tcp(80))
    proof.concludes(shrunk.judgement)
    proof.fact("the ClusterIP stayed", backends.address_now() == backends.service.address, backends.address_now())
    proof.measured("five pods answer after", grown.took, "s")
    proof.measured("those that left are asked no more after", shrunk.took, "s")
