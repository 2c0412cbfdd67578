"""In mode container a second container joins the first one's namespace, and loses its network when that restarts.

    red, a Docker host: docker0 ‹docker0›, ‹red namespace›
      ├ eth0 ‹address› ─┬─ target :8080   ‹target namespace›
      │                 └─ joiner :8081   ‹joiner namespace›, in mode container:target
      └ eth0 ─── other :8080              ‹other namespace›

    joiner → target by 127.0.0.1  tcp ‹joiner→target tcp›  udp ‹joiner→target udp›

It fails where the joiner gets a stack of its own, where something on lo keeps the two apart, and where what is on
127.0.0.1 of the two can be had from any other place.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

import pytest

from fixtures.endpoints.containers import ContainerEndpoint
from fixtures.endpoints.inside import refusal
from fixtures.endpoints.together import together
from fixtures.faults.fault import fault
from fixtures.lab.docker_host import DockerHost
from fixtures.lab.lab import Lab
from fixtures.lab.lifetime import remove, restart
from fixtures.plugins.proof import Proof
from fixtures.probes.kernel import Route, look, look_at, namespace
from fixtures.probes.plan import at, every, localhost
from fixtures.probes.runner import Prober
from fixtures.probes.ways import ping, tcp, udp
from fixtures.verdicts.expectation import all_of, never_sent, reached, refused
from fixtures.verdicts.judge import judge
from fixtures.verdicts.observation import Cell, Probe, Protocol, Sweep

pytestmark = pytest.mark.claim("DKR-4")

TARGET, JOINER, ORPHAN = 8080, 8081, 8082
"""Where targets answer, and where those that joined them."""


@dataclass
class Joined:
    """A container, one that joined it, and another of the same host."""

    lab: Lab
    red: DockerHost
    target: ContainerEndpoint
    other: ContainerEndpoint
    joiner: ContainerEndpoint
    mode: str = "container:{}"

    def join(self, name: str, target: ContainerEndpoint, port: int) -> ContainerEndpoint:
        """One more container, in the namespace of `target`, that answers on that port."""
        known = target.addresses if self.mode.startswith("container:") else ()
        mode = self.mode.format(target.container)
        return self.red.container(name, mode, tcp=[port], udp=[port], known=known)

    def ways(self, port: int) -> list[Probe]:
        """By TCP and UDP to that port."""
        patience = self.lab.engine.patience
        return [tcp(port, timeout=patience), udp(port, timeout=patience)]


@pytest.fixture(scope="module")
def joined(lab: Lab) -> Joined:
    """A Docker host with the three containers."""
    red = lab.host("red")
    target, other = together(partial(red.container, "target"), partial(red.container, "other"))
    made = Joined(lab, red, target, other, joiner=target)
    made.joiner = made.join("joiner", target, JOINER)
    return made


@pytest.fixture
def pair(joined: Joined) -> Iterator[Joined]:
    """One more container with one that joined it, for this check to end and start again."""
    target = joined.red.container("phoenix")
    made = replace(joined, target=target, joiner=joined.join("orphan", target, ORPHAN))
    yield made
    remove(joined.lab, made.joiner, made.target)


@fault(
    site="joined",
    reddens={
        "docker/container_mode/one_namespace": "target and joiner are in one namespace",
        "docker/container_mode/by_localhost": "target → joiner",
        "docker/container_mode/one_port_space": "of target is refused to joiner",
        "docker/container_mode/left_behind_by_a_restart": "the joiner is in the target's namespace",
    },
    spares=("docker/container_mode/apart_from_the_host_and_others",),
)
def joins_nobody(joined: Joined) -> Iterator[None]:
    """Whoever should join the target's namespace is on docker0, with a stack of its own."""
    remove(joined.lab, joined.joiner)
    joined.mode = "bridge"
    joined.joiner = joined.join("joiner", joined.target, JOINER)
    yield
    remove(joined.lab, joined.joiner)
    joined.mode = "container:{}"
    joined.joiner = joined.join("joiner", joined.target, JOINER)


@fault(
    site="joined",
    reddens={"docker/container_mode/by_localhost": "target → joiner"},
    spares=(
        "docker/container_mode/one_namespace",
        "docker/container_mode/one_port_space",
        "docker/container_mode/apart_from_the_host_and_others",
    ),
)
def lo_down(joined: Joined) -> Iterator[None]:
    """The lo of target and joiner is down."""
    inside = ["nsenter", "--target", str(joined.target.pid), "--net", "ip", "link", "set", "lo"]
    joined.red.as_root(*inside, "down")
    yield
    joined.red.as_root(*inside, "up")


@fault(
    site="joined",
    reddens={"docker/container_mode/apart_from_the_host_and_others": "red → joiner"},
    spares=("docker/container_mode/one_namespace", "docker/container_mode/by_localhost"),
)
def on_the_hosts_loopback(joined: Joined) -> Iterator[None]:
    """What the joiner serves is to be had on the host's 127.0.0.1 as well."""
    host = joined.lab.conversations.with_(joined.red.endpoint)
    listening = host.listen(tcp=[JOINER], udp=[JOINER], identity=joined.joiner.identity)
    yield
    host.stop(listening)


def test_one_namespace(joined: Joined, proof: Proof) -> None:
    """Both have the very same namespace, links and routes, and neither the host's nor another container's."""
    places = [joined.red.endpoint, joined.target, joined.joiner, joined.other]
    spaces = {place.name: namespace(joined.lab.conversations.with_(place)) for place in places}
    kernels = look_at(joined.lab.conversations, places)
    first, second = kernels["target"], kernels["joiner"]
    told = joined.red.docker.api.inspect_container("joiner")["NetworkSettings"]["Networks"]

    proof.draws({f"{name} namespace": space for name, space in spaces.items()})
    proof.draws({"docker0": joined.red.docker0, "address": first.link("eth0").addresses[0]})
    proof.fact("target and joiner are in one namespace", spaces["target"] == spaces["joiner"], spaces)
    proof.fact("it is neither the host's nor the other's", len(set(spaces.values())) == 3, spaces)
    proof.fact("both have the same links and addresses", first.links == second.links, ", ".join(second.links))
    proof.fact("both have the same routes", first.routes == second.routes, ", ".join(map(str, second.routes)))
    proof.fact("Docker gave the joiner no network of its own", not told, told or "none")


def test_by_localhost(joined: Joined, lab_prober: Prober, proof: Proof) -> None:
    """Each reaches the other by 127.0.0.1 over TCP and UDP, and by the address that they share."""
    there = every([joined.joiner], [localhost(joined.target), at(joined.target)], joined.ways(TARGET))
    back = every([joined.target], [localhost(joined.joiner), at(joined.joiner)], joined.ways(JOINER))
    cells = [*there, *back]

    proof.concludes(judge(all_of(cells, reached()), lab_prober.sweep(cells)))


@pytest.mark.parametrize("protocol", [Protocol.TCP, Protocol.UDP])
def test_one_port_space(joined: Joined, proof: Proof, protocol: Protocol) -> None:
    """A port that one of the two has is refused to the other, and free in another container."""
    conversations = joined.lab.conversations

    here = refusal(conversations, joined.joiner, protocol, TARGET)
    back = refusal(conversations, joined.target, protocol, JOINER)
    elsewhere = refusal(conversations, joined.other, protocol, JOINER)

    proof.fact(f"{TARGET}/{protocol} of target is refused to joiner", "EADDRINUSE" in here, here or "it listens")
    proof.fact(f"{JOINER}/{protocol} of joiner is refused to target", "EADDRINUSE" in back, back or "it listens")
    proof.fact(f"{JOINER}/{protocol} is free in another container", not elsewhere, elsewhere or "it listens")


def test_apart_from_the_host_and_others(joined: Joined, lab_prober: Prober, proof: Proof) -> None:
    """Host and neighbour reach both at the shared address alone: on their own 127.0.0.1 the port is refused."""
    others = [joined.red.endpoint, joined.other]
    shared = every(others, [at(joined.joiner)], joined.ways(JOINER))
    shared += every(others, [at(joined.target)], [*joined.ways(TARGET), ping(timeout=joined.lab.engine.patience)])
    own = every(others, [localhost(joined.joiner)], joined.ways(JOINER))

    seen = lab_prober.sweep([*shared, *own])

    proof.concludes(judge({**all_of(shared, reached()), **all_of(own, refused())}, seen))


def test_left_behind_by_a_restart(pair: Joined, lab_prober: Prober, proof: Proof) -> None:
    """`docker restart` of the target alone: it comes back in a new namespace, the joiner is left with lo alone.

        phoenix  ‹first›  ── docker restart ──→  ‹second›
        orphan   ‹joined›  ── stays there, with ‹left› ──  docker restart ──→  ‹rejoined›

    Compose files with `network_mode: service:…` are where this hurts: a VPN's container restarts, and those that
    go through it are cut off while Docker calls them healthy. Seen in every release so far.
    """
    first = _looked(pair, lab_prober)
    proof.draws({"first": first.target, "joined": first.joiner})
    proof.fact("the joiner is in the target's namespace", first.joiner == first.target, first.joiner)
    proof.concludes(judge(all_of(first.cells, reached()), first.sweep))

    pair.target = restart(pair.lab, pair.target)
    second = _looked(pair, lab_prober)
    proof.draws({"second": second.target, "left": second})
    proof.fact("the restarted target is in a new one", second.target != first.target, second.target)
    proof.fact("the joiner is still in the old one", second.joiner == first.joiner, second.joiner)
    proof.fact("and has lo alone there, and no route", second.links == ("lo",) and not second.routes, second)
    gone = {**all_of(second.to_joiner, refused()), **all_of(second.from_joiner, never_sent())}
    proof.concludes(judge({**all_of(second.to_target, reached()), **gone}, second.sweep, [first.sweep]))

    pair.joiner = restart(pair.lab, pair.joiner)
    third = _looked(pair, lab_prober)
    proof.draws({"rejoined": third.joiner})
    proof.fact("restarted itself, it is with the target again", third.joiner == third.target, third.joiner)
    proof.concludes(judge(all_of(third.cells, reached()), third.sweep))


@dataclass(frozen=True)
class _Look:
    """The namespaces of the two, what the joiner has in its own, and who reached whom."""

    target: str
    joiner: str
    links: tuple[str, ...]
    routes: tuple[Route, ...]
    to_target: tuple[Cell, ...]
    to_joiner: tuple[Cell, ...]
    from_joiner: tuple[Cell, ...]
    sweep: Sweep

    @property
    def cells(self) -> tuple[Cell, ...]:
        return (*self.to_target, *self.to_joiner, *self.from_joiner)

    def __str__(self) -> str:
        return f"{', '.join(self.links)}; {', '.join(map(str, self.routes)) or 'no route'}"


def _looked(pair: Joined, prober: Prober) -> _Look:
    """One look at the pair as it is now."""
    target, joiner = (pair.lab.conversations.with_(one) for one in (pair.target, pair.joiner))
    there = every([pair.other], [at(pair.target)], pair.ways(TARGET))
    other = every([pair.other], [at(pair.joiner)], pair.ways(ORPHAN))
    back = every([pair.joiner], [at(pair.other)], pair.ways(TARGET))
    spaces, kernel = (namespace(target), namespace(joiner)), look(joiner)
    sweep = prober.sweep([*there, *other, *back])
    return _Look(*spaces, tuple(sorted(kernel.links)), kernel.routes, there, other, back, sweep)
