"""What thousands of Services cost in each mode: a connection's first packet, and the time until one more works.

    client ─→ 10.96.n.n:80, of ‹size› Services ─→ node, kube-proxy ─→ one 10.244.0.21   first packet ‹through›
    client ─→ 10.244.0.21:8080 ─────────────────────────────────────→ one 10.244.0.21                ‹straight›
                                                                      one Service more works after   ‹one more›

In iptables mode a first packet walks through the list of Services; nftables and ipvs look it up. All are answered
by one pod, since it is kube-proxy that is to be busy. Numbers are of this machine and run, and ratios are what can
be compared: against the same handshake without a Service, and against ten Services in the same mode. Nothing is
promised of them; what is promised is that each Service that is asked is answered, however many there are.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from clusters.model import KubeProxy
from fixtures.bench.bench import Bench
from fixtures.bench.crowd import Crowd, first_packets, plain, until_answered
from fixtures.bench.kube_proxy import Settings
from fixtures.faults.fault import fault
from fixtures.plugins.proof import Proof
from fixtures.plugins.showing import shown
from fixtures.probes.runner import Prober
from fixtures.report.recorder import Run
from fixtures.verdicts.expectation import all_of, reached
from fixtures.verdicts.judge import judge

HERE = "proxy_bench/thousands"
SIZES = (10, 1000, 5000)
SAMPLE, MORE = 10, 3
"""How many of the Services are asked, and how many more are made one after the other."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each size, the smallest first; under faults it alone, since they show in it as well."""
    sizes = SIZES if metafunc.config.getoption("--faults") is None else SIZES[:1]
    metafunc.parametrize("size", sizes, scope="package", indirect=True, ids=lambda size: f"{size} Services")


@dataclass(frozen=True)
class Filled:
    """A bench on which kube-proxy was started with so many Services, and what was measured with the fewest."""

    bench: Bench
    crowd: Crowd
    size: int
    seconds: float
    fewest: dict[str, float]

    def measured(self, proof: Proof, what: str, value: float, unit: str) -> None:
        """Report a number, and how many times that of the fewest Services it is."""
        proof.measured(what, value, unit)
        if self.size == SIZES[0]:
            self.fewest[what] = value
        elif what in self.fewest:
            proof.measured(f"{what}, as against {SIZES[0]} Services", value / self.fewest[what], "times")


@pytest.fixture(scope="module")
def filled(
    pytestconfig: pytest.Config,
    bench: Bench,
    crowd: Crowd,
    size: int,
    mode: KubeProxy,
    fewest: dict[KubeProxy, dict[str, float]],
    run: Run,
) -> Filled:
    """kube-proxy, started when all Services were there, with all of them in the kernel."""
    if mode is KubeProxy.IPVS:
        crowd.filled_sets(bench)
    with shown(pytestconfig), run.phases(f"kube-proxy {mode}, {size} Services"):
        seconds = bench.proxy.run_anew(Settings(mode))
    return Filled(bench, crowd, size, seconds, fewest.setdefault(mode, {}))


@pytest.fixture
def more() -> Iterator[ExitStack]:
    """What is made in a check, and gone after it."""
    with ExitStack() as stack:
        yield stack


@fault(
    site="filled",
    reddens={f"{HERE}/one_more": "each of 3 more is answered"},
    spares=(f"{HERE}/first_packet",),
)
def stands_still_before_more(filled: Filled) -> Iterator[None]:
    """kube-proxy stands still; what it has written is in the kernel."""
    with filled.bench.proxy.still():
        yield


@fault(
    site="filled",
    reddens={f"{HERE}/first_packet": "client → service/crowd"},
    spares=(f"{HERE}/one_more",),
)
def crowd_swallowed(filled: Filled) -> Iterator[None]:
    """The node drops what is for the Services that were there first, before kube-proxy's rules see it."""
    services = filled.crowd.some(filled.size)
    rules = [("PREROUTING", "-d", str(service.cluster_ip), "-j", "DROP") for service in services]
    for rule in rules:
        filled.bench.iptables("-t", "mangle", "-I", *rule)
    yield
    for rule in rules:
        filled.bench.iptables("-t", "mangle", "-D", *rule)


def test_first_packet(filled: Filled, lab_prober: Prober, proof: Proof) -> None:
    """Handshakes with some of the Services, and with their pod itself in turn: all are answered."""
    services = filled.crowd.some(SAMPLE)

    asked = first_packets(filled.bench, lab_prober, services)

    promise = all_of([it.cell for it in asked.seen], reached(connect_within=None))
    proof.concludes(judge(promise, asked.seen))
    by_service, straight = asked.by_service * 1e6, asked.straight * 1e6
    proof.draws({"size": filled.size, "through": f"{by_service:.0f} µs", "straight": f"{straight:.0f} µs"})
    proof.measured("first packet, by a Service as against straight", asked.ratio, "times")
    filled.measured(proof, "first packet by a Service", by_service, "µs")
    filled.measured(proof, "from kube-proxy's start until all are written", filled.seconds, "s")


def test_one_more(filled: Filled, more: ExitStack, lab_prober: Prober, proof: Proof) -> None:
    """Three more Services, one after the other: each is answered, and the quickest says how long that takes."""
    bench, took = filled.bench, []

    for number in range(MORE):
        wish = plain(f"more-{number}")
        service = more.enter_context(bench.services.standing(wish, [bench.one.endpoint]))
        took.append(until_answered(bench, lab_prober, service))

    answered = [seconds for seconds in took if seconds is not None]
    proof.fact(f"each of {MORE} more is answered", len(answered) == MORE, took)
    proof.draws({"size": filled.size, "one more": f"{min(answered):.2f} s"})
    filled.measured(proof, "one more Service works after", min(answered), "s")
