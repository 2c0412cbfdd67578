"""One segment for the modules that look at a card and its network, and leave both as they were."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from clusters.capabilities import Capability
from fixtures.engines.engines import Engines
from fixtures.evidence.record import Collector
from fixtures.lab.cabling import Cablings
from fixtures.lab.topologies.segment import Segment, segment
from fixtures.plugins.networks import standing
from fixtures.plugins.showing import shown
from fixtures.report.recorder import Run


@pytest.fixture(scope="package")
def common(
    pytestconfig: pytest.Config, engines: Engines, cablings: Cablings, collectors: list[Collector], run: Run
) -> Iterator[Segment]:
    """A Docker host with two containers of a macvlan network, and a peer: made once, for making it takes longest.

    A module that uses it says so by a `lab` of its own, `common.macvlan.lab`.
    """
    with shown(pytestconfig):
        engine = engines.having(Capability.MACVLAN)
    with standing(pytestconfig, engine, cablings, collectors, run) as lab:
        yield segment(lab)
