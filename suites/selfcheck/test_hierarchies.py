"""A cgroup v1 hierarchy that exists and is mounted nowhere is found: kind's nodes would fail on it."""

from __future__ import annotations

import pytest

from clusters.hierarchies import stray

HEAD = "#subsys_name\thierarchy\tnum_cgroups\tenabled\n"
MOUNTS = (
    "tmpfs /sys/fs/cgroup tmpfs rw 0 0\n"
    "cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,nosuid,cpu,cpuacct 0 0\n"
    "cgroup2 /sys/fs/cgroup/unified cgroup2 rw,nsdelegate 0 0\n"
)


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        ("cpu\t1\t3\t1\ncpuacct\t1\t3\t1\n", []),
        ("cpu\t1\t3\t1\nhugetlb\t13\t2\t1\n", ["hugetlb"]),
        ("cpu\t1\t3\t1\nhugetlb\t0\t80\t1\n", []),
        ("cpu\t1\t3\t1\nhugetlb\t13\t2\t0\n", []),
        ("hugetlb\t13\t2\t1\nnet_cls\t11\t2\t1\n", ["hugetlb", "net_cls"]),
    ],
    ids=["mounted", "left over", "cgroup v2 has it", "switched off", "several"],
)
def test_what_exists_must_be_mounted(rows: str, found: list[str]) -> None:
    assert stray(HEAD + rows, MOUNTS) == found
