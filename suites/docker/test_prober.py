"""Every outcome of a probe is what really happened to its packets.

    asker ──┐
            ├── one bridge network of ours
    server ─┘   (tcp and udp 8080)

It can fail if the prober takes one kind of failure for another: then every verdict built on it is wrong. Faults
are laid by nftables inside the containers' own namespaces.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from docker import DockerClient

from fixtures.endpoints.containers import NODE_CAPABILITIES, ContainerEndpoint, Place, Spec, start
from fixtures.endpoints.conversation import Conversations
from fixtures.probes.capture import Capture, rendered
from fixtures.probes.command import words
from fixtures.probes.frames import Direction
from fixtures.probes.plan import Destination, at, cell, every
from fixtures.probes.runner import Prober
from fixtures.probes.ways import get, lookup, ping, tcp, udp
from fixtures.report.recorder import Run
from fixtures.verdicts.observation import Observation, Outcome, Probe, Sweep

PORT = 8080
UNLIMITED = {"net.ipv4.icmp_ratelimit": "0"}
"""A host sends six ICMP errors in a burst to one peer and then one each second: our tests ask for more."""
WAYS = (tcp(PORT), udp(PORT), get(PORT, size=1000), ping())


@dataclass
class Pair:
    """Two containers on one network, and the means to ask, to listen and to lay faults."""

    asker: ContainerEndpoint
    server: ContainerEndpoint
    prober: Prober
    capture: Capture
    asked: list[Sweep]

    def ask(self, *probes: Probe, destination: Destination | None = None) -> tuple[Observation, ...]:
        """Ask the server, or whoever is named, in these ways."""
        sweep = self.prober.sweep(every([self.asker], [destination or at(self.server)], probes))
        return sweep.observations


@pytest.fixture(scope="module")
def pair(docker_client: DockerClient, agent_image: str, run: Run, bridge_network: str) -> Iterator[Pair]:
    place, conversations, capture = Place(network=bridge_network), Conversations(), Capture()
    made = [
        start(
            docker_client,
            agent_image,
            Spec(
                name,
                run.id,
                place,
                tcp=(PORT,),
                udp=(PORT,),
                capabilities=NODE_CAPABILITIES,
                options={"sysctls": UNLIMITED},
            ),
        )
        for name in ("asker", "server")
    ]
    world = {endpoint.name: endpoint for endpoint in made}
    yield Pair(made[0], made[1], Prober(world, lambda _: None, conversations=conversations), capture, [])
    capture.close()
    conversations.close()
    for endpoint in made:
        endpoint.remove()


Fault = Callable[[ContainerEndpoint, str], None]


@pytest.fixture
def fault(pair: Pair) -> Iterator[Fault]:
    """Lay nftables chains (in a table of our own) in an endpoint's namespace; lifted after the test."""
    laid: list[ContainerEndpoint] = []

    def lay(where: ContainerEndpoint, chains: str) -> None:
        laid.append(where)
        pair.prober.conversations.with_(where).run(
            ["nft", "-f", "-"], stdin=f"table inet fault {{\n{chains}\n}}\n"
        )

    yield lay
    for where in laid:
        pair.prober.conversations.with_(where).run(["nft", "delete", "table", "inet", "fault"])


def chain(hook: str, rule: str, kind: str = "filter", priority: int = 0) -> str:
    return f"chain {hook} {{\ntype {kind} hook {hook} priority {priority}; policy accept;\n{rule}\n}}"


def outcomes(seen: tuple[Observation, ...]) -> list[Outcome]:
    return [it.outcome for it in seen]


def test_all_reached(pair: Pair) -> None:
    seen = pair.ask(*WAYS)
    assert outcomes(seen) == [Outcome.REACHED] * 4
    assert [it.answered_by for it in seen] == ["server", "server", "server", ""]
    assert {it.seen_as[0] for it in seen if it.seen_as} == set(pair.asker.addresses)
    assert {it.served_at[0] for it in seen if it.served_at} == set(pair.server.addresses)


def test_a_closed_port_refuses(pair: Pair) -> None:
    assert outcomes(pair.ask(tcp(9), udp(9), get(9))) == [Outcome.REFUSED] * 3


def test_a_drop_at_the_server_times_out(pair: Pair, fault: Fault) -> None:
    fault(pair.server, chain("input", f"ip saddr {pair.asker.addresses[0]} drop"))
    seen = pair.ask(*WAYS)
    assert outcomes(seen) == [Outcome.TIMED_OUT] * 4
    assert [it.detail for it in seen] == ["no handshake", "no answer", "no handshake", "no echo reply"]


@pytest.mark.parametrize("kind", ["host-unreachable", "admin-prohibited", "net-unreachable"])
def test_a_reject_is_unreachable(pair: Pair, fault: Fault, kind: str) -> None:
    fault(pair.server, chain("input", f"ip saddr {pair.asker.addresses[0]} reject with icmp {kind}"))
    seen = pair.ask(*WAYS)
    assert outcomes(seen) == [Outcome.UNREACHABLE] * 4
    assert all("UNREACH" in it.detail for it in seen)


def test_a_reject_with_port_unreachable_refuses(pair: Pair, fault: Fault) -> None:
    fault(pair.server, chain("input", f"th dport {PORT} reject with icmp port-unreachable"))
    assert outcomes(pair.ask(tcp(PORT), udp(PORT))) == [Outcome.REFUSED] * 2


def test_an_address_that_nobody_has_is_unreachable_in_the_end(pair: Pair) -> None:
    own = pair.server.addresses[0]
    nobody = Destination("nobody", str(own + 100))
    seen = pair.ask(tcp(PORT, timeout=5), udp(PORT, timeout=5), ping(timeout=5), destination=nobody)
    assert outcomes(seen) == [Outcome.UNREACHABLE] * 3
    assert {it.detail for it in seen} == {"EHOSTUNREACH: No route to host"}


def test_what_has_no_route_is_never_sent(pair: Pair) -> None:
    run = pair.prober.conversations.with_(pair.asker).run
    run(["ip", "route", "add", "unreachable", "198.51.100.0/24"])
    seen = pair.ask(tcp(PORT), udp(PORT), ping(), destination=Destination("away", "198.51.100.1"))
    run(["ip", "route", "del", "unreachable", "198.51.100.0/24"])
    assert outcomes(seen) == [Outcome.NEVER_SENT] * 3


def test_a_redirection_to_another_server_is_the_wrong_peer(pair: Pair, fault: Fault) -> None:
    listening = pair.prober.conversations.with_(pair.server).listen(tcp=[8090], udp=[8090], identity="impostor")
    fault(
        pair.server,
        chain("prerouting", "tcp dport 8080 redirect to :8090\nudp dport 8080 redirect to :8090", "nat", -100),
    )
    seen = pair.ask(tcp(PORT), udp(PORT), get(PORT))
    pair.prober.conversations.with_(pair.server).stop(listening)
    assert outcomes(seen) == [Outcome.WRONG_PEER] * 3
    assert {it.answered_by for it in seen} == {"impostor"}
    assert {it.served_at[1] for it in seen if it.served_at} == {8090}


def test_source_nat_is_seen(pair: Pair, fault: Fault) -> None:
    fault(pair.asker, chain("postrouting", f"udp dport {PORT} masquerade to :4000-4000", "nat", 100))
    (seen,) = pair.ask(udp(PORT))
    assert seen.outcome is Outcome.REACHED
    assert seen.seen_as == (pair.asker.addresses[0], 4000)
    assert seen.source_address != seen.seen_as


def test_an_mtu_black_hole_shows_connected_and_no_answer(pair: Pair, fault: Fault) -> None:
    fault(pair.asker, chain("input", "meta length > 1300 drop"))
    small, large, web = pair.ask(tcp(PORT, size=100), tcp(PORT, size=200_000), get(PORT, size=200_000))
    assert outcomes((small, large, web)) == [Outcome.REACHED, Outcome.TIMED_OUT, Outcome.TIMED_OUT]
    assert large.detail == "connected, no answer"
    assert large.connect_seconds is not None


def test_a_packet_above_the_mtu_with_df_is_too_big_and_one_below_passes(pair: Pair) -> None:
    (mtu_file,) = pair.prober.conversations.with_(pair.asker).read("/sys/class/net/eth0/mtu").values()
    mtu = int(mtu_file or "0")
    fits, above, whole, over = pair.ask(
        ping(mtu - 28, dont_fragment=True),
        ping(mtu - 27, dont_fragment=True),
        udp(PORT, size=mtu - 28, dont_fragment=True),
        udp(PORT, size=mtu - 27, dont_fragment=True),
    )
    assert outcomes((fits, above)) == [Outcome.REACHED, Outcome.TOO_BIG]
    assert outcomes((whole, over)) == [Outcome.REACHED, Outcome.TOO_BIG]
    assert (fits.received, whole.received) == (mtu - 28, mtu - 28)


def test_a_lost_syn_is_counted_and_timed(pair: Pair, fault: Fault) -> None:
    fault(pair.server, chain("input", "tcp flags syn numgen inc mod 2 0 drop"))
    (seen,) = pair.ask(tcp(PORT, timeout=3))
    assert (seen.outcome, seen.resent) == (Outcome.REACHED, 1)
    assert seen.connect_seconds is not None
    assert 0.9 < seen.connect_seconds < 2.5


def test_a_killed_prober_is_broken_not_blocked(pair: Pair) -> None:
    conversation = pair.prober.conversations.with_(pair.asker)
    pid = conversation.run(["sh", "-c", "echo $PPID"]).out.strip()
    pair.prober.conversations.forget("server")
    with pair.capture.on([pair.asker], ports=[1]):
        pass
    conversation.request("run", argv=["kill", "-9", pid])
    seen = pair.ask(tcp(PORT), udp(PORT))
    assert outcomes(seen) == [Outcome.PROBE_BROKEN] * 2
    assert outcomes(pair.ask(tcp(PORT), udp(PORT))) == [Outcome.REACHED] * 2


def test_names_are_resolved_as_the_container_would(pair: Pair) -> None:
    name = pair.server.container
    known = Destination("server", name, frozenset({"server"}))
    resolver = Destination("resolver", "")
    assert outcomes(pair.ask(tcp(PORT), udp(PORT), destination=known)) == [Outcome.REACHED] * 2
    found, absent = pair.ask(lookup(name), lookup("no-such-name.invalid", timeout=4), destination=resolver)
    assert (found.outcome, found.answers) == (Outcome.REACHED, (str(pair.server.addresses[0]),))
    assert absent.outcome in (Outcome.NAME_ERROR, Outcome.REFUSED)


def test_a_capture_shows_each_packet_at_both_ends(pair: Pair) -> None:
    plan = every([pair.asker], [at(pair.server)], [tcp(PORT), udp(PORT), ping(), udp(PORT, size=4000)])
    with pair.capture.on([pair.asker, pair.server], plan) as taps:
        sweep = pair.prober.sweep(plan)
    assert outcomes(sweep.observations) == [Outcome.REACHED] * 4
    for one in plan[:3]:
        where = [(hop.place, hop.link, hop.direction) for hop in taps.hops(one)]
        assert where == [
            ("asker", "eth0", Direction.OUT),
            ("server", "eth0", Direction.IN),
            ("server", "eth0", Direction.OUT),
            ("asker", "eth0", Direction.IN),
        ], rendered(taps.hops(one))
    fragments = [hop for hop in taps.hops(plan[3]) if hop.packet and hop.packet.fragment]
    assert len(fragments) == 4 * 3, rendered(taps.hops(plan[3]))
    assert taps.pcaps("all").keys() == {"all-asker-eth0.pcap", "all-server-eth0.pcap"}


def test_a_capture_by_port_shows_the_handshake(pair: Pair) -> None:
    plan = (cell(pair.asker, at(pair.server), tcp(PORT, source_port=45678)),)
    with pair.capture.on([pair.server], ports=[45678]) as taps:
        pair.prober.sweep(plan)
    flags = [hop.packet.flags for hop in taps.using(45678) if hop.packet]
    assert flags[:3] == ["S", "SA", "A"]


def test_the_command_of_a_cell_asks_it_again(pair: Pair) -> None:
    run = pair.prober.conversations.with_(pair.asker).run
    for probe in (tcp(PORT, size=5), udp(PORT, dont_fragment=True, source_port=777), ping(), get(PORT)):
        assert '"outcome": "REACHED"' in run(words(cell(pair.asker, at(pair.server), probe))).out
    assert run(words(cell(pair.asker, at(pair.server), tcp(9))), check=False).status == 1
