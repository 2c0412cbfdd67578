"""The page draws what was measured: endpoints where they are, a packet where it was seen, times to scale."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from fixtures.endpoints.endpoint import Kind
from fixtures.evidence.diagnosis import PacketWay, Passage, Station
from fixtures.evidence.record import CheckRecord, EvidenceFile
from fixtures.evidence.record import Place as Endpoint
from fixtures.plugins.proof import Proof
from fixtures.plugins.storing import stored
from fixtures.report import model, page_data, plots, topology
from fixtures.report.probes import added, probes, standing
from fixtures.verdicts.expectation import reached
from fixtures.verdicts.judge import judge
from fixtures.verdicts.observation import IPAddress, Observation, Outcome
from fixtures.verdicts.store import History
from suites.report_page.samples import followed, places, some_red
from suites.selfcheck.samples import cell, saw

CLIENT, SERVER = IPv4Address("192.0.2.1"), IPv4Address("192.0.2.2")


@dataclass(frozen=True)
class Someone:
    """An endpoint that nobody ever started."""

    name: str
    addresses: tuple[IPAddress, ...] = ()
    kind: Kind = Kind.POD
    node: str = "worker"

    @property
    def identity(self) -> str:
        return self.name

    def open_stream(self) -> None:
        raise NotImplementedError

    def shell_command(self, *words: str) -> str:
        return " ".join(words)


@pytest.fixture
def talk(tmp_path: Path) -> Iterator[Proof]:
    """What a check talks to; called `proof`, it would make checks of these tests."""
    with closing(History(tmp_path / "observations.jsonl")) as history:
        yield Proof(CheckRecord("a/b", "", "", ""), history, tmp_path)


def asked() -> Observation:
    """The client asked the server, from an address that only its kernel knew."""
    return saw(cell(), source_address=(CLIENT, 40000), served_at=(SERVER, 8080))


def test_who_was_asked_is_kept_with_the_addresses_that_were_seen(talk: Proof) -> None:
    known = {name: Someone(name) for name in ("client", "server", "other")}
    stored(talk, known)([asked()])  # type: ignore[arg-type]
    talk.record.judgements.append(judge({cell(): reached()}, [asked()]))
    found = added(talk.record, {})
    assert [(it.name, it.node, it.addresses) for it in found] == [
        ("client", "worker", ("192.0.2.1",)),
        ("server", "worker", ("192.0.2.2",)),
    ]


def test_what_stands_all_the_time_is_kept_once(talk: Proof) -> None:
    stays = {"client": Endpoint("client", "pod", "worker", ())}
    talk.record.places.update(stays | {"server": Endpoint("server", "pod", "worker2", (SERVER,))})
    talk.record.judgements.append(judge({cell(): reached()}, [asked()]))
    assert [it.name for it in added(talk.record, stays)] == ["server"]
    assert [(it.name, it.addresses) for it in standing(stays, [talk.record])] == [("client", ("192.0.2.1",))]


def test_a_followed_packet_comes_with_its_evidence(talk: Proof) -> None:
    way = PacketWay("client", "server", "udp", (Passage(Station("worker", "veth1"), True, False),), "", "lost")
    talk.keep(EvidenceFile("pair.txt", "", "lost", way))
    assert (talk.record.ways, talk.record.shown) == ([way], ["lost"])


def test_a_probe_that_was_never_observed_is_kept_as_such() -> None:
    (found,) = probes(judge({cell(): reached()}, []))
    assert (found.outcome, found.family, found.verdict) == ("", 4, "UNKNOWN")


def test_the_wrong_peer_is_told_from_the_right_one() -> None:
    (found,) = probes(judge({cell(): reached()}, [replace(asked(), answered_by="other")]))
    assert (found.outcome, found.answered_by) == (Outcome.WRONG_PEER, "other")


@pytest.mark.parametrize("columns", [1, 3])
@pytest.mark.parametrize("pods_on_each", [1, 4, 30])
def test_boxes_lie_side_by_side_and_hold_what_is_on_them(columns: int, pods_on_each: int) -> None:
    sheet = topology.drawing(places(pods_on_each), columns)
    assert [box.name for box in sheet.boxes] == ["control-plane", "worker", "worker2", topology.BESIDE]
    assert sum(len(box.rows) + box.more for box in sheet.boxes) == 3 * pods_on_each + 1
    corners = [(box.x, box.y, box.x + topology.BOX, box.y + box.height) for box in sheet.boxes]
    for number, (left, top, right, bottom) in enumerate(corners):
        assert right <= sheet.width
        assert bottom <= sheet.height
        for other in corners[number + 1 :]:
            assert right <= other[0] or other[2] <= left or bottom <= other[1] or other[3] <= top
    for box in sheet.boxes:
        assert all(box.y < row.y < box.y + box.height - topology.LINE for row in box.rows)


def test_a_way_tells_where_its_packet_was_lost() -> None:
    drawn = topology.followed(followed())
    assert (drawn.nodes, drawn.lost) == (["worker", "worker2"], "worker")
    assert [hop.link for stretch in drawn.stretches for hop in stretch.hops if hop.lost] == ["tunnel0"]


@pytest.mark.parametrize(
    ("requests", "replies", "lost"),
    [
        ([True, True], [True, True], []),
        ([True, True], [False, True], ["b: reply"]),
        ([True, True], [False, False], ["b: reply"]),
    ],
)
def test_an_answer_that_was_lost_is_told_from_a_whole_way(
    requests: list[bool], replies: list[bool], lost: list[str]
) -> None:
    passages = tuple(
        model.Passage(node="worker", link=link, request=request, reply=reply, addresses="")
        for link, request, reply in zip("ab", requests, replies, strict=True)
    )
    way = model.PacketWay(source="x", destination="y", protocol="udp", passages=passages, cut="", sentence="")
    hops = [hop for stretch in topology.followed(way).stretches for hop in stretch.hops]
    assert [f"{hop.link}: {hop.lost}" for hop in hops if hop.lost] == lost


def test_a_scale_holds_its_values_between_powers_of_ten() -> None:
    scale = plots.Scale.around([0.0003, 0.02])
    assert [name for _, name in scale.ticks] == ["100 µs", "1 ms", "10 ms", "100 ms"]
    assert (scale.x(0.0001), scale.x(0.1), scale.x(0), scale.x(5)) == (0, plots.WIDTH, 0, plots.WIDTH)


def test_plots_have_every_handshake_and_every_change() -> None:
    report = some_red()
    shaken, changes = plots.handshakes(report), plots.durations(report)
    assert shaken is not None
    assert changes is not None
    probes_seen = [it for check in report.checks for matrix in check.matrices for it in matrix.probes]
    assert sum(row.count for row in shaken.rows if isinstance(row, plots.Spread)) == sum(
        it.handshake is not None for it in probes_seen
    )
    assert [len(row.xs) for row in changes.rows if isinstance(row, plots.Dots)] == [len(report.checks)]


def test_the_scripts_data_has_every_probe_and_no_markup() -> None:
    report = some_red()
    text = str(page_data.as_script(report))
    assert "<" not in text
    known = json.loads(text)
    width = len(page_data.FIELDS)
    assert [len(it["probes"]) / width for it in known["checks"]] == [it.probes for it in report.checks]
    source, reason = page_data.FIELDS.index("source"), page_data.FIELDS.index("reason")
    across = next(it for it in known["checks"] if it["id"] == "kubernetes/pods/across")
    first = report.checks[1].matrices[0].probes[0]
    assert known["strings"][across["probes"][source]] == first.source
    assert across["probes"][reason] == page_data.NONE


def test_a_checks_nodes_are_those_of_its_ends_and_of_its_packets() -> None:
    report = some_red()
    nodes = {it.id: page_data.nodes(report, it) for it in report.checks}
    assert nodes["kubernetes/pods/across"] == ["control-plane", "worker", "worker2"]
    assert nodes["kubernetes/pods/own"] == ["control-plane", "worker"]
    assert nodes["kubernetes/dns/names[ipv4]"] == []
