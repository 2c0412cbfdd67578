"""`python -m fixtures.verdicts explain` says what is promised of one pair, and what it cannot read."""

from __future__ import annotations

from pathlib import Path

import pytest

from fixtures.verdicts.__main__ import main

MANIFESTS = """
apiVersion: v1
kind: Namespace
metadata: {name: x, labels: {team: a}}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: x, labels: {app: web}}
spec: {containers: [{name: web, ports: [{name: http, containerPort: 80}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: client, namespace: x, labels: {app: client}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: only-clients, namespace: x}
spec:
  podSelector: {matchLabels: {app: web}}
  ingress:
    - from: [{podSelector: {matchLabels: {app: client}}}]
      ports: [{port: http}]
"""


@pytest.fixture
def manifests(tmp_path: Path) -> Path:
    file = tmp_path / "x.yaml"
    file.write_text(MANIFESTS)
    return file


@pytest.mark.parametrize(
    ("source", "port", "status", "says"),
    [
        (
            "x/client",
            "tcp/80",
            0,
            "x/client → x/web TCP/80: allowed, no egress policy selects x/client;",
        ),
        ("x/client", "tcp/http", 0, "allowed by x/only-clients, ingress rule 1"),
        (
            "x/client",
            "udp/80",
            1,
            "denied, no ingress policy of x/web (x/only-clients) allows UDP 80",
        ),
        (
            "192.0.2.7",
            "tcp/80",
            1,
            "(x/only-clients) allows TCP 80 from 192.0.2.7",
        ),
    ],
)
def test_it_says_what_and_why(
    manifests: Path, capsys: pytest.CaptureFixture[str], source: str, port: str, status: int, says: str
) -> None:
    assert main(["explain", str(manifests), "--from", source, "--to", "x/web", "--port", port]) == status
    assert says in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--from", "x/nobody", "--to", "x/web", "--port", "tcp/80"], "no Pod x/nobody in these files"),
        (["--from", "somebody", "--to", "x/web", "--port", "tcp/80"], "neither namespace/pod nor an address"),
        (["--from", "x/client", "--to", "x/web", "--port", "icmp/8"], "'icmp/8' is no port; write tcp/80"),
        (["--from", "x/client", "--to", "x/web", "--port", "tcp/metrics"], "has no TCP port called 'metrics'"),
    ],
)
def test_what_is_not_clear_is_refused(
    manifests: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    assert main(["explain", str(manifests), *arguments]) == 2
    assert says in capsys.readouterr().err


def test_a_mistake_in_a_file_is_told_with_its_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text(MANIFESTS.replace("podSelector: {matchLabels: {app: web}}", "podSelectr: {}"))
    assert main(["explain", str(file), "--from", "x/client", "--to", "x/web", "--port", "tcp/80"]) == 2
    assert "wrong.yaml, object 4: spec.podSelectr: there is no such field" in capsys.readouterr().err
