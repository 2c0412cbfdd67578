"""Policy holds to the end: a pod that ends keeps what it may, and a namespace that goes takes its pods first.

    ending   role=friend, told to end  ─→ neighbour    let in to the last
    client ─→ doomed   its namespace is deleted         kept out to the last, although its policy goes as well

A server that ends finishes its answers, and needs those that it asks. A namespace that is deleted goes piece by
piece: where its policies go before its pods, what was shut stands open for as long as these take to end.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from clusters.api import NAMESPACE, POD, Object
from clusters.features import Feature
from clusters.labels import LABEL
from fixtures.faults.fault import fault
from fixtures.faults.rule_levers import packet_rule
from fixtures.faults.site import Site
from fixtures.plugins.proof import Proof
from fixtures.probes.convergence import must_become
from fixtures.probes.plan import at, every
from fixtures.probes.runner import Prober
from fixtures.probes.steady import asked_until
from fixtures.probes.ways import tcp, udp
from fixtures.verdicts.expectation import all_of, blocked, reached
from fixtures.verdicts.network_policy import manifest
from fixtures.verdicts.observation import Outcome
from fixtures.world import pods
from fixtures.world.pods import Pod, PodEndpoint
from fixtures.world.policies import policy_for
from fixtures.world.populace import SETTLED_WITHIN
from fixtures.world.world import PORT, World

pytestmark = [pytest.mark.claim("POL-8"), pytest.mark.requires("network-policy")]

WAYS = (tcp(PORT, timeout=0.5), udp(PORT, timeout=0.5))
LINGERS = 10
"""Seconds for which a pod goes on after it was told to end."""
FRIENDS = {"from": [{"podSelector": {"matchLabels": {"role": "friend"}}}]}


@fault(
    reddens={"policy/holds_to_the_end/an_ending_pod_keeps_what_it_may": "ending → neighbour"},
    spares=("policy/holds_to_the_end/a_namespace_takes_its_pods_first",),
    requires=(Feature.NETWORK_POLICY,),
)
def friends_dropped(site: Site) -> Iterator[None]:
    """What goes to the pod neighbour is dropped on its node."""
    with packet_rule(site, site.near, "prerouting", f"ip daddr {site.pod_address('neighbour')} drop"):
        yield


@fault(
    reddens={"policy/holds_to_the_end/a_namespace_takes_its_pods_first": "client → doomed"},
    spares=("policy/holds_to_the_end/an_ending_pod_keeps_what_it_may",),
    requires=(Feature.NETWORK_POLICY,),
)
def client_dropped(site: Site) -> Iterator[None]:
    """What the pod client sends by TCP and UDP to our port is dropped on its node."""
    rule = f"ip saddr {site.pod_address('client')} th dport {PORT} drop"
    with packet_rule(site, site.near, "prerouting", f"meta l4proto {{ tcp, udp }} {rule}"):
        yield


def test_an_ending_pod_keeps_what_it_may(world: World, prober: Prober, proof: Proof) -> None:
    """A pod that a policy lets in is told to end: it is let in all the while, and who was kept out still is."""
    ending = Pod("ending", node=world["remote"].node, labels={"role": "friend"}, lingers=LINGERS)
    target = [at(world["neighbour"])]
    with world.with_pods(ending), policy_for(world, "neighbour", ingress=[FRIENDS]):
        friend, stranger = every([world["ending"]], target, WAYS), every([world["remote"]], target, WAYS)
        witness = every([world["remote"]], [at(world["client"])], WAYS)
        wanted = {**all_of([*friend, *witness], reached()), **all_of(stranger, blocked())}
        before = must_become(prober, wanted, within=SETTLED_WITHIN)
        proof.concludes(before.judgement)

        world.api.delete(POD, "ending", namespace=world.namespace)
        meanwhile = must_become(prober, wanted, within=LINGERS - 3.0)

    proof.concludes(meanwhile.judgement)


def test_a_namespace_takes_its_pods_first(world: World, prober: Prober, proof: Proof) -> None:
    """A namespace with a deny and a pod that takes its time to end is deleted: nobody gets in, to the last."""
    with doomed(world) as pod:
        cells = every([world["client"], world["remote"]], [at(pod)], WAYS)
        before = must_become(prober, all_of(cells, reached()))
        proof.concludes(before.judgement)
        world.api.create(denies(pod.namespace))
        shut = must_become(
            prober, all_of(cells, blocked()), within=SETTLED_WITHIN, witnesses=[before.judgement.sweep]
        )
        proof.concludes(shut.judgement)

        world.api.delete(NAMESPACE, pod.namespace)
        seen = asked_until(
            prober, cells, lambda: not world.api.list(POD, pod.namespace), what="the pod to be gone", within=60
        )

    let_in = [one for one in seen if one.outcome is Outcome.REACHED]
    proof.measured("requests while it went", len(seen), "")
    proof.fact("nobody got in while the namespace went", not let_in, [one.cell.source for one in let_in])


def denies(namespace: str) -> Object:
    """A policy that lets nobody in to any pod of the namespace."""
    return manifest(namespace, "deny", {"podSelector": {}, "policyTypes": ["Ingress"]})


@contextmanager
def doomed(world: World) -> Iterator[PodEndpoint]:
    """A pod that lingers, on the near node, in a namespace of its own."""
    name = f"{world.namespace}-doomed"
    labels = {LABEL: str(world.run)}
    world.api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
    try:
        wanted = Pod("doomed", node=world["client"].node, lingers=LINGERS)
        made = pods.create(world.api, name, world.run, world.image, [wanted])
        world.include(made)
        yield made["doomed"]
    finally:
        world.exclude("doomed")
        world.api.delete(NAMESPACE, name)
