"""Each rule of the judge is seen to pass, to fail and to say that it cannot tell."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address
from typing import Any

import pytest

from fixtures.verdicts.expectation import (
    Expectation,
    blocked,
    never_sent,
    no_such_name,
    no_such_record,
    not_reached,
    reached,
    refused,
    too_big,
    unanswered,
)
from fixtures.verdicts.judge import CellJudgement, EmptyPlan, judge
from fixtures.verdicts.observation import Arrival, Cell, Observation, Outcome, Placement, Probe, Protocol, Sweep
from fixtures.verdicts.verdict import Verdict
from suites.selfcheck.samples import cell, saw

CLIENT = IPv4Address("192.0.2.1")
NODE = IPv4Address("192.0.2.254")
TO_SERVER = cell("client", "server")
PING = cell("client", "server", protocol=Protocol.ICMP, port=0, peers=frozenset())
LOOK_UP = Cell("client", "dns", "198.51.100.10", Probe(Protocol.DNS, 53, query="web.default", record="A"))

PASS, FAIL, UNKNOWN = Verdict.PASS, Verdict.FAIL, Verdict.UNKNOWN


def one(promise: Expectation, *seen: Observation, witnesses: tuple[Sweep, ...] = ()) -> CellJudgement:
    """The judgement of the first observation's cell."""
    (judged,) = judge({seen[0].cell: promise}, seen, witnesses)
    return judged


@pytest.mark.parametrize(
    ("promise", "seen", "verdict", "says"),
    [
        (reached(), saw(TO_SERVER), PASS, "server answered after 2.0 ms"),
        (reached(), saw(TO_SERVER, Outcome.TIMED_OUT), FAIL, "no answer within 1.00 s; promised: reached"),
        (reached(), saw(TO_SERVER, Outcome.REFUSED, detail="ECONNREFUSED"), FAIL, "refused (ECONNREFUSED)"),
        (reached(), saw(TO_SERVER, Outcome.UNREACHABLE), FAIL, "unreachable"),
        (reached(), saw(TO_SERVER, Outcome.NAME_ERROR), FAIL, "does not exist"),
        (reached(), saw(TO_SERVER, Outcome.PROBE_BROKEN, detail="stream ended"), UNKNOWN, "stream ended"),
        (blocked(), saw(TO_SERVER, Outcome.PROBE_BROKEN), UNKNOWN, "says nothing about the network"),
        (blocked(), saw(TO_SERVER), FAIL, "server answered after 2.0 ms; promised: blocked"),
        (blocked(), saw(TO_SERVER, Outcome.REFUSED), FAIL, "promised: blocked"),
        (blocked(), saw(TO_SERVER, Outcome.WRONG_PEER, answered_by="other"), FAIL, "wrong one answered: other"),
        (blocked(), saw(TO_SERVER, Outcome.NAME_ERROR), UNKNOWN, "no packet ever tried to pass"),
        (blocked(), saw(LOOK_UP, Outcome.NAME_ERROR), FAIL, "promised: blocked"),
        (blocked(), saw(TO_SERVER, Outcome.TOO_BIG), UNKNOWN, "no packet ever tried to pass"),
        (not_reached(), saw(TO_SERVER, Outcome.REFUSED), PASS, "refused"),
        (not_reached(), saw(TO_SERVER), FAIL, "promised: not reached"),
        (refused(within=0.9), saw(TO_SERVER, Outcome.REFUSED), PASS, "refused"),
        (refused(within=0.9), saw(TO_SERVER, Outcome.REFUSED, seconds=0.95), FAIL, "took 0.95 s, over the bar"),
        (refused(within=0.9), saw(TO_SERVER, Outcome.REFUSED, seconds=None), UNKNOWN, "not measured"),
        (refused(), saw(TO_SERVER, Outcome.TIMED_OUT), FAIL, "promised: refused"),
        (too_big(), saw(PING, Outcome.TOO_BIG), PASS, "too big"),
        (too_big(), saw(PING), FAIL, "promised: too big"),
        (too_big(), saw(PING, Outcome.UNREACHABLE), FAIL, "promised: too big"),
        (no_such_name(within=0.5), saw(LOOK_UP, Outcome.NAME_ERROR), PASS, "web.default does not exist"),
        (no_such_name(within=0.5), saw(LOOK_UP, Outcome.NAME_ERROR, seconds=5.0), FAIL, "took 5.00 s"),
        (no_such_name(), saw(LOOK_UP), FAIL, "promised: no such name"),
    ],
)
def test_outcome(promise: Expectation, seen: Observation, verdict: Verdict, says: str) -> None:
    judged = one(promise, seen)
    assert judged.verdict is verdict
    assert says in judged.reason


@pytest.mark.parametrize(
    ("outcome", "answered_by", "verdict", "says"),
    [
        (Outcome.REACHED, "server", PASS, "server answered"),
        (Outcome.REACHED, "other", FAIL, "the wrong one answered: other"),
        (Outcome.REACHED, "", FAIL, "does not say who it is"),
        (Outcome.WRONG_PEER, "other", FAIL, "the wrong one answered: other"),
        (Outcome.WRONG_PEER, "server", FAIL, "the wrong one answered: server"),
    ],
)
def test_who_answered(outcome: Outcome, answered_by: str, verdict: Verdict, says: str) -> None:
    judged = one(reached(), replace(saw(TO_SERVER), outcome=outcome, answered_by=answered_by))
    assert judged.verdict is verdict
    assert says in judged.reason


def test_an_answer_without_identity_is_enough_where_none_is_to_be_had() -> None:
    assert one(reached(), saw(PING)).verdict is PASS


@pytest.mark.parametrize(
    ("promise", "fields", "verdict", "says"),
    [
        (reached(seen_as=[CLIENT]), {}, PASS, "answered"),
        (reached(seen_as=[CLIENT]), {"seen_as": (NODE, 1)}, FAIL, "as 192.0.2.254 instead of 192.0.2.1"),
        (reached(seen_as=[CLIENT, NODE]), {"seen_as": (NODE, 1)}, PASS, "answered"),
        (reached(seen_as=[CLIENT]), {"seen_as": None}, UNKNOWN, "as whom"),
        (reached(), {"connect_seconds": 0.89}, PASS, "answered"),
        (reached(), {"connect_seconds": 1.02}, FAIL, "handshake took 1.02 s, over the bar of 0.90 s"),
        (reached(), {"connect_seconds": None}, UNKNOWN, "not measured"),
        (reached(connect_within=None), {"connect_seconds": 1.02}, PASS, "answered"),
        (reached(within=0.5), {"seconds": 0.4}, PASS, "answered"),
        (reached(within=0.5), {"seconds": 0.6}, FAIL, "whole probe took 0.60 s"),
        (reached(within=0.5), {"seconds": None}, UNKNOWN, "not measured"),
        (reached(received=200_000), {"received": 200_000}, PASS, "answered"),
        (reached(received=200_000), {"received": 1_376}, FAIL, "1376 bytes came back instead of 200000"),
        (reached(answers=["192.0.2.1"]), {"answers": ("192.0.2.1",)}, PASS, "answered"),
        (reached(answers=["b", "a"]), {"answers": ("a", "b")}, PASS, "answered"),
        (reached(answers=["a", "b"]), {"answers": ("a",)}, FAIL, "the answer is a instead of a, b"),
        (reached(answers=["a"]), {"answers": ()}, FAIL, "the answer is nothing instead of a"),
        (reached(answers=["a"]), {"answers": ("a", "c")}, FAIL, "the answer is a, c instead of a"),
        (reached(within=0.5, received=1), {"seconds": None}, FAIL, "0 bytes came back"),
        (reached(status=503), {"detail": "HTTP/1.1 503 Service Unavailable"}, PASS, "answered"),
        (reached(status=503), {"detail": "HTTP/1.1 200 OK"}, FAIL, "the server says 200 instead of 503"),
        (reached(status=200), {"detail": "connected, closed"}, FAIL, "says no status instead of 200"),
    ],
)
def test_conditions_of_an_answer(
    promise: Expectation, fields: dict[str, Any], verdict: Verdict, says: str
) -> None:
    judged = one(promise, saw(TO_SERVER, **fields))
    assert judged.verdict is verdict
    assert says in judged.reason


def test_a_protocol_without_handshake_is_not_held_to_its_bar() -> None:
    datagram = cell(protocol=Protocol.UDP)
    assert one(reached(), saw(datagram, connect_seconds=None)).verdict is PASS


SILENCE = saw(TO_SERVER, Outcome.TIMED_OUT)
SOURCE_WORKS = saw(cell("client", "other"))
DESTINATION_WORKS = saw(cell("other", "server"))


@pytest.mark.parametrize(
    ("also_seen", "verdict", "says"),
    [
        ([SOURCE_WORKS, DESTINATION_WORKS], PASS, "while both ends work"),
        ([DESTINATION_WORKS], UNKNOWN, "a dead client looks the same"),
        ([SOURCE_WORKS], UNKNOWN, "a dead server looks the same"),
        ([], UNKNOWN, "no witness"),
        ([saw(cell("client", "client")), DESTINATION_WORKS], UNKNOWN, "a dead client"),
        ([SOURCE_WORKS, saw(cell("server", "server"))], UNKNOWN, "a dead server"),
        ([SOURCE_WORKS, saw(cell("other", "service/web"), answered_by="server")], PASS, "both ends work"),
        ([SOURCE_WORKS, replace(DESTINATION_WORKS, answered_by="client")], UNKNOWN, "a dead server"),
        ([replace(SOURCE_WORKS, answered_by="server")], PASS, "both ends work"),
        ([SOURCE_WORKS, saw(cell("other", "server"), Outcome.REFUSED)], UNKNOWN, "a dead server"),
    ],
)
def test_silence_needs_a_witness(also_seen: list[Observation], verdict: Verdict, says: str) -> None:
    here = one(blocked(), SILENCE, *also_seen)
    before = one(blocked(), SILENCE, witnesses=(Sweep(tuple(also_seen)),))
    assert (here.verdict, before.verdict) == (verdict, verdict)
    assert says in here.reason


SIX = {"client": "2001:db8::1", "server": "2001:db8::2", "other": "2001:db8::3"}


def over_ipv6(source: str, destination: str, outcome: Outcome = Outcome.REACHED) -> Observation:
    return saw(replace(cell(source, destination), address=SIX[destination]), outcome)


def over_udp(source: str, destination: str, outcome: Outcome = Outcome.REACHED) -> Observation:
    return saw(cell(source, destination, protocol=Protocol.UDP), outcome)


@pytest.mark.parametrize(
    ("silence", "also_seen", "verdict", "says"),
    [
        (
            over_ipv6("client", "server", Outcome.TIMED_OUT),
            [SOURCE_WORKS, DESTINATION_WORKS],
            UNKNOWN,
            "TCP over IPv6",
        ),
        (
            over_udp("client", "server", Outcome.TIMED_OUT),
            [SOURCE_WORKS, DESTINATION_WORKS],
            UNKNOWN,
            "UDP over IPv4",
        ),
        (SILENCE, [over_ipv6("client", "other"), DESTINATION_WORKS], UNKNOWN, "a dead client looks the same"),
        (SILENCE, [SOURCE_WORKS, over_udp("other", "server")], UNKNOWN, "a dead server looks the same"),
        (
            over_ipv6("client", "server", Outcome.TIMED_OUT),
            [over_ipv6("client", "other"), over_ipv6("other", "server")],
            PASS,
            "both ends work",
        ),
    ],
)
def test_a_witness_is_of_one_family_and_protocol(
    silence: Observation, also_seen: list[Observation], verdict: Verdict, says: str
) -> None:
    judged = one(blocked(), silence, *also_seen)
    assert (judged.verdict, says in judged.reason) == (verdict, True)


def test_http_and_tcp_are_carried_alike() -> None:
    silence = saw(cell("client", "server", protocol=Protocol.HTTP), Outcome.TIMED_OUT)
    assert one(blocked(), silence, SOURCE_WORKS, DESTINATION_WORKS).verdict is PASS


def test_a_destination_that_does_not_listen_now_is_not_blocked() -> None:
    deaf = replace(SILENCE, listens=False)
    judged = one(blocked(), deaf, SOURCE_WORKS, DESTINATION_WORKS)
    assert judged.verdict is UNKNOWN
    assert "server did not listen there in this sweep" in judged.reason
    assert "does not listen there" in one(reached(), deaf).reason


@pytest.mark.parametrize(
    ("arrival", "says"),
    [
        (Arrival.REQUEST, "it came to server, which answers at once: the answer was lost"),
        (Arrival.FIRST_PACKET, "its first packet came to server"),
        (Arrival.NOTHING, "it never came to server"),
    ],
)
def test_never_arrived_and_answer_lost_are_told_apart(arrival: Arrival, says: str) -> None:
    assert says in one(reached(), replace(SILENCE, arrival=arrival), SOURCE_WORKS).reason


@pytest.mark.parametrize("arrival", [Arrival.REQUEST, Arrival.FIRST_PACKET])
def test_what_came_through_was_not_blocked(arrival: Arrival) -> None:
    came = replace(SILENCE, arrival=arrival, listens=True)
    judged = one(blocked(), came, SOURCE_WORKS, DESTINATION_WORKS)
    assert judged.verdict is FAIL
    assert "only the answer was lost" in judged.reason
    assert one(unanswered(), came, SOURCE_WORKS, DESTINATION_WORKS).verdict is PASS


def test_what_was_never_sent_is_no_block() -> None:
    unsent = saw(TO_SERVER, Outcome.NEVER_SENT, detail="ENETUNREACH")
    assert one(blocked(), unsent, SOURCE_WORKS, DESTINATION_WORKS).verdict is UNKNOWN
    assert one(never_sent(), unsent).verdict is PASS
    assert one(reached(), unsent).verdict is FAIL


def test_no_record_is_not_no_name() -> None:
    assert one(no_such_record(), saw(LOOK_UP, Outcome.NO_DATA)).verdict is PASS
    assert one(no_such_name(), saw(LOOK_UP, Outcome.NO_DATA)).verdict is FAIL
    assert one(no_such_record(), saw(LOOK_UP, Outcome.NAME_ERROR)).verdict is FAIL


def test_unreachable_needs_a_witness_as_well() -> None:
    unreachable = saw(TO_SERVER, Outcome.UNREACHABLE)
    assert one(blocked(), unreachable).verdict is UNKNOWN
    assert one(blocked(), unreachable, SOURCE_WORKS, DESTINATION_WORKS).verdict is PASS


def test_a_service_is_not_witnessed_by_its_endpoints() -> None:
    silence = saw(cell("client", "service/web", peers=frozenset({"server"})), Outcome.TIMED_OUT)
    assert one(blocked(), silence, SOURCE_WORKS, DESTINATION_WORKS).verdict is UNKNOWN
    assert one(blocked(), silence, SOURCE_WORKS, saw(cell("other", "service/web"))).verdict is PASS


def test_talk_inside_a_pod_witnesses_nothing() -> None:
    inside = saw(replace(cell("client", "other"), placement=Placement.SAME_POD))
    loopback = saw(replace(cell("client", "other"), address="127.0.0.1", placement=None))
    assert one(blocked(), SILENCE, inside, DESTINATION_WORKS).verdict is UNKNOWN
    assert one(blocked(), SILENCE, loopback, DESTINATION_WORKS).verdict is UNKNOWN


@pytest.mark.parametrize(
    ("also_seen", "says"),
    [
        ([SOURCE_WORKS, DESTINATION_WORKS], "look at the way between them"),
        ([SOURCE_WORKS], "nobody reached server, so look there first"),
        ([DESTINATION_WORKS], "client reached nothing at all, so look there first"),
        ([], "client reached nothing at all and nobody reached server"),
    ],
)
def test_a_failure_says_where_to_look(also_seen: list[Observation], says: str) -> None:
    judged = one(reached(), SILENCE, *also_seen)
    assert judged.verdict is FAIL
    assert says in judged.reason


def test_what_was_not_observed_cannot_be_told() -> None:
    asked, never = cell(marker="a1"), cell(marker="b2")
    judgement = judge({asked: reached(), never: reached()}, [saw(asked)])
    assert [judged.verdict for judged in judgement] == [PASS, UNKNOWN]
    assert "never observed" in judgement.wrong[0].reason
    assert judgement.summary == "1 of 2 probes as promised, 1 cannot be told"


def test_an_empty_plan_is_an_error() -> None:
    with pytest.raises(EmptyPlan, match="nothing can be proven"):
        judge({}, [saw(TO_SERVER)])


def test_the_worst_of_two_observations_of_a_cell_counts() -> None:
    assert one(reached(), saw(TO_SERVER), saw(TO_SERVER, Outcome.PROBE_BROKEN)).verdict is UNKNOWN
    assert one(reached(), saw(TO_SERVER), saw(TO_SERVER, Outcome.REFUSED)).verdict is FAIL


def test_failures_come_first() -> None:
    lost, broken = cell("client", "other"), cell("other", "server")
    judgement = judge(
        {broken: reached(), lost: reached(), TO_SERVER: reached()},
        [saw(broken, Outcome.PROBE_BROKEN), saw(lost, Outcome.REFUSED), saw(TO_SERVER)],
    )
    assert judgement.verdict is FAIL
    assert [judged.cell for judged in judgement.wrong] == [lost, broken]
    assert judgement.summary == "1 of 3 probes as promised, 1 failed, 1 cannot be told"


def test_a_green_summary_tells_the_slowest_handshake() -> None:
    assert (
        judge({TO_SERVER: reached()}, [saw(TO_SERVER)]).summary == "1 probe as promised, slowest handshake 1.0 ms"
    )
