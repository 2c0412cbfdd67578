"""The prober end to end over loopback: real agents, real packets, each outcome where it belongs."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address
from socket import AF_INET, SOCK_DGRAM, SOCK_STREAM, socket
from threading import Thread

import dns.message
import dns.rrset
import pytest

from clusters import shell
from fixtures.agent import wire
from fixtures.agent.servers import _Flows, _Upload
from fixtures.agent.session import ask
from fixtures.agent.waits import Pulse
from fixtures.agent.wire import Question
from fixtures.endpoints.conversation import AgentRefused
from fixtures.endpoints.endpoint import StreamBroken
from fixtures.endpoints.streams import LineStream
from fixtures.probes.capture import Capture
from fixtures.probes.convergence import must_become
from fixtures.probes.patience import RUN, SHORT
from fixtures.probes.plan import Destination, at, cell, every, foreign, localhost
from fixtures.probes.runner import Prober
from fixtures.probes.ways import flow, get, lookup, ping, tcp, udp
from fixtures.verdicts.expectation import reached, refused
from fixtures.verdicts.observation import Cell, Observation, Outcome, Probe
from fixtures.verdicts.verdict import Verdict
from suites.selfcheck.local_agents import AGENT, LocalAgent, agent, free_port, serving

LOOPBACK = ip_address("127.0.0.1")


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    number = free_port()
    with serving("server", number):
        yield number


@pytest.fixture
def here() -> LocalAgent:
    return LocalAgent()


@pytest.fixture
def stored() -> list[Observation]:
    return []


@pytest.fixture
def prober(here: LocalAgent, stored: list[Observation]) -> Iterator[Prober]:
    made = Prober({here.name: here}, stored.extend)
    yield made
    made.conversations.close()


def server(address: str = "127.0.0.1") -> Destination:
    return Destination("server", address, frozenset({"server"}))


def one(prober: Prober, here: LocalAgent, destination: Destination, probe: Probe) -> Observation:
    (seen,) = prober.sweep([cell(here, destination, probe)])
    return seen


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("way", [tcp, udp, get])
def test_an_answer_says_who_and_where(
    prober: Prober, here: LocalAgent, port: int, address: str, way: type
) -> None:
    seen = one(prober, here, server(address), way(port, size=3000))
    assert (seen.outcome, seen.answered_by, seen.received) == (Outcome.REACHED, "server", 3000)
    assert seen.served_at == (ip_address(address), port)
    assert seen.seen_as == seen.source_address
    assert seen.seconds is not None


def test_a_large_request_is_counted_at_its_server(prober: Prober, here: LocalAgent, port: int) -> None:
    seen = one(prober, here, server(), tcp(port, size=2_000_000, send=3_000_000, timeout=5))
    assert (seen.outcome, seen.delivered, seen.received) == (Outcome.REACHED, 3_000_000, 2_000_000)
    assert seen.segments > 0
    assert seen.segments_there > 0
    assert seen.resent < seen.segments


@pytest.mark.parametrize("size", [200, 9000])
def test_a_flow_is_counted_at_its_server(prober: Prober, here: LocalAgent, port: int, size: int) -> None:
    seen = one(prober, here, server(), flow(port, count=100, size=size))
    assert (seen.outcome, seen.delivered, seen.repeated) == (Outcome.REACHED, 100, 0)


def test_what_was_changed_or_came_twice_on_the_way_is_counted_as_such() -> None:
    flows, marker = _Flows(), "0123456789abcdef"
    whole = [wire.flowing(marker, number, 300) for number in (1, 2, 2)]
    for datagram in (*whole, whole[0][:-1] + b"!", whole[0][:20]):
        if asked := wire.parse_flowing(datagram):
            flows.note(*asked)
    assert flows.counts(marker) == (2, 1)


def test_an_upload_that_was_changed_counts_until_there() -> None:
    upload = _Upload("0123456789abcdef", 0, 1000)
    right = wire.payload("0123456789abcdef", 1000)
    rest = upload.take(right[:400] + b"!" * 100)
    rest += upload.take(right[500:] + b"more")
    assert (upload.right, upload.left, rest) == (400, 0, b"more")


def test_the_handshake_is_timed_alone(prober: Prober, here: LocalAgent, port: int) -> None:
    seen = one(prober, here, server(), tcp(port, size=5_000_000))
    assert seen.connect_seconds is not None
    assert seen.seconds is not None
    assert seen.connect_seconds < seen.seconds
    assert (seen.received, seen.resent) == (5_000_000, 0)


@pytest.mark.parametrize("way", [tcp, udp])
def test_the_source_port_can_be_chosen(prober: Prober, here: LocalAgent, port: int, way: type) -> None:
    chosen = free_port()
    for _ in range(3):
        assert one(prober, here, server(), way(port, source_port=chosen)).seen_as == (LOOPBACK, chosen)


@pytest.mark.parametrize("way", [tcp, udp, get])
def test_a_closed_port_refuses(prober: Prober, here: LocalAgent, way: type) -> None:
    seen = one(prober, here, server(), way(free_port()))
    assert (seen.outcome, seen.connect_seconds) == (Outcome.REFUSED, None)
    assert "ECONNREFUSED" in seen.detail


def test_a_server_that_accepts_and_is_silent_times_out_connected(prober: Prober, here: LocalAgent) -> None:
    with socket(AF_INET, SOCK_STREAM) as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        seen = one(prober, here, server(), tcp(mute.getsockname()[1], timeout=0.5))
    assert (seen.outcome, seen.detail) == (Outcome.TIMED_OUT, "connected, no answer")
    assert seen.connect_seconds is not None
    assert seen.seconds is None


def test_udp_without_an_answer_times_out(prober: Prober, here: LocalAgent) -> None:
    with socket(AF_INET, SOCK_DGRAM) as mute:
        mute.bind(("127.0.0.1", 0))
        seen = one(prober, here, server(), udp(mute.getsockname()[1], timeout=0.5))
        assert len(mute.recv(65536)) > 0
        mute.setblocking(False)
        with pytest.raises(BlockingIOError):
            mute.recv(65536)  # the one datagram was never sent again
    assert (seen.outcome, seen.detail) == (Outcome.TIMED_OUT, "no answer")


@pytest.mark.parametrize("way", [tcp, udp, get])
def test_somebody_else_is_the_wrong_peer(prober: Prober, here: LocalAgent, port: int, way: type) -> None:
    other = Destination("other", "127.0.0.1", frozenset({"other"}))
    seen = one(prober, here, other, way(port))
    assert (seen.outcome, seen.answered_by) == (Outcome.WRONG_PEER, "server")


def test_of_a_foreign_server_the_handshake_is_enough(prober: Prober, here: LocalAgent) -> None:
    with socket(AF_INET, SOCK_STREAM) as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        seen = one(prober, here, foreign("api", "127.0.0.1"), tcp(mute.getsockname()[1]))
    assert (seen.outcome, seen.detail) == (Outcome.REACHED, "handshake alone")


def test_a_datagram_that_may_not_be_cut_is_too_big(prober: Prober, here: LocalAgent, port: int) -> None:
    fits, too_big = prober.sweep(
        every([here], [server()], [udp(port, size=1000, dont_fragment=True), udp(port, size=65508)])
    )
    assert (fits.outcome, too_big.outcome) == (Outcome.REACHED, Outcome.TOO_BIG)
    assert "EMSGSIZE" in too_big.detail


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_ping(prober: Prober, here: LocalAgent, address: str) -> None:
    seen = one(prober, here, Destination("host", address), ping(1200))
    if seen.outcome is Outcome.PROBE_BROKEN and "CAP_NET_RAW" in seen.detail:
        pytest.skip(seen.detail)
    assert (seen.outcome, seen.received) == (Outcome.REACHED, 1200)


def test_no_resolver_refuses(prober: Prober, here: LocalAgent) -> None:
    seen = one(prober, here, foreign("dns", "127.0.0.9"), lookup("web.example."))
    assert seen.outcome in (Outcome.REFUSED, Outcome.PROBE_BROKEN)


def answer_once(server: socket, addresses: tuple[str, ...]) -> None:
    """The next question asks for a name's IPv4 addresses: it has these."""
    data, asker = server.recvfrom(65536)
    reply = dns.message.make_response(dns.message.from_wire(data))
    reply.answer.append(dns.rrset.from_text(reply.question[0].name, 30, "IN", "A", *addresses))
    server.sendto(reply.to_wire(want_shuffle=False), asker)


def test_the_addresses_of_a_name_stay_in_the_servers_order(prober: Prober, here: LocalAgent) -> None:
    listed = ("192.0.2.9", "192.0.2.1", "192.0.2.5")
    with socket(AF_INET, SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        Thread(target=answer_once, args=(server, listed), daemon=True).start()
        asked = replace(lookup("web.example."), port=server.getsockname()[1])
        seen = one(prober, here, foreign("dns", "127.0.0.1"), asked)
    assert (seen.outcome, seen.answers) == (Outcome.REACHED, listed)


def answer_both(server: socket) -> None:
    """The next two questions are for both kinds of address: the name has neither."""
    for _ in range(2):
        data, asker = server.recvfrom(65536)
        server.sendto(dns.message.make_response(dns.message.from_wire(data)).to_wire(), asker)


def test_a_name_without_such_a_record_is_no_unknown_name(prober: Prober, here: LocalAgent) -> None:
    with socket(AF_INET, SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        Thread(target=answer_both, args=(server,), daemon=True).start()
        asked = replace(lookup("web.example.", "A+AAAA"), port=server.getsockname()[1])
        seen = one(prober, here, foreign("dns", "127.0.0.1"), asked)
    assert (seen.outcome, seen.answers) == (Outcome.NO_DATA, ())


def test_two_queries_of_one_look_up_never_share_their_id(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dns.entropy.random_16", lambda: 7)
    with socket(AF_INET, SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        Thread(target=answer_both, args=(server,), daemon=True).start()
        port = server.getsockname()[1]
        question = Question(0, "dns", "127.0.0.1", port, 1.0, "", query="web.example.", record="A+AAAA")
        answer = asyncio.run(ask(question, Pulse()))
    assert answer.outcome == "NO_DATA"


def test_what_the_agent_cannot_ask_is_broken(prober: Prober, here: LocalAgent, port: int) -> None:
    with socket(AF_INET, SOCK_DGRAM) as holder:
        holder.bind(("0.0.0.0", 0))
        seen = one(prober, here, server(), udp(port, source_port=holder.getsockname()[1]))
    assert seen.outcome is Outcome.PROBE_BROKEN
    assert "EADDRINUSE" in seen.detail


def test_a_killed_prober_is_broken_and_opened_anew_for_the_next_sweep(
    prober: Prober, here: LocalAgent, port: int
) -> None:
    assert one(prober, here, server(), tcp(port)).outcome is Outcome.REACHED
    os.kill(here.opened[0].pid, signal.SIGKILL)
    seen = one(prober, here, server(), tcp(port))
    assert seen.outcome is Outcome.PROBE_BROKEN
    assert len(here.opened) == 1
    assert one(prober, here, server(), tcp(port)).outcome is Outcome.REACHED
    assert len(here.opened) == 2


def test_one_source_that_cannot_be_opened_breaks_its_own_cells_alone(
    here: LocalAgent, stored: list[Observation], port: int
) -> None:
    class Gone(LocalAgent):
        def open_stream(self) -> LineStream:
            raise StreamBroken("no such pod")

    gone = Gone(name="gone")
    prober = Prober({"here": here, "gone": gone}, stored.extend)
    seen = prober.sweep(every([gone, here], [server()], [tcp(port)]))
    prober.conversations.close()
    assert [it.outcome for it in seen] == [Outcome.PROBE_BROKEN, Outcome.REACHED]
    assert seen.observations[0].detail == "no such pod"


def test_observations_are_stored_in_the_plans_order(
    prober: Prober, here: LocalAgent, stored: list[Observation], port: int
) -> None:
    plan = every([here], [server(), server("::1")], [udp(port), tcp(port), tcp(free_port()), ping()])
    seen = prober.sweep(plan)
    assert tuple(it.cell for it in seen) == plan
    assert tuple(stored) == seen.observations
    assert len({it.cell.marker for it in seen}) == len(plan)


def test_a_sweep_takes_one_timeout_however_many_are_silent(prober: Prober, here: LocalAgent) -> None:
    with socket(AF_INET, SOCK_DGRAM) as mute:
        mute.bind(("127.0.0.1", 0))
        seen = prober.sweep(every([here], [server()] * 60, [udp(mute.getsockname()[1], timeout=0.5)]))
    assert {it.outcome for it in seen} == {Outcome.TIMED_OUT}
    assert max(it.at for it in seen) - min(it.at for it in seen) < 0.5


def test_more_listeners_can_be_opened_and_collide_with_those_that_are_there(
    prober: Prober, here: LocalAgent, port: int
) -> None:
    conversation = prober.conversations.with_(here)
    with pytest.raises(AgentRefused, match=f"tcp port {port} is taken"):
        conversation.listen(tcp=[port])
    extra = free_port()
    number = conversation.listen(tcp=[extra], udp=[extra], identity="extra")
    assert (
        one(prober, here, Destination("extra", "::1", frozenset({"extra"})), udp(extra)).outcome is Outcome.REACHED
    )
    conversation.stop(number)
    assert one(prober, here, Destination("extra", "127.0.0.1"), tcp(extra)).outcome is Outcome.REFUSED


def test_files_and_commands_are_read_over_the_same_stream(prober: Prober, here: LocalAgent) -> None:
    conversation = prober.conversations.with_(here)
    assert conversation.read("/proc/self/comm", "/nowhere")["/nowhere"] is None
    assert conversation.run(["cat"], stdin="through").out == "through"
    with pytest.raises(AgentRefused, match="status 1"):
        conversation.run(["false"])
    with pytest.raises(AgentRefused, match="ENOENT"):
        conversation.run(["no-such-program"])


def test_convergence_is_a_number(prober: Prober, here: LocalAgent, port: int) -> None:
    expected = {cell(here, at(LocalAgent("server", "server")), tcp(port)): reached()}
    done = must_become(prober, expected, within=5)
    assert done.seconds is not None
    assert 0 < done.seconds < 5
    assert (done.sweeps, done.judgement.verdict) == (3, Verdict.PASS)


def test_what_does_not_converge_has_no_number_and_a_red_judgement(
    prober: Prober, here: LocalAgent, port: int
) -> None:
    expected = {cell(here, localhost(LocalAgent("server", "server")), tcp(port)): refused()}
    done = must_become(prober, expected, within=0.5)
    assert (done.seconds, done.judgement.verdict) == (None, Verdict.FAIL)


def test_once_patience_is_spent_a_wait_is_short(prober: Prober, here: LocalAgent, port: int) -> None:
    expected = {cell(here, localhost(LocalAgent("server", "server")), tcp(port)): refused()}
    prober.patience.in_vain(RUN)
    began = time.monotonic()
    must_become(prober, expected, within=60.0)
    assert SHORT - 1 <= time.monotonic() - began <= SHORT + 10


def test_an_unknown_source_is_a_mistake_in_the_check(prober: Prober) -> None:
    with pytest.raises(LookupError, match="no endpoint 'nobody'"):
        prober.sweep([Cell("nobody", "server", "127.0.0.1", tcp(80))])


def test_a_taken_port_is_said_with_its_own_exit_status(port: int) -> None:
    done = shell.run(agent("serve", "--tcp", str(port)), env=AGENT, check=False, timeout=20)
    assert done.status == 98
    assert f"tcp port {port} is taken" in done.stderr


def test_a_server_ends_at_once_when_told_to() -> None:
    with serving("server", free_port()) as process:
        began = time.monotonic()
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(5) == 0
        assert time.monotonic() - began < 2


def test_a_prober_without_pipes_says_so() -> None:
    done = shell.run(agent("probe"), env=AGENT, check=False, timeout=20)
    assert done.status == 2
    assert "probe talks over pipes" in done.stderr


def test_a_capture_shows_the_probe_and_not_the_request_for_it(prober: Prober, here: LocalAgent, port: int) -> None:
    capture = Capture()
    asked = every([here], [server()], [udp(port), tcp(port, size=100)])
    try:
        with capture.on([here], asked, links=["lo"]) as taps:
            prober.sweep(asked)
    except AgentRefused as refusal:
        pytest.skip(str(refusal))
    finally:
        capture.close()
    over_udp = [str(hop.packet).split()[3] for hop in taps.hops(asked[0])]
    assert over_udp == ["udp"] * 4  # question and answer, each leaving and entering lo
    assert {hop.link for hop in taps.frames} == {"lo"}
    assert all(str(port) in str(hop.packet) for hop in taps.hops(asked[1]))


def test_a_standstill_of_the_prober_is_noticed() -> None:
    async def stood_still() -> tuple[float, float]:
        pulse = Pulse()
        pulse.start()
        began = time.monotonic()
        await asyncio.get_running_loop().create_task(_busy(0.2))
        during = pulse.lag_since(began)
        later = time.monotonic()
        pulse.stop()
        return during, pulse.lag_since(later)

    async def _busy(seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            pass

    during, later = asyncio.run(stood_still())
    assert during > 0.1
    assert later == 0.0
