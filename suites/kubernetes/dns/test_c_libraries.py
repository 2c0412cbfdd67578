"""Programs find a Service by every form of its name, by the resolver of glibc and by that of musl.

    a program ── getaddrinfo() ── glibc ─┐  resolv.conf: search N.svc.cluster.local …, ndots:5
                               └─ musl  ─┴─→ CoreDNS

A look-up of one name by one question tells nothing of what the libraries make of it: both ask for both families at
once, musl takes a name for unknown if one of the two answers says so, and stops where glibc goes on searching.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fixtures.endpoints.conversation import Conversations
from fixtures.faults.fault import fault
from fixtures.faults.site import Site
from fixtures.plugins.proof import Proof
from fixtures.world.pods import Pod
from fixtures.world.resolvers import NO_ANSWER, UNKNOWN, Library, dns_server, resolved
from fixtures.world.service_set import Services
from fixtures.world.world import World

pytestmark = [
    pytest.mark.claim("DNS-4", "DNS-5"),
    pytest.mark.requires("known-profile"),  # names without a domain are asked elsewhere: of a server of ours
]


KNOWN = "{{ .Name }} 60 IN A 203.0.113.66"
"""The record that a server has which knows every name, in the words of CoreDNS' configuration."""


@fault(
    reddens={
        "kubernetes/dns/c_libraries/past_the_first_answer": "203.0.113.66",
        "kubernetes/dns/c_libraries/odd_places_to_search": "203.0.113.66",
    },
    spares=("kubernetes/dns/c_libraries/every_form_of_a_name", "kubernetes/dns/service_names/*"),
)
def upstream_that_knows_every_name(site: Site) -> Iterator[None]:
    """Of any name of one part or two the server elsewhere says where it is, as some providers' do."""
    lines = ("template IN A . {", "match ^[^.]+[.]([^.]+[.])?$", f'answer "{KNOWN}"', "fallthrough", "}")
    with site.corefile_with("\n".join(lines)):
        yield


def test_every_form_of_a_name(
    world: World, services: Services, conversations: Conversations, proof: Proof
) -> None:
    """Short, with namespace, with svc, whole: each leads to the ClusterIPs; a name that nobody has is unknown."""
    web = services["web"]
    addresses = frozenset(map(str, web.addresses))
    short, there, nobody = web.name, f"{web.name}.{world.namespace}", "nobody-there"
    promised = dict.fromkeys((short, there, f"{there}.svc", web.full_name), addresses) | {nobody: UNKNOWN}

    for name in ("client", "remote"):
        for library, found in resolved(conversations, world[name], promised).items():
            proof.fact(f"{library} on {name} finds what it should", found == promised, found)


def test_past_the_first_answer(
    world: World, services: Services, conversations: Conversations, proof: Proof
) -> None:
    """A name with as many dots as ndots is tried as it is: then glibc searches on, and musl does not.

        resolv.conf: search … svc.cluster.local, ndots:1      web.N ─→ no such name
                                                              web.N.svc.cluster.local ─→ its ClusterIP

    Who builds on Alpine has to write the whole name there. And who searches on asks the server elsewhere first.
    """
    web = services["web"]
    name = f"{web.name}.{world.namespace}"
    few = {"dnsConfig": {"options": [{"name": "ndots", "value": "1"}]}}
    with world.with_pods(Pod("few-dots", node=world["client"].node, extra=few)):
        found = resolved(conversations, world["few-dots"], [name])

    addresses = frozenset(map(str, web.addresses))
    proof.fact("glibc searches on and finds it", found[Library.GLIBC][name] == addresses, found[Library.GLIBC])
    proof.fact("musl takes it for unknown", found[Library.MUSL][name] == UNKNOWN, found[Library.MUSL])


def test_odd_places_to_search(
    world: World, services: Services, conversations: Conversations, proof: Proof
) -> None:
    """Past a place with an underscore both find a name; past the single dot glibc does, and musl finds nothing.

        resolv.conf: search under_score.svc.cluster.local N.svc.cluster.local
        resolv.conf: search . N.svc.cluster.local

    Kubernetes allows both, and has tests with glibc for them.
    """
    web, node = services["web"], world["client"].node
    server, there = dns_server(world), f"{world.namespace}.svc.cluster.local"
    places = {"underscore": ["under_score.svc.cluster.local", there], "dot": [".", there]}
    # musl gives up after that time alone.
    soon = [{"name": "timeout", "value": "1"}, {"name": "attempts", "value": "1"}]
    own = {name: {"nameservers": [server], "searches": them, "options": soon} for name, them in places.items()}
    pods = (Pod(it, node=node, extra={"dnsPolicy": "None", "dnsConfig": config}) for it, config in own.items())
    with world.with_pods(*pods):
        found = {name: resolved(conversations, world[name], [web.name]) for name in places}

    addresses = frozenset(map(str, web.addresses))
    told = {name: {library: it[web.name] for library, it in them.items()} for name, them in found.items()}
    proof.fact("both find it past the underscore", set(told["underscore"].values()) == {addresses}, told)
    proof.fact("glibc finds it past the dot", told["dot"][Library.GLIBC] == addresses, told)
    proof.fact("musl finds nothing there", told["dot"][Library.MUSL] == NO_ANSWER, told)
