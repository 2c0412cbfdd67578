"""Red checks are grouped by what they share, and the lowest layer comes first."""

from __future__ import annotations

from fixtures.evidence.record import CheckRecord, Fact
from fixtures.report.causes import causes
from fixtures.verdicts.expectation import reached
from fixtures.verdicts.judge import judge
from fixtures.verdicts.observation import Outcome
from fixtures.verdicts.verdict import Verdict
from suites.selfcheck.samples import cell, saw

NODES = {"client": "worker", "server": "worker2", "other": "control", "worker2": "worker2"}


def red(check: str, *pairs: tuple[str, str], fact: str = "", claim: str = "POD-4") -> CheckRecord:
    """A check that these pairs turned red, or a fact that does not hold."""
    record = CheckRecord(check, check, "", "", claims=(claim,))
    if pairs:
        cells = [cell(source, destination) for source, destination in pairs]
        seen = [saw(one, Outcome.TIMED_OUT) for one in cells]
        record.judgements.append(judge({one: reached() for one in cells}, seen))
    if fact:
        record.facts.append(Fact(fact, False, "two"))
    record.conclude()
    assert record.verdict is Verdict.FAIL
    return record


def test_one_node_is_one_cause_and_the_lowest_check_names_it() -> None:
    across = red("kubernetes/pods/pods_on_other_nodes/every_direction", ("client", "server"), ("other", "server"))
    service = red("kubernetes/services/clusterip/other_node", ("client", "server"), claim="SVC-2")
    lowest = red("kubernetes/pods/pod_addresses/one_configuration", fact="worker2 has one", claim="POD-6")
    alone = red("kubernetes/dns/names/short", ("other", "service/web"), claim="DNS-1")

    found = causes([service, across, alone, lowest], NODES)

    ids = [[record.id.split("/")[-1] for record in cause.checks] for cause in found]
    assert ids == [["one_configuration", "every_direction", "other_node"], ["short"]]
    assert found[0].shared == "worker2"
    assert found[0].sentence.startswith(
        "3 red checks have worker2 in common; the lowest, which may explain the rest"
    )
    assert "POD-6, kubernetes/pods/pod_addresses/one_configuration" in found[0].sentence
    assert found[1].sentence.startswith("1 red check with nothing in common")


def test_what_is_not_in_every_wrong_cell_is_not_shared() -> None:
    both = red("kubernetes/pods/a/b", ("client", "server"), ("other", "client"))
    other = red("kubernetes/pods/c/d", ("other", "client"))
    (first, *rest) = causes([both, other], NODES)
    assert (first.shared, rest) == ("worker", [])


def test_green_runs_have_no_causes() -> None:
    assert causes([], NODES) == []
