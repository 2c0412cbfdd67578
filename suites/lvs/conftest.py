"""One farm of servers for the whole suite, since a lab is dear where the engine is a guest."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from clusters.capabilities import Capability
from fixtures.engines.engine import Engine
from fixtures.engines.engines import Engines
from fixtures.evidence.record import Collector
from fixtures.lab.cabling import Cablings
from fixtures.lab.lab import Lab
from fixtures.lab.topologies.lvs_farm import Farm, stood_up
from fixtures.plugins.networks import standing
from fixtures.plugins.showing import shown
from fixtures.report.recorder import Run

NEEDED = (Capability.IPVS, Capability.IPIP, Capability.IPSET, Capability.CONNTRACK)
"""What the modules of this suite need between them, so that all can work on one engine."""


@pytest.fixture(scope="package")
def standing_farm(
    request: pytest.FixtureRequest, engines: Engines, cablings: Cablings, collectors: list[Collector], run: Run
) -> Iterator[Farm]:
    """A client, a director and three real servers, joined by a switch; no virtual server yet."""
    with shown(request.config):
        engine = engines.having(*NEEDED)
    with standing(request.config, engine, cablings, collectors, run) as lab:
        yield stood_up(lab)


@pytest.fixture(scope="module")
def farm(engine: Engine, standing_farm: Farm) -> Farm:  # noqa: ARG001 - the module's engine is noted in the report
    """The farm, for a module to build its virtual servers on."""
    return standing_farm


@pytest.fixture(scope="module")
def lab(farm: Farm) -> Lab:
    """The farm's lab, in place of one for each module."""
    return farm.lab
