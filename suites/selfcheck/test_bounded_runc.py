"""The OCI wrapper takes out what the host lacks, nothing else, and finds the file that runc will read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from clusters.host.bounded_runc import NAMES, bound, given, spec_path
from clusters.host.bounding import merged
from clusters.host.engine import missing_capabilities

ALL = (1 << len(NAMES)) - 1
SYS_RESOURCE = 24


def status(mask: int) -> str:
    return f"Name:\tdockerd\nCapEff:\t0000000000000000\nCapBnd:\t{mask:016x}\nCapAmb:\t0000000000000000\n"


def test_a_full_bounding_set_gives_everything() -> None:
    assert given(status(ALL)) == {f"CAP_{name}" for name in NAMES}


def test_a_missing_bit_is_a_missing_capability() -> None:
    assert missing_capabilities(status(ALL & ~(1 << SYS_RESOURCE)), len(NAMES) - 1) == {"CAP_SYS_RESOURCE"}


def test_what_an_older_kernel_does_not_know_is_not_missing() -> None:
    older = NAMES.index("PERFMON") - 1
    assert missing_capabilities(status((1 << older + 1) - 1), older) == frozenset()


def test_a_bundle_loses_what_is_missing_from_every_set() -> None:
    both = ["CAP_NET_ADMIN", "CAP_SYS_RESOURCE"]
    spec = {"process": {"capabilities": {"bounding": [*both], "effective": [*both]}, "args": ["sh"]}, "root": {}}
    bound(spec, {"CAP_NET_ADMIN"})
    left = {"bounding": ["CAP_NET_ADMIN"], "effective": ["CAP_NET_ADMIN"]}
    assert spec == {"process": {"capabilities": left, "args": ["sh"]}, "root": {}}


def test_a_process_file_of_an_exec_is_bounded_too() -> None:
    process = {"capabilities": {"bounding": ["CAP_SYS_RESOURCE"]}, "args": ["sh"]}
    bound(process, set())
    assert process == {"capabilities": {"bounding": []}, "args": ["sh"]}


def test_an_exec_without_capabilities_stays_as_it_is() -> None:
    process = {"args": ["sh"]}
    bound(process, set())
    assert process == {"args": ["sh"]}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("--root /run/moby --log-format json create --bundle /b --pid-file /p abc", "/b/config.json"),
        ("create --bundle=/b abc", "/b/config.json"),
        ("run -b /b abc", "/b/config.json"),
        ("create abc", "./config.json"),
        ("exec --process /tmp/runc-process1 --detach abc", "/tmp/runc-process1"),
        ("exec --process=/tmp/runc-process1 abc", "/tmp/runc-process1"),
        ("exec abc sh", None),
        ("--root /run/moby state abc", None),
        ("kill --all abc 9", None),
    ],
)
def test_the_file_that_runc_reads(line: str, expected: str | None) -> None:
    assert spec_path(line.split()) == expected


def test_the_engine_is_told_of_the_wrapper_beside_what_it_was_told_before() -> None:
    existing = {"bip": "192.0.2.1/24", "runtimes": {"other": {"path": "/other"}}}
    assert json.loads(merged(json.dumps(existing), Path("/wrapper"))) == {
        "bip": "192.0.2.1/24",
        "runtimes": {"other": {"path": "/other"}, "bounded-runc": {"path": "/wrapper"}},
        "default-runtime": "bounded-runc",
    }
