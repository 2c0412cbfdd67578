"""kube-proxy's virtual servers and sets are read, as ipvsadm and ipset print them for others to restore."""

from __future__ import annotations

from fixtures.probes.kube_proxy_servers import RealServer, Virtual, entries, servers

SERVERS = """\
-A -t 10.96.0.1:443 -s rr
-A -t 10.96.7.7:80 -s rr -p 10800
-a -t 10.96.7.7:80 -r 10.244.0.21:8080 -m -w 1
-a -t 10.96.7.7:80 -r 10.244.0.22:8080 -m -w 0
-A -u 10.96.7.7:80 -s lc
-a -u 10.96.7.7:80 -r 10.244.0.21:8080 -g -w 1
"""

SETS = """\
create KUBE-CLUSTER-IP hash:ip,port family inet hashsize 1024 maxelem 65536
add KUBE-CLUSTER-IP 10.96.7.7,udp:80
add KUBE-CLUSTER-IP 10.96.7.7,tcp:80
create KUBE-NODE-PORT-TCP bitmap:port range 0-65535
add KUBE-NODE-PORT-TCP 31822 comment "a b"
create KUBE-EXTERNAL-IP hash:ip,port family inet hashsize 1024 maxelem 65536
"""


def test_virtual_servers_with_their_real_ones() -> None:
    found = servers(SERVERS)
    assert found["tcp", "10.96.0.1:443"] == Virtual("rr", 0, frozenset())
    kept = frozenset({RealServer("10.244.0.21:8080", "Masq", 1), RealServer("10.244.0.22:8080", "Masq", 0)})
    assert found["tcp", "10.96.7.7:80"] == Virtual("rr", 10800, kept)
    assert found["udp", "10.96.7.7:80"].servers == {RealServer("10.244.0.21:8080", "Route", 1)}
    assert len(found) == 3


def test_entries_of_sets() -> None:
    assert entries(SETS) == {
        "KUBE-CLUSTER-IP": {"10.96.7.7,udp:80", "10.96.7.7,tcp:80"},
        "KUBE-NODE-PORT-TCP": {"31822"},
        "KUBE-EXTERNAL-IP": frozenset(),
    }
