"""docs/security.md names every file that asks for rights, and what it says of listening is so."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest
import yaml

from clusters.kind_config import Needs, render
from clusters.labels import RunId
from clusters.model import load_profile, profile_names
from fixtures.world.pods import Pod, manifest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/security.md").read_text()
RIGHTS = re.compile(
    r"privileged(?:'\])?\s*=\s*True|'privileged': True|privileged: true|'--privileged|'privileged'\}"
    r"|cap_add|NET_ADMIN|NET_RAW|pid_mode|hostPID|hostNetwork: true|hostNetwork=True|security_opt=\[|devices=\["
    r"|--network=host|network_mode='host'|geteuid"
)
"""What code says that asks for more than a container has by itself."""
ASK_FOR_NONE = {
    "clusters/host/bounded_runc.py": "takes rights away",
    "clusters/host/packages.py": "asks whether it may install packages",
    "clusters/host/ready.py": "asks whether it may start Docker",
    "fixtures/agent/icmp.py": "says what an agent lacked",
    "fixtures/agent/capture.py": "says what an agent lacked",
    "clusters/kind.py": "starts kind, which asks for them itself",
}


def code(file: Path) -> str:
    """Without comments and docstrings; manifests that stand in strings stay."""
    tree = ast.parse(file.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            node.value = ast.Constant(...)
    return ast.unparse(tree)


@cache
def asking(root: Path) -> set[str]:
    """The files whose code asks for rights."""
    files = [file for folder in ("clusters", "fixtures", "suites") for file in (root / folder).rglob("*.py")]
    return {
        file.relative_to(root).as_posix()
        for file in files
        if "selfcheck" not in file.parts and RIGHTS.search(code(file))
    }


def listed() -> set[str]:
    """The files in the table."""
    rows = [line.split(" | ")[0] for line in PAGE.splitlines() if line.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`([\w/]+\.py)`", row)}


def test_the_page_names_every_file_that_asks_for_rights() -> None:
    assert sorted(asking(ROOT) - ASK_FOR_NONE.keys() - listed()) == []


def test_the_page_names_no_file_that_asks_for_none() -> None:
    assert sorted(listed() - asking(ROOT) - ASK_FOR_NONE.keys()) == []


def test_a_new_privileged_container_is_found(tmp_path: Path) -> None:
    (tmp_path / "fixtures/lab").mkdir(parents=True)
    (tmp_path / "fixtures/lab/a.py").write_text('"""cap_add may stand here."""\nrun(image, privileged=True)\n')
    (tmp_path / "fixtures/lab/b.py").write_text('"""privileged=True may stand here."""\nrun(image)\n')
    assert asking(tmp_path) == {"fixtures/lab/a.py"}


@pytest.mark.parametrize("name", profile_names())
def test_the_api_server_listens_on_loopback_alone(name: str) -> None:
    config = yaml.safe_load(render("netproof-x", load_profile(name), "image", Needs()))
    assert config["networking"]["apiServerAddress"] == "127.0.0.1"
    assert not any("extraPortMappings" in node for node in config["nodes"])


def test_a_pod_has_no_token_and_only_a_node_s_pod_has_rights() -> None:
    plain, node = (
        manifest(Pod("a", privileged=privileged), "namespace", RunId.current(), "image")["spec"]
        for privileged in (False, True)
    )
    assert plain["automountServiceAccountToken"] is False
    assert "securityContext" not in plain["containers"][0]
    assert node["containers"][0]["securityContext"] == {"privileged": True}
    assert node["containers"][0]["volumeMounts"][0]["readOnly"] is True
