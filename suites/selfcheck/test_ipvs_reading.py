"""What is read out of ipvsadm and ping, and how frames look, from what a director has shown."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from fixtures.lab import flood
from fixtures.lab.ipvs import counted, remembered
from fixtures.probes.addressed import looks
from fixtures.probes.connections import Connection, Way
from fixtures.probes.frames import Direction, Ethernet, Frame, Packet

SERVICE = """\
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn
TCP  192.0.2.133:8080 lc
  -> 192.0.2.11:8080              Masq    1      4          0
  -> 192.0.2.12:8080              Masq    1      0          13
  -> 192.0.2.13:8080              Masq    0      1          2
"""

REMEMBERED = """\
IPVS connection entries
pro expire state       source             virtual            destination
TCP 01:59  TIME_WAIT   192.0.2.200:60118  192.0.2.100:8080   192.0.2.13:8080
UDP 00:09  UDP         192.0.2.200:57776  192.0.2.100:8080   192.0.2.11:8080
"""

FLOOD = """\
PING 192.0.2.11 (192.0.2.11) 56(84) bytes of data.

--- 192.0.2.11 ping statistics ---
500 packets transmitted, 499 received, 0.2% packet loss, time 70ms
rtt min/avg/max/mdev = 0.061/0.066/0.200/0.013 ms, ipg/ewma 0.137/0.065 ms
"""

CLIENT, VIRTUAL, DIRECTOR, REAL = (ip_address(f"192.0.2.{number}") for number in (200, 100, 1, 13))


def test_active_connections_are_those_of_the_servers_named() -> None:
    assert counted(SERVICE, {"192.0.2.11": "one", "192.0.2.12": "two"}) == {"one": 4, "two": 0}


def test_a_remembered_connection_has_both_sides() -> None:
    asked = [Way(CLIENT, port, VIRTUAL, 8080) for port in (60118, 57776)]
    answered = [
        Way(REAL, 8080, CLIENT, 60118),
        Way(ip_address("192.0.2.11"), 8080, CLIENT, 57776),
    ]
    assert remembered(REMEMBERED) == {Connection(*ways) for ways in zip(asked, answered, strict=True)}


def test_a_flood_is_counted_and_timed() -> None:
    assert flood.read(FLOOD) == flood.RoundTrips(500, 499, 61e-6, 66e-6)


def test_a_flood_that_nobody_answered_has_no_times() -> None:
    with pytest.raises(ValueError, match="no round trips"):
        flood.read("10 packets transmitted, 0 received, 100% packet loss, time 9ms\n")


def frame(link: str, *packets: Packet, to: str) -> Frame:
    """A frame on its way out of the director."""
    inner = packets[1] if len(packets) > 1 else None
    card = Ethernet("02:00:00:00:00:01", to, 0x0800)
    return Frame("director", link, Direction.OUT, 0.0, 100, b"", card, packets[0], inner=inner)


def test_a_frame_looks_like_its_addresses_and_its_receiver() -> None:
    asked = Packet(CLIENT, VIRTUAL, "tcp", 60, 64)
    outer = Packet(DIRECTOR, REAL, "ipip", 80, 64)
    bare, wrapped = (
        frame("eth0", asked, to="02:00:00:00:00:0d"),
        frame("eth0", outer, asked, to="02:00:00:00:00:0e"),
    )

    assert looks([bare, bare, wrapped]) == [
        "director eth0 out 192.0.2.200 > 192.0.2.100",
        "director eth0 out 192.0.2.1 > 192.0.2.13 | 192.0.2.200 > 192.0.2.100",
    ]
    assert looks([bare, wrapped], {"02:00:00:00:00:0d": "three"}) == [
        "director eth0 out 192.0.2.200 > 192.0.2.100 to the card of three",
        "director eth0 out 192.0.2.1 > 192.0.2.13 | 192.0.2.200 > 192.0.2.100 to the card of 02:00:00:00:00:0e",
    ]
