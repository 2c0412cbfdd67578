"""A Service carries each of its ports to the port it names at the endpoint, by number or by name.

    10.96.n.n:80  ── tcp ─→ remote :8080             "named":80 ─→ port called "web":
    10.96.n.n:81  ── tcp ─→ remote :8081                          named-low  says 8081
    10.96.n.n:81  ── udp ─→ remote :8081                          named-high says 8082

Every server says on which port it was asked. Crossed ports, one protocol's rule used for the other, or a name
that is looked up once for all pods instead of in each would show there although every connect succeeds.
"""

from __future__ import annotations

import pytest

from fixtures.plugins.proof import Proof
from fixtures.probes.plan import every
from fixtures.probes.runner import Prober
from fixtures.probes.ways import tcp, udp
from fixtures.verdicts.expectation import all_of, reached
from fixtures.verdicts.judge import judge
from fixtures.verdicts.spread import served_port
from fixtures.world.service_set import Services
from fixtures.world.ways_in import cluster_ip
from fixtures.world.world import World


@pytest.mark.claim("SVC-2")
def test_many_ports(world: World, services: Services, family: int, prober: Prober, proof: Proof) -> None:
    """Two TCP ports and a UDP port of one Service each lead to their own port at the endpoint."""
    cells = every([world["client"]], [cluster_ip(services["multi"], family)], [tcp(80), tcp(81), udp(81)])

    seen = prober.sweep(cells)

    proof.concludes(judge(all_of(cells, reached()), seen))
    ports = [(one.cell.probe.port, served_port(one)) for one in seen]
    proof.fact("80 leads to 8080 and 81 to 8081", ports == [(80, 8080), (81, 8081), (81, 8081)], ports)


@pytest.mark.claim("SVC-2")
def test_named_target_port(world: World, services: Services, family: int, prober: Prober, proof: Proof) -> None:
    """The port name "web" is 8081 in one pod and 8082 in another: each is asked at its own."""
    cells = every([world["client"]], [cluster_ip(services["named"], family)], [tcp(80)] * 40)

    seen = prober.sweep(cells)

    proof.concludes(judge(all_of(cells, reached()), seen))
    ports = {(one.answered_by, served_port(one)) for one in seen}
    wanted = {("named-low", 8081), ("named-high", 8082)}
    proof.fact("named-low was asked at 8081, named-high at 8082, both of them", ports == wanted, sorted(ports))
