"""What moves by itself in a lab's firewall is no difference; what a fault leaves behind is one."""

from __future__ import annotations

import pytest

from clusters import shell
from fixtures.faults.lab_state import steady
from fixtures.faults.state import Facts, LookFailed, differences, rules, said, script

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


def facts(*rules: str) -> dict[str, Facts]:
    return {"worker": {"iptables": rules}}


@pytest.mark.parametrize(
    ("before", "after", "changed"),
    [
        (("a", "b"), ("a", "b"), []),
        (("a", "b"), ("b", "a"), 2),
        (("a", "a"), ("a",), ["worker: iptables: - a"]),
        (("a",), ("a", "a"), ["worker: iptables: + a"]),
        (("a",), (), ["worker: iptables: - a"]),
    ],
)
def test_order_and_duplicates_count(
    before: tuple[str, ...], after: tuple[str, ...], changed: list[str] | int
) -> None:
    found = differences(facts(*before), facts(*after))
    assert found == changed or len(found) == changed


def test_what_is_there_afterwards_alone_is_a_difference() -> None:
    assert differences({"worker": {}}, facts("a")) == ["worker: iptables: + a"]


def looked(**looks: str) -> dict[str, str]:
    """What a real shell says to a script of these looks."""
    return said("worker", looks, shell.run(["sh", "-c", script(looks)], check=False).stdout)


def test_a_look_that_fails_is_an_error_and_equals_nothing() -> None:
    assert looked(links="echo lo", rules="printf 'one\ntwo\n'") == {"links": "lo\n", "rules": "one\ntwo\n"}
    with pytest.raises(LookFailed, match=r"worker: sets: no-such-program save: exit status 127"):
        looked(links="echo lo", sets="no-such-program save")
    with pytest.raises(LookFailed, match=r"worker: rules: .* exit status 3: half"):
        looked(rules="echo half && exit_with() { return 3; } && exit_with")


def test_a_look_that_ends_the_shell_is_an_error_too() -> None:
    with pytest.raises(LookFailed, match="0 of 2 looks"):
        looked(links="exit 0", rules="echo never")


def test_real_rules_that_change_places_are_seen() -> None:
    """iptables in a namespace of its own: two rules in one order, and in the other."""
    if not shell.run(["unshare", "-rn", "iptables", "-S"], check=False).ok:
        pytest.skip("iptables cannot be used in a throw-away namespace here: unshare -rn iptables -S is refused")
    one, other = ("-p tcp --dport 1 -j ACCEPT", "-p tcp -j DROP")

    def saved(*kept: str) -> dict[str, Facts]:
        add = "; ".join(f"iptables -A INPUT {rule}" for rule in kept)
        done = shell.run(["unshare", "-rn", "sh", "-c", f"{add}; iptables-save"])
        return {"worker": {"iptables": rules(done.stdout)}}

    assert differences(saved(one, other), saved(one, other)) == []
    assert differences(saved(one, other), saved(other, one))


def test_what_kube_proxy_writes_anew_is_no_state_of_a_lab() -> None:
    def listed(first: str, second: str) -> str:
        chains = "".join(
            f"\n\tchain {name} {{\n\t\tcounter jump KUBE-SEP-A\n\t}}\n"
            for name in ("KUBE-SVC-A", "KUBE-POSTROUTING")
        )
        jumps = f"\t\tip daddr 10.96.0.1 jump {first}\n\t\tip daddr 10.96.0.2 jump {second}\n"
        own = "table ip kube-proxy {\n\tmap m {\n\t}\n}\n"
        return f"table ip nat {{{chains}\n\tchain KUBE-SERVICES {{\n{jumps}\t}}\n}}\n{own}"

    assert steady(listed("KUBE-SVC-A", "KUBE-SVC-B")) == steady(listed("KUBE-SVC-B", "KUBE-SVC-A"))
    assert steady(listed("KUBE-SVC-A", "KUBE-SVC-B")) == ("table ip nat {\n\tchain KUBE-POSTROUTING {\n\t}\n}\n")
