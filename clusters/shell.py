"""The one door through which processes are started.

Arguments are always lists and never pass through a shell. Every process runs in a session of its own,
so that an interrupt at the terminal reaches it through us and its whole group can be ended.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

Argument = str | Path
Talking = subprocess.Popen[bytes]
"""A process that `converse` started."""
Process = subprocess.Popen[bytes]
"""A process that goes on beside us."""


@dataclass(frozen=True)
class Completed:
    """A finished process: what was run, how it ended, and what it said (decoded, errors replaced)."""

    command: tuple[str, ...]
    status: int
    stdout: str
    stderr: str
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether the exit status was 0."""
        return self.status == 0


class CommandFailed(Exception):
    """A process that had to succeed ended with a status other than 0, or could not be started or finished."""

    def __init__(self, command: Sequence[str], reason: str, output: str = "") -> None:
        self.command = tuple(command)
        self.reason = reason
        self.output = output
        tail = "\n".join(output.strip().splitlines()[-15:])
        super().__init__(f"{shlex.join(command)}: {reason}" + (f"\n{tail}" if tail else ""))


def run(
    command: Sequence[Argument],
    *,
    check: bool = True,
    stdin: str | bytes | None = None,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float = 120.0,
    log: Path | None = None,
) -> Completed:
    """Run `command` to its end.

    `env` is added to our own environment. `timeout` is in seconds; past it the process group is killed.
    With `log` both output streams are appended to that file instead of being returned, so that a long
    build can be followed while it runs. Raises CommandFailed when it cannot be started, does not finish
    in time, or (with `check`) ends with a status other than 0.
    """
    words = [str(word) for word in command]
    data = stdin.encode() if isinstance(stdin, str) else stdin
    started = time.monotonic()
    if log is not None:
        log.parent.mkdir(parents=True, exist_ok=True)
    sink = log.open("ab") if log is not None else None
    try:
        process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE if data is not None else subprocess.DEVNULL,
            stdout=sink or subprocess.PIPE,
            stderr=subprocess.STDOUT if sink else subprocess.PIPE,
            cwd=cwd,
            env={**os.environ, **env} if env else None,
            start_new_session=True,
        )
    except OSError as error:
        raise CommandFailed(words, f"cannot be started: {error.strerror}") from error
    finally:
        if sink is not None:
            sink.close()
    _waited_for.add(process)
    try:
        out, err = process.communicate(data, timeout=timeout)
    except subprocess.TimeoutExpired as error:
        end(process)
        raise CommandFailed(words, f"not finished after {timeout:.0f} s", _tail(log)) from error
    except BaseException:
        end(process)
        raise
    finally:
        _waited_for.discard(process)
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:  # one that was not read to its end is open still
                pipe.close()
    done = Completed(
        command=tuple(words),
        status=process.returncode,
        stdout=(out or b"").decode(errors="replace"),
        stderr=(err or b"").decode(errors="replace"),
        seconds=time.monotonic() - started,
    )
    if check and not done.ok:
        raise CommandFailed(words, f"exit status {done.status}", done.stderr or done.stdout or _tail(log))
    return done


def start(
    command: Sequence[Argument],
    *,
    log: Path,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> Process:
    """Start a process that goes on beside us, its output in `log`; end it with `end`."""
    words = [str(word) for word in command]
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as sink:
        try:
            return subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                env={**os.environ, **env} if env else None,
                start_new_session=True,
            )
        except OSError as error:
            raise CommandFailed(words, f"cannot be started: {error.strerror}") from error


def converse(command: Sequence[Argument], *, env: Mapping[str, str] | None = None) -> Talking:
    """Start a process to talk with over pipes on its standard input, output and error; end it with `end`."""
    words = [str(word) for word in command]
    try:
        return subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            env={**os.environ, **env} if env else None,
            start_new_session=True,
        )
    except OSError as error:
        raise CommandFailed(words, f"cannot be started: {error.strerror}") from error


def end(process: Process, grace: float = 5.0) -> None:
    """End a process that we started, with its group: asked first, killed after `grace` seconds."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, sign)
        except ProcessLookupError:
            break
        try:
            process.wait(grace)
            break
        except subprocess.TimeoutExpired:
            continue
    process.wait()


_waited_for: set[Process] = set()
"""The processes that `run` waits for, in all threads."""


def end_waited_for() -> None:
    """End every process that `run` waits for in any thread, each of which then sees it fail.

    For an interrupt, which only the main thread gets to know of.
    """
    for process in list(_waited_for):
        end(process)


def _tail(log: Path | None) -> str:
    if log is None or not log.exists():
        return ""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 4000))
        return file.read().decode(errors="replace") + f"\n(whole log: {log})"
