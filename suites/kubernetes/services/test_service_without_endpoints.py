"""A Service without endpoints refuses at once; nobody waits for a time-out.

    client → 10.96.n.n    selects no pod    node: ICMP port unreachable

The node that the client runs on has to answer for the endpoints that are not there. Where it does not, the
packet leaves for the default route and is lost: clients hang instead of failing over. (A node's own UDP
datagram is not even sent: the sender gets an error, which is no answer to judge.)
"""

from __future__ import annotations

import pytest

from fixtures.plugins.proof import Proof
from fixtures.probes.plan import every
from fixtures.probes.runner import Prober
from fixtures.probes.ways import tcp, udp
from fixtures.verdicts.expectation import all_of, refused
from fixtures.verdicts.judge import judge
from fixtures.world.service_set import Services
from fixtures.world.ways_in import cluster_ip
from fixtures.world.world import World

AT_ONCE = {4: 0.5, 6: 1.5}
"""By family, seconds. Over IPv6 a client on Linux takes no notice of the first refusal of a TCP handshake, which
comes back before its connect has returned; it is refused when it asks again, after a second."""


@pytest.mark.claim("SVC-2")
def test_refused_at_once(world: World, services: Services, family: int, prober: Prober, proof: Proof) -> None:
    """TCP and UDP from a pod on each worker, TCP from each node: refused at once."""
    nobody = [cluster_ip(services["nobody"], family)]
    by_pods = every([world["client"], world["remote"]], nobody, [tcp(80), udp(80)])
    cells = [*by_pods, *every(world.nodes, nobody, [tcp(80)])]

    seen = prober.sweep(cells)

    proof.concludes(judge(all_of(cells, refused(within=AT_ONCE[family])), seen))
