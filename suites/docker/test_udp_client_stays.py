"""A UDP client that keeps its port is served by a published container after its restart at another address.

    outside :p ── udp ─→ red 192.0.2.1:18081 ─→ web 172.17.0.x:8080  the host remembers: p goes to 172.17.0.x
                                             ✕  web stops, and heir gets 172.17.0.x
                                             ─→ web 172.17.0.y:8080  starts again, and sees ‹seen›

For UDP the host remembers a translation for as long as packets keep coming, and forgets nothing by itself when the
container ends. Then who sends logs or asks a resolver from one port reaches a stranger, or nobody, for hours. What
it asked in the meantime the host remembers as well, as meant for itself: before Docker 23 its proxy goes on
answering that, and web sees the host instead of the client.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Interface

import pytest

from fixtures.endpoints.containers import ContainerEndpoint
from fixtures.endpoints.together import both
from fixtures.engines.behaviour import Behaviour, expected
from fixtures.faults.fault import fault
from fixtures.lab.docker_host import DockerHost
from fixtures.lab.lab import Lab
from fixtures.lab.lifetime import remove, restart, start_again, stop
from fixtures.lab.machine import Machine
from fixtures.plugins.proof import Proof
from fixtures.probes.convergence import must_become
from fixtures.probes.plan import address_of, every
from fixtures.probes.runner import Prober
from fixtures.probes.source_ports import unused_port
from fixtures.probes.ways import tcp, udp
from fixtures.verdicts.expectation import Expectation, all_of, not_reached, reached
from fixtures.verdicts.judge import judge
from fixtures.verdicts.observation import Cell
from fixtures.world.ways_in import host_port

pytestmark = [pytest.mark.claim("DKR-3"), pytest.mark.needs("bridge", "conntrack")]

HERE = "docker/udp_client_stays"
PUBLISHED, PORT = 18081, 8080
PORTS = {f"{PORT}/{protocol}": PUBLISHED for protocol in ("tcp", "udp")}
LAN, CLIENT = IPv4Interface("192.0.2.1/24"), IPv4Interface("192.0.2.9/24")


@dataclass
class Quay:
    """A Docker host, a machine outside that keeps its port, and a container that others may be led to.

    With `remembers` the host forgets nothing of who was asked before a restart.
    """

    lab: Lab
    red: DockerHost
    outside: Machine
    stranger: ContainerEndpoint
    remembers: bool = False

    def asked(self, web: ContainerEndpoint, port: int) -> tuple[Cell, ...]:
        """The client asks from that port at the published one, which that container alone may answer."""
        way = udp(PUBLISHED, source_port=port, timeout=self.lab.engine.patience)
        return every([self.outside.endpoint], [host_port(web, self.red.endpoint)], [way])

    def start_again(self, web: ContainerEndpoint, port: int) -> ContainerEndpoint:
        """It runs again; the host then knows of the client's port what it is to know."""
        again = start_again(self.lab, web)
        if self.remembers:
            self.forget(port)
            asked = ["-s", str(CLIENT.ip), "-d", str(LAN.ip), "--sport", str(port), "--dport", str(PUBLISHED)]
            led = ["--dst-nat", f"{address_of(web)}:{PORT}", "--timeout", "600"]
            self.red.run("conntrack", "--create", "--protonum", "udp", *asked, *led)
        return again

    def served(self) -> Expectation:
        """What a client that kept its port may count on after a restart: answered, as whom the release says."""
        cleared = expected(Behaviour.UDP_MEMORY_CLEARED, self.red.version)
        return reached(seen_as=[CLIENT.ip] if cleared else [CLIENT.ip, self.red.docker0.ip])

    def forget(self, port: int) -> None:
        """The host knows nothing of the client's port any more."""
        self.red.run("conntrack", "--delete", "-p", "udp", "--orig-port-src", str(port), check=False)


@pytest.fixture(scope="module")
def quay(lab: Lab) -> Quay:
    """A Docker host with a cable to the outside."""
    red, outside = both(partial(lab.host, "red"), partial(lab.station, "outside"))
    lab.cable(outside.port("eth0", CLIENT), red.port("lan0", LAN))
    return Quay(lab, red, outside, red.container("stranger"))


@fault(
    site="quay",
    reddens={f"{HERE}/follows_to_the_new_address": "heir"},
    spares=(f"{HERE}/new_connections",),
)
def remembered_for_ever(quay: Quay) -> Iterator[None]:
    """The host's connection tracking still has the client's port as translated to the address of before."""
    quay.remembers = True
    yield
    quay.remembers = False


@fault(
    site="quay",
    reddens={f"{HERE}/follows_to_the_new_address": "stranger"},
    spares=(f"{HERE}/new_connections",),
)
def rule_left_behind(quay: Quay) -> Iterator[None]:
    """A rule of the host leads the client to somebody else, as one does that outlived its container."""
    target = f"{address_of(quay.stranger)}:{PORT}"
    with quay.red.rule("nat", "PREROUTING", "-p", "udp", "--dport", str(PUBLISHED), "-j", "DNAT", "--to", target):
        yield


@fault(
    site="quay",
    reddens={f"{HERE}/new_connections": "outside → web on red"},
    spares=(f"{HERE}/follows_to_the_new_address",),
)
def tcp_is_shut(quay: Quay) -> Iterator[None]:
    """A firewall of somebody else's on the host drops TCP for the published port."""
    with quay.red.rule("raw", "PREROUTING", "-p", "tcp", "--dport", str(PUBLISHED), "-j", "DROP"):
        yield


def test_follows_to_the_new_address(quay: Quay, lab_prober: Prober, proof: Proof) -> None:
    """Asked before, in vain while it is stopped, and again after: web answers at once, and never its heir."""
    web = quay.red.container("web", udp=[PORT], ports=PORTS)
    port = unused_port()
    asked = quay.asked(web, port)
    before = lab_prober.sweep(asked)
    stop(quay.lab, web)
    heir = quay.red.container("heir", udp=[PORT])
    meanwhile = lab_prober.sweep(asked)
    again = quay.start_again(web, port)
    after = must_become(lab_prober, all_of(quay.asked(again, port), quay.served()))
    seen = lab_prober.sweep(quay.asked(again, port))
    quay.forget(port)
    addresses = {"web before": address_of(web), "heir": address_of(heir), "web after": address_of(again)}
    remove(quay.lab, again, heir)

    proof.shows(str(expected(Behaviour.UDP_MEMORY_CLEARED, quay.red.version)))
    proof.draws({"seen": ", ".join(str(one.seen_as[0]) for one in seen if one.seen_as)})
    proof.fact("its heir had the address that it had", addresses["heir"] == addresses["web before"], addresses)
    proof.fact("it came back at another one", addresses["web after"] != addresses["web before"], addresses)
    answered, silent = judge(all_of(asked, reached()), before), judge(all_of(asked, not_reached()), meanwhile)
    proof.concludes(answered, silent, after.judgement)
    proof.measured("answered again after", after.took, "s")


def test_new_connections(quay: Quay, lab_prober: Prober, proof: Proof) -> None:
    """A client that connects anew each time, by TCP, is served before the restart and after it."""
    web = quay.red.container("web", ports=PORTS)
    way = tcp(PUBLISHED, timeout=quay.lab.engine.patience)
    cells = every([quay.outside.endpoint], [host_port(web, quay.red.endpoint)], [way])
    before = lab_prober.sweep(cells)
    web = restart(quay.lab, web)
    after = lab_prober.sweep(cells)
    remove(quay.lab, web)

    proof.concludes(*(judge(all_of(cells, reached()), seen) for seen in (before, after)))
