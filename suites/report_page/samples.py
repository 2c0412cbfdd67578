"""Reports as a run writes them, of runs that never were: small ones to look at, and one that is large."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice, product

from fixtures.report.claims import texts, verdicts
from fixtures.report.model import (
    Cause,
    Check,
    Environment,
    Fact,
    Matrix,
    Measure,
    Memory,
    PacketWay,
    Passage,
    Phase,
    Place,
    Probe,
    Report,
    Table,
    Totals,
    Versions,
    WrongCell,
)
from fixtures.verdicts.verdict import Verdict, merged

NODES = ("control-plane", "worker", "worker2")
WAYS = (("tcp", "tcp/8080"), ("udp", "udp/8080"), ("icmp", "icmp"))
BOLD = "<b>bold</b> & \"quoted\" </script><script>document.title = 'broken in'</script>"
"""What no page may take for markup."""
LOST = "udp client → remote: the request was last seen on tunnel0 on worker, never on eth0 on worker."


def places(pods_on_each: int = 2) -> tuple[Place, ...]:
    """Three nodes with so many pods on each, and one machine outside."""
    names = iter(["third", "client", "remote", "spare", "neighbour", "pair", *(f"pod-{it}" for it in range(90))])
    nodes = [Place(name=it, kind="node", node=it, addresses=(f"172.18.0.{2 + n}",)) for n, it in enumerate(NODES)]
    pods = [
        Place(
            name=next(names),
            kind="pod",
            node=node,
            addresses=(f"10.244.{number}.{2 + pod}", f"fd00:10:244:{number}::{2 + pod}"),
        )
        for pod in range(pods_on_each)
        for number, node in enumerate(NODES)
    ]
    return (*nodes, *pods, Place(name="outside", kind="outside", node="", addresses=("172.18.0.9",)))


def probe(
    source: Place, destination: Place, number: int = 0, *, lost: bool = False, blocked: bool = False
) -> Probe:
    """One probe between two of them, by the way of that number; it was lost, or `blocked` by a policy."""
    protocol, way = WAYS[number % len(WAYS)]
    answered = not lost and not blocked
    return Probe(
        source=source.name,
        destination=destination.name,
        placement="itself"
        if source == destination
        else "same node"
        if source.node == destination.node
        else "other node",
        address=destination.addresses[0],
        way=way,
        protocol=protocol,
        family=4,
        verdict=Verdict.FAIL if lost else Verdict.PASS,
        outcome="REACHED" if answered else "TIMED_OUT",
        promised="blocked" if blocked else "reached",
        why=f"no ingress policy of {destination.name} (default/deny) allows TCP 8080" if blocked else "",
        seconds=0.0004 + number % 17 / 10000 if answered else None,
        handshake=0.0002 + number % 13 / 10000 if answered and protocol == "tcp" else None,
        answered_by=destination.name if answered else "",
        seen_as=source.addresses[0] if answered else "",
        reason=f"{source.name} → {destination.name}: no answer within 1.00 s; promised: reached" if lost else "",
    )


def check(name: str, verdict: Verdict, claim: str, probes: tuple[Probe, ...] = (), **more: object) -> Check:
    """A check with one judgement of these probes."""
    wrong = [it for it in probes if it.verdict.red]
    ends = tuple(dict.fromkeys(it.source for it in probes)), tuple(dict.fromkeys(it.destination for it in probes))
    table = Table(
        title="observed", sources=ends[0], destinations=ends[1], rows=tuple((".",) * len(ends[1]) for _ in ends[0])
    )
    summary = f"{len(probes) - len(wrong)} of {len(probes)} probes as promised"
    values = {
        "promise": f"The promise of {name.split('/')[1]}",
        "summary": f"What {name.split('/')[-1]} shows",
        "reason": wrong[0].reason if wrong else "" if verdict is Verdict.PASS else f"the profile has no {name}",
        "seen": summary,
        "facts": (Fact(claim="the answer is right", holds=True, seen="right"),),
        "measures": (Measure(name="until it holds", value=0.3 + len(name) % 7 / 10, unit="s"),),
        "shown": (),
        "trace": "",
        "evidence": (),
        "place": f"suites/{name}.py::test_it",
    }
    return Check.model_validate(
        {
            "id": name,
            "claims": (claim,),
            "verdict": verdict,
            "seconds": 0.5 + len(name) % 5,
            "probes": len(probes),
            "matrices": (Matrix(summary=summary, legend=". reached", tables=(table,), probes=probes),)
            if probes
            else (),
            "wrong": tuple(
                WrongCell(
                    source=it.source,
                    destination=it.destination,
                    placement=it.placement,
                    verdict=it.verdict,
                    reason=it.reason,
                    command=f"kubectl -n netproof exec {it.source} -- python -m agent ask {it.way} {it.address}",
                )
                for it in wrong
            ),
            **values,
            **more,
        }
    )


def report(checks: tuple[Check, ...], standing: tuple[Place, ...], causes: tuple[Cause, ...] = ()) -> Report:
    """A run of these checks."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    ended = [it.verdict for it in checks]
    return Report(
        run="sample",
        leg="flannel-vxlan",
        profile="flannel-vxlan",
        verdict=merged(ended),
        status=1,
        stopped="",
        started=now,
        finished=now,
        versions=Versions(kubernetes="v1.36.3", kind="v0.33.0", cni="flannel v0.28.10", others={}, images=()),
        environment=Environment(
            kernel="6.18", system="Debian 12", python="3.11", cpus=2, memory=2**34, modules=(), engine=None
        ),
        memory=Memory(own=2**28, children=2**27, containers=None),
        phases=(
            Phase(name="images", seconds=2),
            Phase(name="cluster", seconds=41),
            Phase(name="checks", seconds=90),
        ),
        checks=checks,
        claims=verdicts((it.claims, it.verdict) for it in checks),
        causes=causes,
        places=standing,
        totals=Totals(
            checks=len(checks),
            probes=sum(it.probes for it in checks),
            verdicts={verdict: ended.count(verdict) for verdict in Verdict},
            seconds=133,
        ),
    )


def followed() -> PacketWay:
    """A packet that was lost between a tunnel and the node's own link."""
    links = (("worker", "veth1"), ("worker", "bridge0"), ("worker", "tunnel0"), ("worker", "eth0"))
    there = (("worker2", "eth0"), ("worker2", "tunnel0"), ("worker2", "bridge0"), ("worker2", "veth2"))
    return PacketWay(
        source="client",
        destination="remote",
        protocol="udp",
        passages=tuple(
            Passage(
                node=node,
                link=link,
                request=number < 3,
                reply=False,
                addresses="10.244.1.2 → 10.244.2.2" if number < 3 else "",
            )
            for number, (node, link) in enumerate((*links, *there))
        ),
        cut="",
        sentence=LOST,
    )


def some_red(pods_on_each: int = 2) -> Report:
    """Eight checks; three are red, two of them because of one node."""
    known = places(pods_on_each)
    pods = [it for it in known if it.kind == "pod"]
    every = list(product(pods, pods, range(len(WAYS))))
    worker2 = {it.name for it in pods if it.node == "worker2"}
    far = tuple(
        probe(one, two, way, lost=(one.name in worker2) != (two.name in worker2)) for one, two, way in every
    )
    near = tuple(probe(one, two, way, blocked=two.name == "pair") for one, two, way in every)
    server = Place(name="server", kind="pod", node="worker", addresses=("10.244.1.77",))
    red = (
        check("kubernetes/pods/across", Verdict.FAIL, "POD-4", far, ways=(followed(),), shown=(LOST,)),
        check("kubernetes/services/clusterip", Verdict.FAIL, "SVC-2", far[:24]),
        check("kubernetes/dns/names[ipv4]", Verdict.UNKNOWN, "DNS-1", reason=f"the prober broke: {BOLD}"),
    )
    green = [check(f"kubernetes/pods/near{it}", Verdict.PASS, "POD-3", near, seen=BOLD) for it in range(2)]
    green.append(check("kubernetes/pods/own", Verdict.PASS, "POD-3", (probe(pods[0], server),), places=(server,)))
    absent = [check(f"policy/clauses/it{it}", Verdict.NOT_SUPPORTED, "POL-1") for it in range(2)]
    causes = (
        Cause(
            shared="worker2",
            sentence="2 red checks have worker2 in common; the lowest is POD-4",
            checks=(red[0].id, red[1].id),
        ),
        Cause(shared="", sentence="1 red check with nothing in common", checks=(red[2].id,)),
    )
    return report((green[0], *red, *green[1:], *absent), known, causes)


def large(checks: int, probes: int) -> Report:
    """So many checks with so many probes in all, among 20 pods; every hundredth check is red."""
    known = places(7)
    pods = [it for it in known if it.kind == "pod"][:20]
    pairs = list(product(pods, pods))
    each = probes // checks
    claims = list(texts())

    def of(number: int) -> Iterator[Probe]:
        for place in range(each):
            one, two = pairs[(number * each + place) % len(pairs)]
            yield probe(one, two, place, lost=number % 100 == 99 and place < 3)

    made = (
        check(
            f"kubernetes/module{number // 20}/check{number}",
            Verdict.FAIL if number % 100 == 99 else Verdict.PASS,
            claims[number % len(claims)],
            tuple(of(number)),
        )
        for number in range(checks)
    )
    return report(tuple(islice(made, checks)), known)
