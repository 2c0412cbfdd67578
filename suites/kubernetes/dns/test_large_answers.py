"""An answer too large for UDP is marked as cut, and comes whole by TCP or to who says that it takes more.

    crowd.N.svc…    headless, 100 addresses of 198.51.100.0/24, none of which is ever asked
      UDP, 512 bytes            cut: truncated
      UDP, 4096 by EDNS         whole, in fragments
      TCP                       whole

A client that gets a cut answer without the mark believes that it knows all addresses. One that asks again by
TCP hangs where TCP to port 53 was forgotten. And a large answer by UDP is lost where fragments are.
"""

from __future__ import annotations

import pytest

from fixtures.plugins.proof import Proof
from fixtures.plugins.services import CROWD
from fixtures.probes.plan import every
from fixtures.probes.runner import Prober
from fixtures.probes.ways import ADDRESS_RECORD, lookup
from fixtures.verdicts.expectation import all_of, reached
from fixtures.verdicts.judge import judge
from fixtures.world.service_set import Services
from fixtures.world.ways_in import RESOLVER
from fixtures.world.world import World

pytestmark = pytest.mark.claim("DNS-2")


def test_whole_by_tcp_and_by_edns(world: World, services: Services, prober: Prober, proof: Proof) -> None:
    """All 100 addresses by TCP and by UDP with room for 4096 bytes, from a pod on each worker."""
    name, record = services["crowd"].full_name, ADDRESS_RECORD[world.family]
    ways = [lookup(name, record, over_tcp=True), lookup(name, record, edns_size=4096)]
    cells = every([world["client"], world["remote"]], [RESOLVER], ways)

    seen = prober.sweep(cells)

    proof.concludes(judge(all_of(cells, reached(answers=map(str, CROWD[world.family]), within=0.9)), seen))


def test_cut_and_marked(world: World, services: Services, prober: Prober, proof: Proof) -> None:
    """By UDP with room for 512 or 1232 bytes the answer keeps to it and says that it is cut."""
    name, record = services["crowd"].full_name, ADDRESS_RECORD[world.family]
    cells = every([world["client"]], [RESOLVER], [lookup(name, record), lookup(name, record, edns_size=1232)])

    seen = prober.sweep(cells)

    proof.concludes(judge(all_of(cells, reached(within=0.9)), seen))
    shown = [(one.cell.probe.edns_size or 512, one.received, one.detail) for one in seen]
    proof.fact("each is truncated", all("truncated" in detail for *_, detail in shown), shown)
    proof.fact("none is larger than there is room", all(got <= room for room, got, _ in shown), shown)
