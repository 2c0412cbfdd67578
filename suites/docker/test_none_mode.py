"""In mode none a container has lo and nothing else, until somebody hands it a link.

    red, a Docker host
      ├ docker0 ‹docker0› ── inner :8080          ‹inner namespace›
      ├ given 192.0.2.1/30 ══ link0 192.0.2.2/30 ─┐  for a while, made by the host's root
      └                          hermit :8080  lo ┘  ‹hermit namespace›

    hermit → red   tcp ‹hermit→red tcp›  udp ‹hermit→red udp›  icmp ‹hermit→red icmp›

It fails where the container is plugged in somewhere after all, and where what is handed to it does not work in it:
then the silence before would have proven nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Interface

import pytest

from fixtures.endpoints.containers import ContainerEndpoint
from fixtures.endpoints.endpoint import Endpoint
from fixtures.endpoints.together import together
from fixtures.faults.fault import fault
from fixtures.lab.docker_host import DockerHost
from fixtures.lab.lab import Lab
from fixtures.lab.lifetime import remove
from fixtures.plugins.proof import Proof
from fixtures.probes.kernel import look, namespace
from fixtures.probes.plan import Destination, at, every, localhost
from fixtures.probes.runner import Prober
from fixtures.probes.ways import ping, tcp, udp
from fixtures.verdicts.expectation import all_of, never_sent, reached
from fixtures.verdicts.judge import judge
from fixtures.verdicts.observation import Cell, Probe

pytestmark = pytest.mark.claim("DKR-5")

HOSTS, HERMITS = IPv4Interface("192.0.2.1/30"), IPv4Interface("192.0.2.2/30")
"""The addresses of the two ends of what is given."""


@dataclass
class Hermitage:
    """A container in mode none, and one of the same host on docker0."""

    lab: Lab
    red: DockerHost
    inner: ContainerEndpoint
    hermit: ContainerEndpoint

    @contextmanager
    def link(self) -> Iterator[None]:
        """A link from the host to the container, made by hand; it goes with the block."""
        pid = str(self.hermit.pid)
        inside = ["nsenter", "--target", pid, "--net", "ip"]
        made = "link add given type veth peer name link0"
        self.red.configure(made, f"address add {HOSTS} dev given", "link set given up")
        try:
            self.red.as_root("ip", "link", "set", "link0", "netns", pid)
            self.red.as_root(*inside, "address", "add", str(HERMITS), "dev", "link0")
            self.red.as_root(*inside, "link", "set", "link0", "up")
            yield
        finally:
            self.red.configure("link del given")

    @property
    def ways(self) -> list[Probe]:
        """TCP, UDP and ICMP."""
        patience = self.lab.engine.patience
        return [tcp(8080, timeout=patience), udp(8080, timeout=patience), ping(timeout=patience)]


@pytest.fixture(scope="module")
def hermitage(lab: Lab) -> Hermitage:
    """A Docker host with the two containers."""
    red = lab.host("red")
    inner, hermit = together(partial(red.container, "inner"), partial(red.container, "hermit", "none"))
    return Hermitage(lab, red, inner, hermit)


@fault(
    site="hermitage",
    reddens={
        "docker/none_mode/lo_alone": "it has lo and no other link",
        "docker/none_mode/until_it_is_given_a_link": "red → hermit",
    },
    spares=("docker/none_mode/answers_itself",),
)
def on_a_bridge(hermitage: Hermitage) -> Iterator[None]:
    """The container is on docker0, instead of in mode none."""
    remove(hermitage.lab, hermitage.hermit)
    hermitage.hermit = hermitage.red.container("hermit")
    yield
    remove(hermitage.lab, hermitage.hermit)
    hermitage.hermit = hermitage.red.container("hermit", "none")


@fault(
    site="hermitage",
    reddens={"docker/none_mode/until_it_is_given_a_link": "red → hermit"},
    spares=("docker/none_mode/lo_alone",),
)
def given_link_deaf(hermitage: Hermitage) -> Iterator[None]:
    """The host takes nothing in from the link that it gave."""
    with hermitage.red.rule("filter", "INPUT", "-i", "given", "-j", "DROP"):
        yield


@fault(
    site="hermitage",
    reddens={"docker/none_mode/answers_itself": "hermit → hermit"},
    spares=("docker/none_mode/lo_alone", "docker/none_mode/until_it_is_given_a_link"),
)
def without_lo(hermitage: Hermitage) -> Iterator[None]:
    """The container's lo is down."""
    inside = ["nsenter", "--target", str(hermitage.hermit.pid), "--net", "ip", "link", "set", "lo"]
    hermitage.red.as_root(*inside, "down")
    yield
    hermitage.red.as_root(*inside, "up")


def test_lo_alone(hermitage: Hermitage, proof: Proof) -> None:
    """Own namespace; lo with 127.0.0.1, and no other link; no route."""
    lab, hermit, inner = hermitage.lab, hermitage.hermit, hermitage.inner
    kernel = look(lab.conversations.with_(hermit))
    spaces = {it.name: namespace(lab.conversations.with_(it)) for it in (hermitage.red.endpoint, inner, hermit)}

    proof.draws({"hermit namespace": spaces["hermit"], "inner namespace": spaces["inner"]})
    proof.draws({"docker0": hermitage.red.docker0})
    proof.fact("its namespace is nobody else's", len(set(spaces.values())) == 3, spaces)
    proof.fact("it has lo and no other link", set(kernel.links) == {"lo"}, ", ".join(kernel.links))
    known = [str(own) for link in kernel.links.values() for own in link.addresses]
    proof.fact("its one address is 127.0.0.1", known == ["127.0.0.1/8"], ", ".join(known))
    proof.fact("it has no route", not kernel.routes, ", ".join(map(str, kernel.routes)) or "none")
    proof.fact("Docker gave it no address", not hermit.addresses, hermit.addresses or "none")


def test_answers_itself(hermitage: Hermitage, lab_prober: Prober, proof: Proof) -> None:
    """By TCP, UDP and ICMP it reaches itself at 127.0.0.1."""
    cells = every([hermitage.hermit], [localhost(hermitage.hermit)], hermitage.ways)

    proof.concludes(judge(all_of(cells, reached()), lab_prober.sweep(cells)))


def test_until_it_is_given_a_link(hermitage: Hermitage, lab_prober: Prober, proof: Proof) -> None:
    """It and the host reach each other while there is a link between them, not before and not after."""
    red, hermit, inner = hermitage.red.endpoint, hermitage.hermit, hermitage.inner
    outward = _asked(hermit, red, HOSTS, hermitage.ways)
    inward = _asked(red, hermit, HERMITS, hermitage.ways)
    apart = every([hermit], [at(inner)], hermitage.ways)
    alive = every([red], [at(inner)], hermitage.ways)
    cells = [*outward, *inward, *apart, *alive]

    before = lab_prober.sweep(cells)
    with hermitage.link():
        during = lab_prober.sweep(cells)
    after = lab_prober.sweep(cells)

    without = {**all_of([*outward, *inward, *apart], never_sent()), **all_of(alive, reached())}
    known = {**all_of([*outward, *inward, *alive], reached()), **all_of(apart, never_sent())}
    proof.concludes(judge(without, before), judge(known, during), judge(without, after))


def _asked(source: Endpoint, target: Endpoint, end: IPv4Interface, ways: list[Probe]) -> tuple[Cell, ...]:
    """From the one to the other at that end of the link."""
    return every([source], [Destination(target.name, str(end.ip), frozenset({target.identity}), target)], ways)
