"""tox's own plugin file: an environment for every suite and every profile, without a line in tox.ini."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path

from tox.config.loader.memory import MemoryLoader
from tox.config.sets import ConfigSet
from tox.config.types import Command
from tox.plugin import impl
from tox.session.state import State

sys.path.insert(0, str(Path(__file__).parent))

from clusters.legs import LEND, ORDER, lending, made_legs


@impl
def tox_extend_envs() -> Iterable[str]:
    """Name the environments of suites and profiles."""
    return [leg.name for leg in made_legs()]


@impl
def tox_add_core_config(core_conf: ConfigSet, state: State) -> None:  # noqa: ARG001 - tox calls it by these names
    """Say what each of them runs."""
    arguments = state.conf.pos_args(None) or ()
    lends = lending(os.environ.get(ORDER, "").split(","))
    for leg in made_legs():
        command = Command([*leg.command, *(LEND if leg.name in lends else ()), *arguments])
        state.conf.memory_seed_loaders[leg.name].append(
            MemoryLoader(description=leg.summary, commands=[command]),
        )
