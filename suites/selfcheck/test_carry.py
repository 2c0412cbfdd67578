"""What goes into the guest comes out of it unchanged, and the end of one way leaves the other open."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from clusters.images.agent import CONTEXTS


@pytest.fixture
def joined() -> Iterator[tuple[socket.socket, socket.socket]]:
    """The two outer ends of a joined pair of connections."""
    code = (CONTEXTS / "docker-guest" / "carry.py").read_text()
    module: dict[str, object] = {"__name__": "carry"}
    exec(compile(code, "carry.py", "exec"), module)
    (client, near), (far, server) = socket.socketpair(), socket.socketpair()
    worker = threading.Thread(target=module["join"], args=(near, far))  # type: ignore[arg-type]
    worker.start()
    with client, near, far, server:
        yield client, server
        client.close()
        server.close()
        worker.join(10)
    assert not worker.is_alive()


def test_the_answer_comes_after_the_question_has_ended(joined: tuple[socket.socket, socket.socket]) -> None:
    client, server = joined
    question, answer = bytes(range(256)) * 4096, b"answer" * 10_000
    sender = threading.Thread(target=say, args=(client, question))
    sender.start()
    assert all_of(server) == question
    say(server, answer)
    assert all_of(client) == answer
    sender.join(10)


def say(connection: socket.socket, words: bytes) -> None:
    connection.sendall(words)
    connection.shutdown(socket.SHUT_WR)


def all_of(connection: socket.socket) -> bytes:
    parts = []
    while part := connection.recv(1 << 16):
        parts.append(part)
    return b"".join(parts)
