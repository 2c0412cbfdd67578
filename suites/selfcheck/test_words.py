"""Only a CNI's own file knows its devices and ports, and only one file kube-proxy's chains."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
KNOW = {
    r"flannel\.1|\bcni0\b|\b8472\b": ("clusters/cni/", "fixtures/cni/", "suites/overlay/", "suites/selfcheck/"),
    r"KUBE-[A-Z]": ("clusters/proxy.py", "suites/selfcheck/"),
}
"""Words, and who may say them: a CNI's own files, its labs without Kubernetes, samples of what tools print."""


def said(pattern: str, allowed: tuple[str, ...], root: Path) -> list[str]:
    """Lines of code (not of comments, docstrings and drawings) that say such a word where nobody should."""
    found = []
    for folder in ("clusters", "fixtures", "suites"):
        for file in sorted((root / folder).rglob("*.py")):
            path = file.relative_to(root).as_posix()
            if path.startswith(allowed):
                continue
            code = re.sub(r'"""(?:.|\n)*?"""|#.*', "", file.read_text())
            found += [f"{path}: {line.strip()}" for line in code.splitlines() if re.search(pattern, line)]
    return found


@pytest.mark.parametrize(("pattern", "allowed"), KNOW.items())
def test_no_other_file_knows_it(pattern: str, allowed: tuple[str, ...]) -> None:
    assert said(pattern, allowed, ROOT) == []


def test_such_a_word_is_found(tmp_path: Path) -> None:
    (tmp_path / "fixtures/faults").mkdir(parents=True)
    (tmp_path / "fixtures/faults/a.py").write_text('"""cni0 may stand here."""\nBRIDGE = "cni0"\n')
    assert said(r"\bcni0\b", (), tmp_path) == ['fixtures/faults/a.py: BRIDGE = "cni0"']
