"""What moves by itself in a lab's firewall is no difference; what a fault leaves behind is one."""

from __future__ import annotations

from fixtures.faults.lab_state import steady

EMPTY = """table ip raw {
\tchain PREROUTING {
\t\ttype filter hook prerouting priority raw; policy accept;
\t}

\tchain OUTPUT {
\t\ttype filter hook output priority raw; policy accept;
\t}
}
"""
DROPPED = "\t\tcounter drop\n"


def test_what_iptables_made_and_nobody_uses_is_left_out() -> None:
    assert steady(EMPTY) == ""


def test_a_rule_stays_and_so_does_a_chain_that_drops() -> None:
    assert DROPPED in steady(EMPTY.replace("policy accept;\n", f"policy accept;\n{DROPPED}", 1))
    assert "policy drop" in steady(EMPTY.replace("policy accept", "policy drop"))


def test_a_port_of_dockers_dns_is_none_in_particular() -> None:
    to, source = (
        "-A DOCKER_OUTPUT -d 127.0.0.11/32 -p udp --dport 53 -j DNAT --to-destination 127.0.0.11:",
        "40123",
    )
    assert steady(f"{to}{source}\n") == steady(f"{to}39999\n")
    assert steady(f"-A INPUT -p udp --dport {source} -j DROP\n").endswith("--dport 40123 -j DROP\n")
