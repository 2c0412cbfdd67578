"""A pod finds in resolv.conf, in /etc/hosts and as its own name what its spec asks for, and look-ups go by it.

    dnsPolicy ClusterFirst             server 10.96.0.10, search N.svc.cluster.local …, ndots:5
    dnsPolicy ClusterFirstWithHostNet  the same for a pod on its node's network
    dnsPolicy Default                  what its node has
    dnsPolicy None, and a dnsConfig    what that says and nothing else: 32 places to search, the last one is right
    hostAliases                        lines of /etc/hosts
    hostname, subdomain                the pod's name; with setHostnameAsFQDN the whole of it

Nothing on the wire shows that a pod asks the wrong server, or tries a name in the wrong places: it is merely slow,
or reaches another team's Service of the same name. So the files are read inside the pods, and names looked up.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fixtures.agent.names import Resolver, resolver_in
from fixtures.endpoints.conversation import Conversations
from fixtures.endpoints.endpoint import Endpoint
from fixtures.faults.fault import fault
from fixtures.faults.node_levers import kubelet_setting
from fixtures.faults.site import Site
from fixtures.plugins.proof import Proof
from fixtures.probes.convergence import must_become
from fixtures.probes.plan import every
from fixtures.probes.runner import Prober
from fixtures.probes.ways import ADDRESS_RECORD, lookup
from fixtures.verdicts.expectation import all_of, reached
from fixtures.world import node_files
from fixtures.world.pods import Container, Pod, Port
from fixtures.world.resolvers import dns_server
from fixtures.world.service_set import Services
from fixtures.world.ways_in import RESOLVER
from fixtures.world.world import World

pytestmark = pytest.mark.claim("DNS-4")

RESOLV_CONF, HOSTS, HOSTNAME = "/etc/resolv.conf", "/etc/hosts", "/proc/sys/kernel/hostname"
ON_HOST = Container(ports=(Port(18092, "TCP"),))
BACKUP = "203.0.113.7"
NOWHERE = [f"nowhere-{number}.svc.cluster.local" for number in range(1, 32)]
"""With the one that is right they are 32 places, the most that Kubernetes lets a pod search."""


@fault(
    reddens={
        "kubernetes/dns/names_of_a_pod/resolv_conf": "a pod on its node's network has the same",
        "kubernetes/dns/names_of_a_pod/hosts_and_hostname": "whole name",
    },
    spares=("kubernetes/dns/service_names/*", "kubernetes/pods/pods_on_other_nodes/*"),
)
def kubelet_of_another_domain(site: Site) -> Iterator[None]:
    """The near node's kubelet believes that the cluster's names end otherwise."""
    with kubelet_setting(site, site.near, "clusterDomain", "other.example"):
        yield


def test_resolv_conf(
    world: World, services: Services, conversations: Conversations, prober: Prober, proof: Proof
) -> None:
    """Each dnsPolicy gives server, search path and ndots as documented; a name is found by 32 places to search."""
    node, server = world.host_of("client"), dns_server(world)
    there = f"{world.namespace}.svc.cluster.local"
    own = {"nameservers": [server], "searches": [*NOWHERE, there], "options": [{"name": "ndots", "value": "2"}]}
    pods = (
        Pod("on-host", node=node.name, host_network=True, containers=(ON_HOST,)),
        Pod("as-its-node", node=node.name, extra={"dnsPolicy": "Default"}),
        Pod("own-way", node=node.name, extra={"dnsPolicy": "None", "dnsConfig": own}),
    )
    with world.with_pods(*pods):
        patient = lookup("web", ADDRESS_RECORD[world.family], timeout=4)
        asked = every([world["on-host"], world["own-way"]], [RESOLVER], [patient])
        found = must_become(prober, all_of(asked, reached(answers=[str(services["web"].cluster_ip)])))
        names = ("client", "on-host", "as-its-node", "own-way")
        known = {name: resolver(conversations, world[name]) for name in names}
        of_node = resolver_in(node_files.text(world, node.name, RESOLV_CONF))

    places = (there, "svc.cluster.local", "cluster.local", *of_node.search)
    proof.fact("ClusterFirst is the default", known["client"] == Resolver(server, places, 5), known["client"])
    same = known["on-host"] == known["client"]
    proof.fact("a pod on its node's network has the same", same, known["on-host"])
    alike = (known["as-its-node"].server, known["as-its-node"].search) == (of_node.server, of_node.search)
    proof.fact("with Default it has its node's", alike, known["as-its-node"])
    whole = known["own-way"] == Resolver(server, (*NOWHERE, there), 2)
    proof.fact("with None it has its own and nothing else", whole, known["own-way"])
    proof.concludes(found.judgement)


def test_hosts_and_hostname(world: World, services: Services, conversations: Conversations, proof: Proof) -> None:
    """Aliases and the pod's own name stand in /etc/hosts; the host name is short, or whole where that is asked."""
    node, family = world["client"].node, services["family"]
    aliases = {"hostAliases": [{"ip": BACKUP, "hostnames": ["backup.example", "backup"]}]}
    pods = (
        Pod("aliased", node=node, hostname="short", subdomain="family", extra=aliases),
        Pod("whole", node=node, hostname="long", subdomain="family", extra={"setHostnameAsFQDN": True}),
    )
    with world.with_pods(*pods):
        files = {name: conversations.with_(world[name]).read(HOSTS, HOSTNAME) for name in ("aliased", "whole")}
        addresses = {str(address) for address in world["aliased"].addresses}

    lines = hosts(files["aliased"][HOSTS] or "")
    aliased = [lines.get(name) for name in ("backup.example", "backup")]
    proof.fact("both aliases are there", aliased == [{BACKUP}, {BACKUP}], lines)
    short = (files["aliased"][HOSTNAME] or "").strip()
    proof.fact("its host name is the short one", short == "short", short)
    full = f"short.{family.full_name.rstrip('.')}"
    proof.fact("its own whole name leads to its addresses", lines.get(full) == addresses, {full: lines.get(full)})
    long = (files["whole"][HOSTNAME] or "").strip()
    wanted = f"long.{family.full_name.rstrip('.')}"
    proof.fact("setHostnameAsFQDN makes it the whole name", long == wanted, long)


def resolver(conversations: Conversations, pod: Endpoint) -> Resolver:
    """What the pod's resolv.conf says."""
    return resolver_in(conversations.with_(pod).read(RESOLV_CONF)[RESOLV_CONF] or "")


def hosts(text: str) -> dict[str, set[str]]:
    """The addresses of each name in a hosts file."""
    found: dict[str, set[str]] = {}
    for line in text.splitlines():
        address, *names = line.partition("#")[0].split() or [""]
        for name in names:
            found.setdefault(name, set()).add(address)
    return found
