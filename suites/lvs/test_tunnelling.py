"""By tunnelling the director wraps a packet as it is into one to the real server, and never sees the reply.

    client 192.0.2.200 ──asks 192.0.2.120──→ director 192.0.2.1 ══IPIP══→ one, two, three 192.0.2.11 to 13
       ↑                                                                    192.0.2.120 on ipip0
       └──────────────────────────────── straight ──────────────────────────┘

    TCP ‹client→vip tcp›
    UDP ‹client→vip udp›

The outer packet has addresses of its own, so that a real server may be anywhere. Fails where a tunnel loses
packets, where the wire carries anything else than IPIP, and where nobody tells the client that packets no longer
fit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from ipaddress import IPv4Address

import pytest

from fixtures.faults.fault import fault
from fixtures.lab.ipvs import PORT, Forwarding, VirtualServer, virtual_server
from fixtures.lab.topologies.lvs_farm import CLIENT, DIRECTOR, Farm
from fixtures.plugins.proof import Proof
from fixtures.probes.addressed import looks
from fixtures.probes.capture import rendered
from fixtures.probes.plan import address_of, every
from fixtures.probes.runner import Prober
from fixtures.probes.ways import udp
from fixtures.verdicts.expectation import all_of, blocked, reached
from fixtures.verdicts.judge import judge
from fixtures.verdicts.observation import Cell
from fixtures.verdicts.spread import shares

pytestmark = [pytest.mark.needs("ipvs", "ipip"), pytest.mark.claim("LVS-5")]

VIRTUAL = IPv4Address("192.0.2.120")
HEADERS = 20 + 8
"""Of IPv4 and UDP, in bytes."""
OUTER = 20
"""What IPIP adds: one more IPv4 header, in bytes."""


@dataclass(frozen=True)
class Tunnelled:
    """The farm with a virtual server by tunnelling."""

    farm: Farm
    service: VirtualServer

    def cells(self, times: int = 1) -> tuple[Cell, ...]:
        """The client asks by TCP and UDP."""
        return self.farm.asked(self.service.destination, times)


@pytest.fixture(scope="module")
def tunnelled(farm: Farm) -> Iterator[Tunnelled]:
    """The virtual server, and on every real server the tunnel's other end with its address."""
    for server in farm.servers:
        server.configure(
            f"link add name ipip0 type ipip local {address_of(server.endpoint)}",
            f"address add {VIRTUAL}/32 dev ipip0",
            "link set dev ipip0 up",
        )
    with virtual_server(farm.director, VIRTUAL, farm.servers, Forwarding.TUNNEL) as service:
        yield Tunnelled(farm, service)
    for server in farm.servers:
        server.configure("link delete dev ipip0")


@fault(
    site="tunnelled",
    reddens={
        "lvs/tunnelling/answers_in_turn": "client → vip",
        "lvs/tunnelling/one_packet_in_another": "client → vip",
    },
    spares=("lvs/tunnelling/what_no_longer_fits",),
)
def the_tunnel_of_two_loses_tcp(tunnelled: Tunnelled) -> Iterator[None]:
    """What comes out of the tunnel of `two` is dropped where it is TCP."""
    iptables, rule = tunnelled.farm.lab.engine.iptables, ("INPUT", "-i", "ipip0", "-p", "tcp", "-j", "DROP")
    tunnelled.farm.two.run(iptables, "-A", *rule)
    yield
    tunnelled.farm.two.run(iptables, "-D", *rule)


@fault(
    site="tunnelled",
    reddens={
        "lvs/tunnelling/one_packet_in_another": "requests travel inside IPIP, replies bare",
        "lvs/tunnelling/what_no_longer_fits": "client → vip",
    },
    spares=("lvs/tunnelling/answers_in_turn",),
)
def nothing_is_wrapped(tunnelled: Tunnelled) -> Iterator[None]:
    """The director hands requests on by direct routing."""
    direct = replace(tunnelled.service, forwarding=Forwarding.DIRECT)
    for server in tunnelled.farm.servers:
        direct.weigh(server, 1)
    yield
    for server in tunnelled.farm.servers:
        tunnelled.service.weigh(server, 1)


def test_answers_in_turn(tunnelled: Tunnelled, lab_prober: Prober, proof: Proof) -> None:
    """12 requests by TCP, 12 by UDP: each real server answers 8, as the virtual address, and sees the client."""
    cells = tunnelled.cells(12)

    sweep = lab_prober.sweep(cells)

    proof.concludes(judge(all_of(cells, reached(seen_as=[CLIENT])), sweep))
    proof.fact("each real server answers 8", shares(sweep) == {"one": 8, "two": 8, "three": 8}, shares(sweep))
    served = {str(one.served_at[0]) for one in sweep if one.served_at}
    proof.fact("it is asked at the virtual address itself", served == {str(VIRTUAL)}, served)


def test_one_packet_in_another(tunnelled: Tunnelled, lab_prober: Prober, proof: Proof) -> None:
    """Captured everywhere: the request as it was, inside a packet from director to real server; the reply bare.

        client ──→ director                   ‹asked›
                   director ══→ real server   ‹wrapped›
                                real server   ‹unwrapped›
        client ←─────────────── real server   ‹answered›

    What is written on a packet is held against the promise at every link that it passes.
    """
    farm, cells = tunnelled.farm, tunnelled.cells(3)

    with farm.lab.capture.on([machine.endpoint for machine in farm.machines], cells) as taps:
        sweep = lab_prober.sweep(cells)

    proof.concludes(judge(all_of(cells, reached()), sweep))
    proof.evidence("frames.txt", rendered(taps.frames))
    seen = [looks(taps.hops(cell)) for cell in cells]
    proof.draws(dict(zip(("asked", "wrapped", "unwrapped", "answered"), seen[0][::2], strict=False)))
    proof.fact(
        "requests travel inside IPIP, replies bare", seen == [passed(farm, one.answered_by) for one in sweep], seen
    )


def passed(farm: Farm, server: str) -> list[str]:
    """What is on a request and its reply, link after link."""
    outer = f"{DIRECTOR} > {address_of(farm.lab.machines[server].endpoint)}"
    return [
        f"client eth0 out {CLIENT} > {VIRTUAL}",
        f"director eth0 in {CLIENT} > {VIRTUAL}",
        f"director eth0 out {outer} | {CLIENT} > {VIRTUAL}",
        f"{server} eth0 in {outer} | {CLIENT} > {VIRTUAL}",
        f"{server} ipip0 in {CLIENT} > {VIRTUAL}",
        f"{server} eth0 out {VIRTUAL} > {CLIENT}",
        f"client eth0 in {VIRTUAL} > {CLIENT}",
    ]


def test_what_no_longer_fits(tunnelled: Tunnelled, lab_prober: Prober, proof: Proof) -> None:
    """Datagrams that may not be cut: with 20 bytes to spare one passes, one byte more and the director says no.

        client ──→ director ══→ real server   MTU ‹mtu›, of which the outer header takes 20
          ‹fits› bytes: ‹passes›
          ‹over› bytes: ‹refused›

    Requests alone travel inside the tunnel; replies may be as large as ever.
    """
    client, patience = tunnelled.farm.client, tunnelled.farm.lab.engine.patience
    mtu = client.ip("link", "show", "dev", "eth0")[0]["mtu"]
    fits = mtu - OUTER - HEADERS
    ways = [udp(PORT, size=size, dont_fragment=True, timeout=patience) for size in (fits, fits + 1)]
    passing, over = cells = every([client.endpoint], [tunnelled.service.destination], ways)

    passes, refused = sweep = lab_prober.sweep(cells)
    client.run("ip", "route", "flush", "cache")

    proof.draws({"mtu": mtu, "fits": fits, "over": fits + 1, "passes": passes.outcome, "refused": refused.detail})
    proof.concludes(judge({passing: reached(received=fits), over: blocked()}, sweep))
    proof.fact("the client is told that it is too long", refused.detail.startswith("EMSGSIZE"), refused.detail)
