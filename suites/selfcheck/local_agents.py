"""Real agents as processes of this machine, talked to over pipes: the prober end to end, without Docker."""

from __future__ import annotations

import atexit
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from shutil import rmtree
from socket import AF_INET, SOCK_DGRAM, SOCK_STREAM, socket
from tempfile import mkdtemp

from clusters import shell
from fixtures.endpoints.endpoint import Kind, StreamBroken
from fixtures.endpoints.streams import Channel, LineStream
from fixtures.verdicts.observation import IPAddress

AGENT = {"PYTHONPATH": str(Path(__file__).parents[2] / "fixtures"), "TMPDIR": mkdtemp(prefix="netproof-agents-")}
atexit.register(rmtree, AGENT["TMPDIR"], ignore_errors=True)


def agent(*words: str) -> list[str]:
    """The command line of an agent."""
    return [sys.executable, "-m", "agent", *words]


class Pipes:
    """A Carrier over the pipes of a process."""

    def __init__(self, process: shell.Talking) -> None:
        self.process = process

    def send(self, data: bytes) -> None:
        """Write to standard input."""
        assert self.process.stdin
        self.process.stdin.write(data)

    def receive(self, timeout: float) -> list[tuple[Channel, bytes]]:
        """What has come on standard output and error."""
        assert self.process.stdout
        assert self.process.stderr
        files = {self.process.stdout: Channel.OUT, self.process.stderr: Channel.ERROR}
        pieces = []
        for file in select.select(list(files), [], [], timeout)[0]:
            data = file.read(1 << 16)
            if data:
                pieces.append((files[file], data))
            elif file is self.process.stdout:
                raise StreamBroken(f"ended with status {self.process.wait(5)}")
        return pieces

    def close(self) -> None:
        """End the process."""
        for file in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert file
            file.close()
        shell.end(self.process)


@dataclass
class LocalAgent:
    """An endpoint that is a process of this machine, on loopback."""

    name: str = "here"
    identity: str = "here"
    node: str = "machine"
    kind: Kind = Kind.CONTAINER
    addresses: tuple[IPAddress, ...] = (ip_address("127.0.0.1"), ip_address("::1"))
    opened: list[shell.Talking] = field(default_factory=list)
    before: tuple[str, ...] = ()
    """Words before the command, such as those that give it a namespace of its own."""

    def open_stream(self) -> LineStream:
        """A new prober."""
        process = shell.converse(
            [*self.before, *agent("probe")], env={**AGENT, "NETPROOF_IDENTITY": self.identity}
        )
        self.opened.append(process)
        return LineStream(Pipes(process), f"prober of {self.name}")

    def shell_command(self, *words: str) -> str:
        """Just the words."""
        return " ".join(words)


def free_port() -> int:
    """A port that nobody has for TCP or UDP just now."""
    while True:
        with socket(AF_INET, SOCK_STREAM) as tcp, socket(AF_INET, SOCK_DGRAM) as udp:
            tcp.bind(("", 0))
            number: int = tcp.getsockname()[1]
            try:
                udp.bind(("", number))
            except OSError:
                continue
            return number


@contextmanager
def serving(identity: str, port: int) -> Iterator[shell.Talking]:
    """An agent that serves TCP and UDP on `port`, ready when the block begins."""
    command = agent("serve", "--tcp", str(port), "--udp", str(port))
    process = shell.converse(command, env={**AGENT, "NETPROOF_IDENTITY": identity})
    try:
        assert process.stdout
        assert select.select([process.stdout], [], [], 10)[0], "the agent did not get ready"
        yield process
    finally:
        Pipes(process).close()
