"""One trunk for the modules about VLANs, since a lab is dear where the engine is a guest.

The fixture `lab` of such a module is the trunk's: in it stands what the others have put there, besides its own.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from clusters.capabilities import Capability
from fixtures.engines.engine import Engine
from fixtures.engines.engines import Engines
from fixtures.evidence.record import Collector
from fixtures.lab.cabling import Cablings
from fixtures.lab.topologies.trunk import Trunk, stood_up
from fixtures.plugins.networks import standing
from fixtures.plugins.showing import shown
from fixtures.report.recorder import Run

NEEDED = (Capability.VLAN, Capability.MACVLAN)
"""What the modules on the trunk need between them, so that all can work on one engine."""


@pytest.fixture(scope="package")
def standing_trunk(
    request: pytest.FixtureRequest, engines: Engines, cablings: Cablings, collectors: list[Collector], run: Run
) -> Iterator[Trunk]:
    """A Docker host, a switch and a container; the modules add to it, each under names of its own."""
    with shown(request.config):
        engine = engines.having(*NEEDED)
    with standing(request.config, engine, cablings, collectors, run) as lab:
        yield stood_up(lab)


@pytest.fixture(scope="module")
def trunk(engine: Engine, standing_trunk: Trunk) -> Trunk:  # noqa: ARG001 - the module's engine is noted in the report
    """The trunk, for a module to build on."""
    return standing_trunk
