"""Carries connections from Unix sockets of the guest's container to Unix sockets inside the guest.

    client → NAME.sock in the container (serve) → the tap → the guest (listen) → PATH, such as /run/docker.sock

`serve` names PATH in a first line. The only listener in between is on the point-to-point link, in a network
namespace that nobody else is in. Few imports: a slow kernel starts it.
"""

from __future__ import annotations

import os
import socket
import sys
import threading

PORT = 2375
_CHUNK = 1 << 16


def serve(path: str, target: str, address: str, owner: tuple[int, int]) -> None:
    """Offer `path` to the user and group `owner` alone; what connects there goes to `target` at `address`."""
    listener = socket.socket(socket.AF_UNIX)
    beside = path + ".new"
    listener.bind(beside)
    os.chmod(beside, 0o600)  # noqa: PTH101 - pathlib alone would double the time to start
    os.chown(beside, *owner)
    listener.listen(64)
    os.rename(beside, path)  # noqa: PTH104
    while True:
        near, _ = listener.accept()
        threading.Thread(target=_dial, args=(near, target, address), daemon=True).start()


def listen(address: str) -> None:
    """In the guest: join each connection to the socket that its first line names."""
    listener = socket.create_server((address, PORT), backlog=64)
    while True:
        near, _ = listener.accept()
        threading.Thread(target=_answer, args=(near,), daemon=True).start()


def _dial(near: socket.socket, target: str, address: str) -> None:
    with near, socket.create_connection((address, PORT)) as far:
        far.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        far.sendall(target.encode() + b"\n")
        join(near, far)


def _answer(near: socket.socket) -> None:
    with near, socket.socket(socket.AF_UNIX) as far:
        near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        path = b""
        while not path.endswith(b"\n"):
            byte = near.recv(1)
            if not byte:
                return
            path += byte
        far.connect(path[:-1])
        join(near, far)


def join(one: socket.socket, other: socket.socket) -> None:
    """Copy both ways until both have ended; the end of one way is passed on alone: `docker exec -i` needs that."""
    back = threading.Thread(target=_copy, args=(other, one), daemon=True)
    back.start()
    _copy(one, other)
    back.join()


def _copy(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(_CHUNK):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        # Broken on one side: end both, or the other way would wait for ever.
        for side in (source, sink):
            _end(side)


def _end(side: socket.socket) -> None:
    try:
        side.shutdown(socket.SHUT_RDWR)
    except OSError:
        return


if __name__ == "__main__":
    if sys.argv[1] == "listen":
        listen(sys.argv[2])
    else:
        serve(sys.argv[2], sys.argv[3], sys.argv[4], (int(sys.argv[5]), int(sys.argv[6])))
