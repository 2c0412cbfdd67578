"""No probe comes from a port that a connection tracker may still remember."""

from __future__ import annotations

from pathlib import Path
from socket import AF_INET, SOCK_DGRAM, SOCK_STREAM, SocketKind, socket

import pytest

from fixtures.agent import ports_to_avoid
from fixtures.probes import source_ports
from fixtures.probes.source_ports import FIRST, MANY, unused_port
from suites.selfcheck.local_agents import free_port


@pytest.mark.parametrize("kind", [SOCK_STREAM, SOCK_DGRAM])
def test_a_port_that_may_be_remembered_is_not_used_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: SocketKind
) -> None:
    good = free_port()
    low, high = good - 20, good + 20
    (tmp_path / "range").write_text(f"{low} {high}\n")
    monkeypatch.setattr(ports_to_avoid, "_RANGE", tmp_path / "range")
    monkeypatch.setattr(ports_to_avoid, "_used", {})
    for port in {*range(low, high + 1)} - {good}:
        ports_to_avoid.shun("192.0.2.1", 80, kind, port)
    with socket(AF_INET, kind) as sock, socket(AF_INET, kind) as other:
        ports_to_avoid.steer(sock, "192.0.2.1", 80)
        ports_to_avoid.steer(other, "192.0.2.2", 80)
        assert (sock.getsockname()[1], other.getsockname()[1]) == (good, 0)


def test_ports_are_not_drawn_again_by_the_next_run() -> None:
    first = [unused_port() for _ in range(100)]
    assert len(set(first)) == 100
    assert all(FIRST <= port < FIRST + MANY for port in first)
    # A minute later another process begins where the clock then stands.
    later = source_ports.ports_from(first_second := 1_000_000.0), source_ports.ports_from(first_second + 60)
    one, other = ({next(ports) for _ in range(500)} for ports in later)
    assert not one & other
