"""externalTrafficPolicy Local keeps the client's address, and answers only on nodes that run an endpoint.

    outside 172.18.0.o ──┬─ worker2:3nnnn ──→ remote          sees 172.18.0.o
                         ├─ worker:3nnnn         dropped      no endpoint here
                         └─ control-plane:3nnnn  dropped

    health check node port:   worker2 says 200, the others 503

A masquerade on worker2 would replace the client's address; a node that passes the request on would answer where
it must not; one that refuses instead of dropping would have load balancers' clients fail. That the ports which
must be silent are alive is shown by their own nodes, whose requests are no traffic from outside: they are
served at the same addresses. The Service is of type LoadBalancer, because only those have a health check;
nobody balances here.
"""

from __future__ import annotations

import pytest

from fixtures.plugins.proof import Proof
from fixtures.probes.plan import every
from fixtures.probes.runner import Prober
from fixtures.probes.ways import get
from fixtures.verdicts.expectation import all_of, blocked, reached
from fixtures.verdicts.judge import judge
from fixtures.world.service_set import Services
from fixtures.world.ways_in import by_node_port, health_check, node_port
from fixtures.world.world import World


@pytest.mark.claim("EXT-3")
def test_only_where_an_endpoint_runs(
    world: World, services: Services, family: int, prober: Prober, proof: Proof
) -> None:
    """Outside reaches the endpoint's node as itself, and no other; each silent node itself is served."""
    service, outside = services["kept"], world["outside"]
    ways = by_node_port(service)
    here = every([outside], [node_port(service, world.host_of("remote"), family)], ways)
    silent = [node for node in world.nodes if node.name != world["remote"].node]
    doors = [node_port(service, node, family) for node in silent]
    elsewhere = every([outside], doors, ways)
    inside = [cell for node, door in zip(silent, doors, strict=True) for cell in every([node], [door], ways)]

    seen = prober.sweep([*here, *elsewhere, *inside])

    kept = all_of(here, reached(seen_as=outside.addresses))
    proof.concludes(judge({**kept, **all_of(elsewhere, blocked()), **all_of(inside, reached())}, seen))


@pytest.mark.claim("EXT-3")
def test_health_check(world: World, services: Services, prober: Prober, proof: Proof) -> None:
    """The health check's node port says 200 on the endpoint's node and 503 on the others."""
    service, home = services["kept"], world.host_of("remote")
    asked = [get(service.health_port)]
    ready = every([world["outside"]], [health_check(home)], asked)
    others = every([world["outside"]], [health_check(node) for node in world.nodes if node is not home], asked)

    seen = prober.sweep([*ready, *others])

    proof.concludes(judge({**all_of(ready, reached(status=200)), **all_of(others, reached(status=503))}, seen))
