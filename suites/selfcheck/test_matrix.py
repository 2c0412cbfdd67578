"""The three tables show what was promised, what was seen and where the two differ."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from fixtures.report.tables import as_renderable
from fixtures.verdicts.expectation import blocked, reached
from fixtures.verdicts.judge import Judgement, judge
from fixtures.verdicts.matrix import SHOWN_WRONG_CELLS, as_text, failure_text, tables
from fixtures.verdicts.observation import Outcome, Protocol
from suites.selfcheck.samples import PODS, cell, saw

COMMANDS = {"client": lambda asked: f"docker exec client ask {asked.address}"}


@pytest.fixture
def judgement() -> Judgement:
    """Client and other may talk to everybody, server to nobody; client does not reach server."""
    pairs = [cell(source, destination) for source in PODS for destination in PODS if source != destination]
    expected = {asked: blocked() if asked.source == "server" else reached() for asked in pairs}
    lost = cell("client", "server")
    seen = [
        saw(asked, Outcome.TIMED_OUT if asked.source == "server" or asked == lost else Outcome.REACHED)
        for asked in pairs
    ]
    alive = saw(cell("server", "service/web"))
    return judge(expected, [*seen, alive])


def test_the_three_tables_as_text(judgement: Judgement) -> None:
    assert as_text(judgement) == "\n".join(
        [
            "expected  client  server  other",
            "client    -       .       .",
            "server    X       -       X",
            "other     .       .       -",
            "",
            "observed  client  server  other",
            "client    -       X       .",
            "server    X       -       X",
            "other     .       .       -",
            "",
            "difference  client  server  other",
            "client      -       !       .",
            "server      .       -       .",
            "other       .       .       -",
            "",
            ". reached / as promised   X no answer / blocked   ! not as promised   - not asked",
        ]
    )


def test_the_terminal_shows_the_same_symbols(judgement: Judgement) -> None:
    console = Console(file=StringIO(), width=120, force_terminal=True, color_system="standard")
    with console.capture() as shown:
        console.print(as_renderable(judgement))
    assert "difference" in shown.get()
    assert "\x1b[1;31m!" in shown.get()


def test_ways_that_differ_stand_side_by_side() -> None:
    tcp, udp, ping = (cell(protocol=p, port=80) for p in (Protocol.TCP, Protocol.UDP, Protocol.ICMP))
    judgement = judge(
        {tcp: reached(), udp: reached(), ping: reached()},
        [saw(tcp), saw(udp, Outcome.REFUSED), saw(ping, Outcome.PROBE_BROKEN)],
    )
    expected, observed, difference = tables(judgement)
    assert expected.row("client") == ["."]
    assert observed.row("client") == [".R?"]
    assert difference.row("client") == [".!?"]
    assert "left to right: tcp/80, udp/80, icmp/80" in as_text(judgement)


def test_of_many_probes_of_one_way_the_worst_is_shown() -> None:
    asked = [cell(marker=f"{number:02x}") for number in range(5)]
    seen = [saw(one, Outcome.REFUSED if one.marker == "03" else Outcome.REACHED) for one in asked]
    _, observed, difference = tables(judge(dict.fromkeys(asked, reached()), seen))
    assert (observed.row("client"), difference.row("client")) == (["R"], ["!"])


def test_a_failure_gives_the_command_to_see_it_again(judgement: Judgement) -> None:
    text = failure_text(judgement, COMMANDS)
    assert "5 of 6 probes as promised, 1 failed" in text
    assert "FAIL  client → server (other node): no answer within 1.00 s" in text
    assert "      docker exec client ask 192.0.2.2" in text


def test_a_source_without_command_is_shown_without(judgement: Judgement) -> None:
    assert "docker" not in failure_text(judgement, {})


def test_a_flood_of_wrong_cells_is_cut_and_counted() -> None:
    asked = [cell(marker=f"{number:02x}") for number in range(SHOWN_WRONG_CELLS + 30)]
    judgement = judge(dict.fromkeys(asked, reached()), [saw(one, Outcome.REFUSED) for one in asked])
    text = failure_text(judgement, {})
    assert text.count("FAIL") == SHOWN_WRONG_CELLS
    assert "and 30 more like these" in text
