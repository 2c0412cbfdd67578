"""What the probing program prints is read for what it is; what was not tried is never a no."""

from __future__ import annotations

from dataclasses import replace

from clusters import shell
from clusters.capabilities import PROBES, Capability, Found
from clusters.probing import parse, script


def test_every_capability_but_the_containers_own_is_tried() -> None:
    assert {*PROBES} == {*Capability} - {Capability.PRIVILEGED}


def test_answers_are_read() -> None:
    found = parse("bridge\tyes\t\nvlan\tno\tError: Unknown device type.\n")
    assert found[Capability.BRIDGE] == Found(True)
    assert found[Capability.VLAN] == Found(False, "Error: Unknown device type.")


def test_what_has_no_line_was_not_tried() -> None:
    assert {seen.able for seen in parse("").values()} == {None}


MISSING = replace(PROBES[Capability.IPSET], commands=(("no-such-tool-as-this", "create"),))


def test_a_tool_that_is_missing_leaves_it_untried_and_is_named() -> None:
    found = parse(shell.run(["sh", "-c", script({Capability.IPSET: MISSING})]).stdout)[Capability.IPSET]
    assert found.able is None
    assert "no-such-tool-as-this (package ipset)" in found.detail


def test_odd_arguments_do_not_end_the_program() -> None:
    odd = replace(MISSING, commands=(("test", "$(exit 0)", "=", "`';\""),))
    done = shell.run(["sh", "-c", script({Capability.VLAN: odd, Capability.IPSET: MISSING})])
    assert [line.split("\t")[:2] for line in done.stdout.splitlines()] == [["vlan", "no"], ["ipset", "untried"]]
