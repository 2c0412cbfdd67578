"""What became of a request without an answer is asked at its destination: real agents, lost datagrams."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from socket import AF_INET, SOCK_DGRAM, socket
from threading import Thread

import pytest

from clusters import shell
from fixtures.endpoints.endpoint import StreamBroken
from fixtures.endpoints.streams import LineStream
from fixtures.probes.plan import Destination, cell
from fixtures.probes.runner import Prober
from fixtures.probes.ways import tcp, udp
from fixtures.verdicts.observation import Arrival, Observation, Outcome, Probe
from suites.selfcheck.local_agents import LocalAgent, free_port, serving


@contextmanager
def one_way_to(port: int) -> Iterator[int]:
    """A port whose datagrams are handed on to another one, while answers go nowhere."""
    with socket(AF_INET, SOCK_DGRAM) as relay:
        relay.bind(("127.0.0.1", 0))

        def hand_on() -> None:
            relay.sendto(relay.recv(65536), ("127.0.0.1", port))

        Thread(target=hand_on, daemon=True).start()
        yield relay.getsockname()[1]


def apart(name: str) -> LocalAgent:
    """An agent in a network namespace of its own, which has no link and no route."""
    if not shell.run(["unshare", "-rn", "true"], check=False).ok:
        pytest.skip("user namespaces are switched off here: unshare -rn is refused")
    return LocalAgent(name, name, before=("unshare", "-rn"))


def asked(server: LocalAgent, probe: Probe) -> Observation:
    """One question to an endpoint that is a server on loopback."""
    here = LocalAgent()
    prober = Prober({"here": here, "server": server}, list)
    try:
        (seen,) = prober.sweep([cell(here, Destination("server", "127.0.0.1", frozenset({"server"})), probe)])
    finally:
        prober.conversations.close()
    return seen


def test_an_answer_that_was_lost_is_told_from_a_request_that_never_came() -> None:
    port = free_port()
    with serving("server", port), one_way_to(port) as relay, socket(AF_INET, SOCK_DGRAM) as mute:
        mute.bind(("127.0.0.1", 0))
        lost_answer = asked(LocalAgent("server", "server"), udp(relay, timeout=0.3))
        never_came = asked(LocalAgent("server", "server"), udp(mute.getsockname()[1], timeout=0.3))
    assert (lost_answer.outcome, lost_answer.arrival) == (Outcome.TIMED_OUT, Arrival.REQUEST)
    assert (never_came.outcome, never_came.arrival) == (Outcome.TIMED_OUT, Arrival.NOTHING)
    assert (lost_answer.listens, never_came.listens) == (True, True)


def test_a_destination_that_does_not_listen_is_found_out() -> None:
    with socket(AF_INET, SOCK_DGRAM) as mute:
        mute.bind(("127.0.0.1", 0))
        seen = asked(apart("server"), udp(mute.getsockname()[1], timeout=0.3))
    assert (seen.listens, seen.arrival) == (False, Arrival.NOTHING)


def test_an_agent_that_does_not_answer_listens_nowhere() -> None:
    class Gone(LocalAgent):
        def open_stream(self) -> LineStream:
            raise StreamBroken("no such pod")

    with socket(AF_INET, SOCK_DGRAM) as mute:
        mute.bind(("127.0.0.1", 0))
        seen = asked(Gone("server", "server"), udp(mute.getsockname()[1], timeout=0.3))
    assert (seen.listens, seen.arrival) == (False, Arrival.UNKNOWN)


def test_what_came_in_an_earlier_sweep_does_not_count() -> None:
    port = free_port()
    here, server = LocalAgent(), LocalAgent("server", "server")
    asked_twice = [cell(here, Destination("server", "127.0.0.1", frozenset({"server"})), udp(port, timeout=0.3))]
    prober = Prober({"here": here, "server": server}, list)
    try:
        with serving("server", port):
            (first,) = prober.sweep(asked_twice)
        with socket(AF_INET, SOCK_DGRAM) as mute:
            mute.bind(("127.0.0.1", port))
            (second,) = prober.sweep(asked_twice)
    finally:
        prober.conversations.close()
    assert (first.outcome, second.outcome, second.arrival) == (Outcome.REACHED, Outcome.TIMED_OUT, Arrival.NOTHING)


def test_an_answered_sweep_asks_nobody() -> None:
    server, port = LocalAgent("server", "server"), free_port()
    with serving("server", port):
        seen = asked(server, udp(port))
    assert (seen.outcome, seen.listens, server.opened) == (Outcome.REACHED, None, [])


@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1"])
@pytest.mark.parametrize("way", [tcp, udp])
def test_without_a_route_nothing_is_sent(way: type, address: str) -> None:
    alone = apart("alone")
    prober = Prober({"alone": alone}, list)
    try:
        (seen,) = prober.sweep([cell(alone, Destination("elsewhere", address), way(80, timeout=0.3))])
    finally:
        prober.conversations.close()
    assert seen.outcome is Outcome.NEVER_SENT
    assert seen.detail.split(":")[0] in ("ENETUNREACH", "EADDRNOTAVAIL")
