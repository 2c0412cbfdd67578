"""Containers of one pod share one network namespace, which outlives the restart of any of them.

    worker
    ┌ pair 10.244.1.x ──────────────────────────────────────────────┐
    │   agent, listens on 8080  ──127.0.0.1──  second, on 8081      │        client, another pod
    │                       one eth0, one lo                        │ ────── 10.244.1.y
    │   pause holds the namespace                                   │
    └───────────────────────────────────────────────────────────────┘

It fails where a runtime gives a container a sandbox of its own, where something on lo keeps the two apart, and
where a container that ends takes the namespace with it: the pod then comes back under another address.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fixtures.endpoints.inside import refusal
from fixtures.faults.fault import fault
from fixtures.faults.rule_levers import packet_rule
from fixtures.faults.site import Site
from fixtures.plugins.proof import Proof
from fixtures.probes.kernel import namespace
from fixtures.probes.plan import at, every, localhost
from fixtures.probes.runner import Prober
from fixtures.probes.ways import get, tcp, udp
from fixtures.verdicts.expectation import all_of, reached
from fixtures.verdicts.judge import judge
from fixtures.verdicts.observation import Protocol
from fixtures.world.pods import Pod
from fixtures.world.restart import await_restart, end_main_process
from fixtures.world.world import PORT, SECOND_PORT, TWO_CONTAINERS, World


@fault(
    reddens={"kubernetes/pods/containers_of_a_pod/outlives_a_restart": "remote → phoenix/second"},
    spares=("kubernetes/pods/containers_of_a_pod/localhost",),
)
def shut_port(site: Site) -> Iterator[None]:
    """The near node forwards nothing to the port of a pod's second container."""
    with packet_rule(site, site.near, "forward", f"tcp dport {SECOND_PORT} drop"):
        yield


@pytest.mark.claim("POD-1")
def test_one_namespace(world: World, prober: Prober, proof: Proof) -> None:
    """Both containers are in the very same namespace, and another pod is not."""
    names = ("pair", "pair/second", "client")

    first, second, other = (namespace(prober.conversations.with_(world[name])) for name in names)

    proof.fact("the containers of a pod share a network namespace", first == second, f"{first}, {second}")
    proof.fact("another pod of the node has another", first != other, f"{first}, {other}")


@pytest.mark.claim("POD-1")
def test_localhost(world: World, family: int, prober: Prober, proof: Proof) -> None:
    """Each reaches the other by 127.0.0.1, over TCP and UDP."""
    there = every([world["pair"]], [localhost(world["pair/second"], family)], [tcp(SECOND_PORT), udp(SECOND_PORT)])
    back = every([world["pair/second"]], [localhost(world["pair"], family)], [tcp(PORT), udp(PORT), get(PORT)])

    seen = prober.sweep([*there, *back])

    proof.concludes(judge(all_of([*there, *back], reached()), seen))


@pytest.mark.claim("POD-1")
@pytest.mark.parametrize("protocol", [Protocol.TCP, Protocol.UDP])
def test_one_port_space(world: World, prober: Prober, proof: Proof, protocol: Protocol) -> None:
    """A port that one container listens on is taken for the other, and free in another pod."""
    taken, free = world["pair/second"], world["remote"]

    here = refusal(prober.conversations, taken, protocol, PORT)
    same_number_elsewhere = refusal(prober.conversations, free, protocol, SECOND_PORT)

    proof.fact(f"{PORT}/{protocol} is taken for the second container", "EADDRINUSE" in here, here or "it listens")
    proof.fact(
        f"{SECOND_PORT}/{protocol} is free in another pod", not same_number_elsewhere, same_number_elsewhere
    )


@pytest.mark.claim("POD-1")
def test_outlives_a_restart(world: World, family: int, prober: Prober, proof: Proof) -> None:
    """A container ends and is started again: address and namespace stay, and the other answers all the while."""
    with world.with_pods(Pod("phoenix", node=world["client"].node, containers=TWO_CONTAINERS)) as phoenix:
        ends, stays = phoenix["phoenix"], phoenix["phoenix/second"]
        before = namespace(prober.conversations.with_(ends))
        other = every(
            [world["client"], world["remote"]], [at(stays, family)], [tcp(SECOND_PORT), udp(SECOND_PORT)]
        )
        both = [*other, *every([world["client"], world["remote"]], [at(ends, family)], [tcp(PORT), udp(PORT)])]

        end_main_process(prober.conversations, ends)
        meanwhile = prober.sweep(other)
        addresses = await_restart(ends)
        afterwards = prober.sweep(both)

        after = namespace(prober.conversations.with_(ends))
        proof.fact("the pod keeps its address", addresses == ends.addresses, addresses)
        proof.fact("the container finds the same namespace", before == after, f"{before}, {after}")
        proof.concludes(judge(all_of(other, reached()), meanwhile), judge(all_of(both, reached()), afterwards))
