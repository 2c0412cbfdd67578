"""What is known of each cluster between runs: whose it is, whether to keep it, what it was made from.

One folder per cluster under the state folder, readable by its owner alone: `record.json`, `kubeconfig`,
`kind.yaml`. A cluster without a record is not ours to sweep.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from clusters.bring_up import BringUp
from clusters.images.provide import Origin
from clusters.labels import RunId
from clusters.model import UsageError

PREFIX = "netproof-"
"""Every cluster's name begins with it; what is named otherwise is never touched."""


class Record(BaseModel):
    """One cluster. `recipe` is everything it was made from: only an equal one may take the cluster over.

    `run` is the run that uses it or used it last. One that is `lent` is in nobody's use: `run` is the command of
    several legs that holds it for the next of them. `bring_up` is None until the cluster is up.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    profile: str
    recipe: dict[str, str]
    run: str
    keep: bool = False
    lent: bool = False
    versions: dict[str, str] = {}
    images: tuple[Origin, ...] = ()
    bring_up: BringUp | None = None

    @property
    def in_use(self) -> bool:
        """Whether another run that still lives has it."""
        return not self.lent and self.run != str(RunId.current()) and RunId.parse(self.run).alive()

    @property
    def stale(self) -> bool:
        """Whether it was left behind by a run that is gone and did not mean to keep it."""
        return not self.keep and not RunId.parse(self.run).alive()


def takes_over(found: Record | None, stands: bool, wanted: Record) -> bool:
    """Whether the cluster that stands under that name can be taken over; if not, the name is free to be made new.

    `found` is what is known of the name, `stands` whether nodes of that name exist, and `wanted` holds as much of
    its recipe as is known by now. Raises UsageError when a living run has the name, or when somebody means to
    keep what stands there and it is not what is wanted.
    """
    name = wanted.name
    if found is None:
        if stands:
            raise UsageError(f"a cluster {name} stands that we have no record of. {_way_out(name)}")
        return False
    if found.in_use:
        pid = RunId.parse(found.run).pid
        raise UsageError(f"cluster {name} is in use by process {pid}, which still runs. Wait until it ends")
    if not (stands and (found.keep or found.lent) and found.bring_up is not None):
        return False
    difference = _difference(found, wanted)
    if difference and found.lent:
        return False
    if difference:
        raise UsageError(f"the kept cluster {name} was made from something else ({difference}). {_way_out(name)}")
    return True


def _way_out(name: str) -> str:
    return f"Remove it with: python -m clusters down {name}"


def _difference(found: Record, wanted: Record) -> str:
    """How the two were made from different things, as far as `wanted` says; "" where they were not."""
    there = found.recipe
    unequal = [part for part, value in wanted.recipe.items() if there.get(part) != value]
    return "; ".join(
        "the profile has changed"
        if part == "profile"
        else f"{part}: {there.get(part, 'none')} there, {wanted.recipe[part]} wanted"
        for part in unequal
    )


def folder(name: str) -> Path:
    """The cluster's own folder, made if need be."""
    path = _root() / name
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def kubeconfig(name: str) -> Path:
    """Where the cluster's kubeconfig is; nobody else's is ever written to."""
    return folder(name) / "kubeconfig"


def read(name: str) -> Record | None:
    """The record of a cluster; None where there is none, or none that this version can read."""
    try:
        return Record.model_validate_json((_root() / name / "record.json").read_bytes())
    except (OSError, ValidationError):
        return None


def write(record: Record) -> None:
    """Keep a record, in place of an older one."""
    path = folder(record.name) / "record.json"
    partial = path.with_suffix(".part")
    partial.write_text(record.model_dump_json(indent=2))
    partial.replace(path)


def remove(name: str) -> None:
    """Forget a cluster, its kubeconfig too."""
    shutil.rmtree(_root() / name, ignore_errors=True)


def every() -> list[Record]:
    """All clusters that we know of, by name."""
    found = (read(path.parent.name) for path in sorted(_root().glob("*/record.json")))
    return [record for record in found if record is not None]


@contextmanager
def exclusive() -> Iterator[None]:
    """Hold the records against other runs, for as long as it takes to look and to write."""
    _root().mkdir(mode=0o700, parents=True, exist_ok=True)
    with (_root() / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def state() -> Path:
    """`$NETPROOF_STATE`, else `netproof` in the user's state folder: what must outlive a run, and no cache."""
    if chosen := os.environ.get("NETPROOF_STATE"):
        return Path(chosen).absolute()
    base = os.environ.get("XDG_STATE_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".local" / "state") / "netproof"


def failure_folder(name: str) -> Path:
    """An empty folder for the logs of a cluster that failed; those of an earlier failure are dropped."""
    path = state() / "failures" / name
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    return path


def _root() -> Path:
    return state() / "clusters"
