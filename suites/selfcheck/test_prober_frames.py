"""Frames are decoded as deep as they go: built by another library, or by hand where it has no word for them."""

from __future__ import annotations

import io
import struct
from ipaddress import ip_address

import dpkt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixtures.agent.capture import quiet_filter
from fixtures.agent.ports import ports_of
from fixtures.probes.capture import Taps, rendered
from fixtures.probes.frames import Direction, Frame, decoded
from fixtures.probes.ways import udp
from fixtures.verdicts.observation import Cell

POD, PEER = ip_address("10.244.1.5"), ip_address("10.244.2.7")
NODE, OTHER = ip_address("172.18.0.3"), ip_address("172.18.0.2")
MARKER = "00112233445566aa"


def udp4(source: object, destination: object, sport: int, dport: int, data: bytes) -> dpkt.ip.IP:
    body = dpkt.udp.UDP(sport=sport, dport=dport, data=data, ulen=8 + len(data))
    packet = dpkt.ip.IP(src=source.packed, dst=destination.packed, p=17, ttl=63, data=body)  # type: ignore[attr-defined]
    packet.len = 20 + 8 + len(data)
    packet.df = 1
    return packet


def ethernet(packet: bytes, kind: int = 0x0800) -> bytes:
    return bytes.fromhex("0a0000000002") + bytes.fromhex("0a0000000001") + struct.pack("!H", kind) + packet


def vxlan(inner: bytes, vni: int = 1, port: int = 8472) -> bytes:
    return ethernet(bytes(udp4(NODE, OTHER, 50000, port, struct.pack("!B3xI", 8, vni << 8) + inner)))


def seen(raw: bytes, **known: int) -> Frame:
    return decoded("worker", "eth0", known.pop("packet_type", 4), 1.0, len(raw), raw, **known)


def test_udp() -> None:
    frame = seen(ethernet(bytes(udp4(POD, PEER, 4000, 8080, b"x" * 9))))
    assert frame.packet
    assert (frame.packet.source, frame.packet.destination) == (POD, PEER)
    assert (frame.packet.protocol, frame.packet.source_port, frame.packet.destination_port) == ("udp", 4000, 8080)
    assert (frame.packet.length, frame.packet.ttl, frame.packet.dont_fragment) == (37, 63, True)
    assert frame.ethernet
    assert (frame.ethernet.source, frame.ethernet.destination) == ("0a:00:00:00:00:01", "0a:00:00:00:00:02")
    assert not frame.encapsulated
    assert str(frame) == "worker eth0 out 10.244.1.5:4000 > 10.244.2.7:8080 udp 37"


def test_vxlan_carries_a_whole_ethernet_frame() -> None:
    frame = seen(vxlan(ethernet(bytes(udp4(POD, PEER, 4000, 8080, b"x")))))
    assert frame.packet
    assert (frame.packet.source, frame.packet.destination, frame.packet.destination_port) == (NODE, OTHER, 8472)
    assert frame.vni == 1
    assert frame.inner_ethernet
    assert frame.inner
    assert (frame.inner.source, frame.inner.destination) == (POD, PEER)
    assert frame.carried is frame.inner
    assert "udp 8472" not in str(frame)
    assert str(frame).endswith("vni 1 | 10.244.1.5:4000 > 10.244.2.7:8080 udp 29")


@given(st.integers(0, (1 << 24) - 1))
def test_every_vni(vni: int) -> None:
    assert seen(vxlan(ethernet(bytes(udp4(POD, PEER, 1, 2, b""))), vni, 4789)).vni == vni


def test_vxlan_is_known_at_any_port() -> None:
    frame = seen(vxlan(ethernet(bytes(udp4(POD, PEER, 1, 2, b""))), port=9999))
    assert frame.inner is not None
    assert frame.packet is not None
    assert frame.packet.destination_port == 9999


def test_flannel_udp_and_ipip_carry_a_bare_packet() -> None:
    inner = bytes(udp4(POD, PEER, 1, 2, b""))
    by_udp = seen(ethernet(bytes(udp4(NODE, OTHER, 8285, 8285, inner))))
    outer = dpkt.ip.IP(src=NODE.packed, dst=OTHER.packed, p=4, data=inner)
    outer.len = 20 + len(inner)
    by_ipip = seen(ethernet(bytes(outer)))
    for frame in (by_udp, by_ipip):
        assert frame.inner
        assert (frame.inner.source, frame.vni) == (POD, None)


@pytest.mark.parametrize("where", ["in the frame", "taken out by the kernel"])
def test_vlan(where: str) -> None:
    packet = bytes(udp4(POD, PEER, 1, 2, b""))
    if where == "in the frame":
        frame = seen(ethernet(struct.pack("!HH", 10, 0x0800) + packet, 0x8100))
    else:
        frame = seen(ethernet(packet), vlan=10)
    assert frame.ethernet
    assert frame.packet
    assert (frame.ethernet.vlan, frame.packet.source) == (10, POD)


def test_a_tag_within_a_tag() -> None:
    packet = bytes(udp4(POD, PEER, 1, 2, b""))
    frame = seen(ethernet(struct.pack("!HH", 20, 0x0800) + packet, 0x8100), vlan=10)
    assert frame.ethernet
    assert (frame.ethernet.tags, frame.ethernet.vlan) == ((10, 20), 10)


@pytest.mark.parametrize("answer", [False, True])
def test_arp(answer: bool) -> None:
    asker, has = (POD.packed, b"\x02" * 6), (PEER.packed, b"\x04" * 6)
    (spa, sha), (tpa, tha) = (has, asker) if answer else (asker, (has[0], bytes(6)))
    said = dpkt.arp.ARP(op=2 if answer else 1, spa=spa, sha=sha, tpa=tpa, tha=tha)
    frame = seen(ethernet(bytes(said), 0x0806))
    assert frame.arp
    assert frame.packet is None
    assert (frame.arp.subject, frame.arp.other, frame.arp.answer) == (PEER, POD, answer)
    assert frame.arp.mac == ("04:04:04:04:04:04" if answer else "02:02:02:02:02:02")


def test_a_capture_tells_who_was_asked_for() -> None:
    said = dpkt.arp.ARP(op=1, spa=POD.packed, sha=b"\x02" * 6, tpa=PEER.packed, tha=bytes(6))
    taps = Taps([seen(ethernet(bytes(said), 0x0806))], complete=True)
    assert taps.arp(PEER) == taps.frames
    assert taps.arp(POD) == []


def test_fragments() -> None:
    first, second = udp4(POD, PEER, 1, 2, b"x" * 64), udp4(POD, PEER, 1, 2, b"x" * 64)
    for packet, offset, more in ((first, 0, 1), (second, 1480, 0)):
        packet.df, packet.mf, packet.offset = 0, more, offset
    one, two = (seen(ethernet(bytes(packet))).packet for packet in (first, second))
    assert one
    assert two
    assert (one.fragment, one.offset, one.source_port) == (True, 0, 1)
    assert (two.fragment, two.offset, two.source_port) == (True, 1480, None)


def test_tcp_flags_and_ipv6() -> None:
    a, b = ip_address("2001:db8::1"), ip_address("2001:db8::2")
    segment = dpkt.tcp.TCP(sport=5, dport=6, flags=dpkt.tcp.TH_SYN | dpkt.tcp.TH_ACK)
    packet = dpkt.ip6.IP6(src=a.packed, dst=b.packed, nxt=6, hlim=9, data=segment, plen=20)
    frame = seen(ethernet(bytes(packet), 0x86DD), packet_type=0)
    assert frame.packet
    assert (frame.packet.protocol, frame.packet.flags, frame.packet.length) == ("tcp", "SA", 60)
    assert frame.direction is Direction.IN
    assert str(frame.packet) == "[2001:db8::1]:5 > [2001:db8::2]:6 tcp SA 60"


def test_links_without_ethernet_begin_with_the_packet() -> None:
    frame = seen(bytes(udp4(POD, PEER, 1, 2, b"")), hardware=65534)
    assert frame.packet
    assert (frame.ethernet, frame.packet.source) == (None, POD)


@given(st.binary(max_size=120))
def test_noise_and_cut_frames_are_survived(raw: bytes) -> None:
    assert seen(raw).raw == raw
    whole = vxlan(ethernet(bytes(udp4(POD, PEER, 4000, 8080, b"x" * 60))))
    assert seen(whole[: len(raw)]).vni in (None, 1)
    assert ports_of(raw) is not None


def test_the_agent_finds_the_ports_at_every_depth() -> None:
    plain = ethernet(bytes(udp4(POD, PEER, 4000, 8080, b"")))
    assert ports_of(plain) == {4000, 8080}
    assert ports_of(vxlan(plain)) == {50000, 8472, 4000, 8080}
    assert ports_of(plain[14:], hardware=65534) == {4000, 8080}


def passed(program: list[tuple[int, int, int, int]], frame: bytes) -> int:
    """How many bytes a filter passes: a small interpreter of the instructions that ours uses."""
    at = accumulator = index = 0
    while True:
        code, when_true, when_false, operand = program[at]
        at += 1
        match code:
            case 0x28:
                accumulator = struct.unpack_from("!H", frame, operand)[0]
            case 0x30:
                accumulator = frame[operand]
            case 0x48:
                accumulator = struct.unpack_from("!H", frame, index + operand)[0]
            case 0xB1:
                index = (frame[operand] & 0x0F) * 4
            case 0x15:
                at += when_true if accumulator == operand else when_false
            case 0x45:
                at += when_true if accumulator & operand else when_false
            case 0x06:
                return operand
            case _:
                raise AssertionError(f"unknown instruction {code:#x}")


def tcp4(sport: int, dport: int, offset: int = 0) -> bytes:
    packet = dpkt.ip.IP(src=POD.packed, dst=PEER.packed, p=6, data=dpkt.tcp.TCP(sport=sport, dport=dport))
    packet.offset = offset
    return ethernet(bytes(packet))


@pytest.mark.parametrize(
    ("frame", "passes"),
    [
        (tcp4(6443, 5000), False),
        (tcp4(5000, 6443), False),
        (tcp4(5000, 10250), False),
        (tcp4(5000, 8080), True),
        (tcp4(5000, 6443, offset=8), True),
        (ethernet(bytes(udp4(POD, PEER, 6443, 6443, b""))), True),
        (ethernet(b"\x00" * 40, 0x0806), True),
        (ethernet(b"\x60" + b"\x00" * 50, 0x86DD), True),
    ],
)
def test_the_kernel_leaves_out_the_control_planes_talk_alone(frame: bytes, passes: bool) -> None:
    assert passed(quiet_filter({6443, 10250}, 512), frame) == (512 if passes else 0)


def test_a_filter_of_no_ports_passes_everything() -> None:
    assert passed(quiet_filter((), 99), tcp4(6443, 6443)) == 99


def test_taps_hand_out_hops_and_pcaps_only_when_they_are_complete() -> None:
    asked = Cell("client", "remote", str(PEER), udp(8080), marker=MARKER)
    raw = vxlan(ethernet(bytes(udp4(POD, PEER, 4000, 8080, MARKER.encode()))))
    taps = Taps([decoded("worker", "eth0", 4, 2.5, len(raw), raw), seen(ethernet(b""))], {("worker", "eth0"): 1})
    with pytest.raises(RuntimeError, match="still going on"):
        taps.hops(asked)
    taps.complete = True
    (hop,) = taps.hops(asked)
    assert taps.using(4000) == [hop]
    assert rendered([hop]).startswith("    0.000 ms  worker eth0 out 172.18.0.3:50000")
    (content,) = taps.pcaps("one", [hop]).values()
    assert [(at, bytes(data)) for at, data in dpkt.pcap.Reader(io.BytesIO(content))] == [(2.5, raw)]
