"""Long work as steps that need one another, carried out side by side where they can be."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum

from clusters import shell
from clusters.progress import Progress


class Lane(StrEnum):
    """What a step mostly waits for. One step of each lane runs at a time."""

    NETWORK = "network"
    COMPILER = "compiler"
    """Uses all cores by itself."""
    DISK = "disk"


@dataclass(frozen=True)
class Artifact:
    """Something to make: its name (unique), how it is shown, what it mostly waits for, and from what it is made.

    `present` says whether it is there already: then neither it nor what it needs has to be made. `make` makes it
    and must leave either all of it or nothing, so that an interrupted build goes on where it was.
    """

    name: str
    shown: str
    lane: Lane
    present: Callable[[], bool]
    make: Callable[[], object]
    needs: tuple[Artifact, ...] = ()


@dataclass(frozen=True)
class Step:
    """The making of one artifact, and the names of those that have to be made before."""

    artifact: Artifact
    after: frozenset[str]


def missing(target: Artifact) -> list[Step]:
    """The steps that make `target`, in an order in which every step comes after what it needs."""
    steps: dict[str, Step] = {}
    present: dict[str, bool] = {}

    def visit(artifact: Artifact) -> None:
        if artifact.name in present:
            return
        present[artifact.name] = artifact.present()
        if present[artifact.name]:
            return
        for need in artifact.needs:
            visit(need)
        after = frozenset(need.name for need in artifact.needs if not present[need.name])
        steps[artifact.name] = Step(artifact, after)

    visit(target)
    return list(steps.values())


def carry_out(steps: Sequence[Step], progress: Progress) -> None:
    """Take all steps, each lane in the given order as far as needs allow.

    After an error no further step begins; those that run are waited for, then the first error is raised. An
    interrupt ends the processes of those that run.
    """
    work = _Work(steps, progress)
    with ThreadPoolExecutor(len(Lane), thread_name_prefix="step") as pool:
        lanes = [pool.submit(work.take, lane) for lane in Lane]
        try:
            for lane in lanes:
                lane.result()
        except BaseException as error:
            work.stop(error)
            shell.end_waited_for()
            raise
    if work.error is not None:
        raise work.error


class _Work:
    """What is left, what is done, and the first error; shared by the lanes."""

    def __init__(self, steps: Sequence[Step], progress: Progress) -> None:
        self._waiting = list(steps)
        self._unfinished = {step.artifact.name for step in steps}
        self._progress = progress
        self._changed = threading.Condition()
        self.error: BaseException | None = None

    def take(self, lane: Lane) -> None:
        """Take this lane's steps, one after the other, until none is left."""
        while (step := self._next(lane)) is not None:
            error: BaseException | None = None
            try:
                with self._progress.step(step.artifact.shown):
                    step.artifact.make()
            except BaseException as caught:  # noqa: BLE001  raised again by carry_out
                error = caught
            with self._changed:
                self._unfinished.discard(step.artifact.name)
                self.error = self.error or error
                self._changed.notify_all()

    def stop(self, error: BaseException) -> None:
        """Let no further step begin."""
        with self._changed:
            self.error = self.error or error
            self._changed.notify_all()

    def _next(self, lane: Lane) -> Step | None:
        """The first step of the lane that can be taken, once there is one; None when there will be none."""
        with self._changed:
            while self.error is None:
                mine = [step for step in self._waiting if step.artifact.lane is lane]
                if not mine:
                    return None
                for step in mine:
                    if not step.after & self._unfinished:
                        self._waiting.remove(step)
                        return step
                self._changed.wait()
            return None
