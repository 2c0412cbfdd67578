"""Options of the search: `./run search-policy-calico-bgp -- --minutes=10 --seed=7`."""

from __future__ import annotations

from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add them."""
    group = parser.getgroup("search")
    group.addoption(
        "--minutes", type=float, default=5.0, help="how long to search, and to make small what is found"
    )
    group.addoption("--seed", type=int, default=1, help="what the worlds are drawn by: one seed, the same worlds")
    group.addoption("--replay", type=Path, metavar="FILE", help="try one world, which an earlier search wrote")
