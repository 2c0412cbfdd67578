"""What is read out of iptables-save and conntrack, from lines that real nodes have shown."""

from __future__ import annotations

from ipaddress import ip_address

from fixtures.probes.connections import Connection, Way, connections
from fixtures.probes.kube_proxy_rules import (
    host_port_targets,
    marked_and_masqueraded,
    rules,
    steps,
    taken,
    way,
)

SAVED = """\
*nat
:KUBE-SERVICES - [0:0]
[{n}:60] -A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000
[{n}:60] -A KUBE-POSTROUTING -m comment --comment "service traffic requiring SNAT" -j MASQUERADE --random-fully
[{n}:60] -A KUBE-NODEPORTS -p tcp -m comment --comment "ns/web:tcp" -m tcp --dport 30080 -j KUBE-EXT-ERIFXISQEP7F7OF4
[{n}:60] -A KUBE-SERVICES -d 10.96.0.9/32 -p tcp -m comment --comment "ns/web:tcp cluster IP" -j KUBE-SVC-ERIFXISQEP7F7OF4
[7:60] -A KUBE-SERVICES -d 10.96.0.8/32 -p tcp -m comment --comment "ns/web:tcp-2 cluster IP" -j KUBE-SVC-JD5MR3NA4I4DYORP
[0:0] -A KUBE-EXT-ERIFXISQEP7F7OF4 -m comment --comment "masquerade traffic for ns/web:tcp" -j KUBE-MARK-MASQ
[{n}:60] -A KUBE-EXT-ERIFXISQEP7F7OF4 -j KUBE-SVC-ERIFXISQEP7F7OF4
[0:0] -A KUBE-SVC-ERIFXISQEP7F7OF4 ! -s 10.244.0.0/16 -d 10.96.0.9/32 -j KUBE-MARK-MASQ
[{n}:60] -A KUBE-SVC-ERIFXISQEP7F7OF4 -m comment --comment "ns/web:tcp -> 10.244.1.5:8080" -j KUBE-SEP-IT2ZTR26TO4XFPTO
[{n}:60] -A KUBE-SVC-ERIFXISQEP7F7OF4 -m comment --comment "ns/web:tcp -> 10.244.2.5:8080" -j KUBE-SEP-ZXMNUKOKXUTL2MK2
[{n}:60] -A KUBE-SEP-IT2ZTR26TO4XFPTO -p tcp -m tcp -j DNAT --to-destination 10.244.1.5:8080
[{n}:60] -A KUBE-SEP-ZXMNUKOKXUTL2MK2 -p tcp -m tcp -j DNAT --to-destination 10.244.2.5:8080
[9:60] -A KUBE-SVC-JD5MR3NA4I4DYORP -m comment --comment "ns/web:tcp-2 -> 10.244.1.5:9" -j KUBE-SEP-6BOWLOQOTG7UFDIE
[0:0] -A CNI-DN-0123456789abcdef01234 -p tcp -m tcp --dport 18080 -j DNAT --to-destination 10.244.1.7:8080
[0:0] -A CNI-DN-0123456789abcdef01234 -p udp -m udp --dport 18081 -j DNAT --to-destination 10.244.1.7:8081
COMMIT
"""  # noqa: E501 - lines as a node shows them

LISTED = """\
tcp      6 8 CLOSE src=10.244.1.3 dst=10.96.0.9 sport=41001 dport=80 src=10.244.2.5 dst=10.244.1.3 sport=8080 dport=41001 [ASSURED] mark=0 use=1
udp      17 29 src=172.18.0.9 dst=172.18.0.3 sport=41001 dport=30080 [UNREPLIED] src=10.244.2.5 dst=10.244.1.0 sport=8080 dport=9 mark=0 use=1
icmp     1 29 src=10.244.1.3 dst=10.244.2.5 type=8 code=0 id=7 src=10.244.2.5 dst=10.244.1.3 type=0 code=0 id=7 mark=0 use=1
"""  # noqa: E501


def saved(count: int) -> str:
    return SAVED.replace("{n}", str(count))


def test_the_way_of_a_service_port_is_its_own_chains_and_no_other() -> None:
    found = way(rules(saved(1)), "ns/web:tcp")
    assert len(found) == 9
    assert not [rule for rule in found if "JD5MR3NA4I4DYORP" in rule.chain]


def test_steps_of_chains_of_one_kind_add_up() -> None:
    assert steps(way(rules(saved(3)), "ns/web:tcp")) == {
        "KUBE-NODEPORTS → KUBE-EXT": 3,
        "KUBE-SERVICES → KUBE-SVC": 3,
        "KUBE-EXT → KUBE-MARK-MASQ": 0,
        "KUBE-EXT → KUBE-SVC": 3,
        "KUBE-SVC → KUBE-MARK-MASQ": 0,
        "KUBE-SVC → KUBE-SEP": 6,
        "KUBE-SEP → DNAT": 6,
    }


def test_only_steps_that_were_taken_count() -> None:
    hit = taken(rules(saved(1)), rules(saved(4)), "ns/web:tcp")
    assert hit["KUBE-SVC → KUBE-SEP"] == 6
    assert "KUBE-SVC → KUBE-MARK-MASQ" not in hit
    assert taken(rules(saved(4)), rules(saved(4)), "ns/web:tcp") == {}
    assert taken((), (), "ns/web:tcp") == {}


def test_marks_and_masquerades_are_counted_at_their_ends() -> None:
    assert marked_and_masqueraded(rules(saved(2)), rules(saved(12))) == {"marked": 10, "masqueraded": 10}


def test_targets_of_a_host_port() -> None:
    assert host_port_targets(rules(saved(0)), 18080) == ["10.244.1.7:8080"]
    assert host_port_targets(rules(saved(0)), 1) == []


def test_connections_hold_both_directions() -> None:
    kept, changed = connections(LISTED)
    asked = Way(ip_address("10.244.1.3"), 41001, ip_address("10.96.0.9"), 80)
    assert kept == Connection(asked, Way(ip_address("10.244.2.5"), 8080, ip_address("10.244.1.3"), 41001))
    assert kept.keeps_source
    assert not changed.keeps_source
