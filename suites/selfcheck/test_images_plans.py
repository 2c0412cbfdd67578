"""What is rebuilt when something changes: that which is made of it, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from clusters.images import agent, plans
from clusters.images.plans import Plan
from clusters.images.prune import names
from clusters.images.recipes import versions
from clusters.model import Cni, UsageError, load_cni, load_profile

PROFILE = load_profile("flannel-vxlan")
CNI: Cni = load_cni(PROFILE.cni)


def plan(version: str = "v0.28.4", kubernetes: str | None = None) -> Plan:
    return plans.from_source(PROFILE, CNI, version, kubernetes)


def test_the_same_request_has_the_same_image() -> None:
    assert names(plan().target) == names(plan().target)


def test_changing_the_agent_changes_the_agent_and_the_node_of_the_profile_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = names(plan().target)
    (tmp_path / "__main__.py").write_text("print()\n")
    monkeypatch.setattr(agent, "CODE", tmp_path)
    changed = names(plan().target) - before
    assert sorted(name.partition(":")[0] for name in changed) == ["netproof/agent", "netproof/node-flannel-vxlan"]


def test_another_release_of_the_cni_shares_all_but_its_own_images() -> None:
    changed = names(plan("v0.27.4").target) - names(plan().target)
    images = sorted(name.partition(":")[0] for name in changed if name.startswith("netproof/"))
    assert images == [
        "netproof/flannel-flanneld",
        "netproof/node-cni-flannel-vxlan",
        "netproof/node-flannel-vxlan",
    ]


def test_the_node_has_what_the_manifests_and_the_probes_name() -> None:
    wanted = {image.reference for image in CNI.images("v0.28.4")} | {plan().agent}
    assert wanted <= {origin.image for origin in plan().origins()}


@pytest.mark.parametrize("version", CNI.versions)
def test_every_release_that_can_be_asked_for_has_recipes(version: str) -> None:
    assert plan(version).target.needs


def test_every_kubernetes_that_has_a_recipe_can_be_asked_for() -> None:
    assert [plan(kubernetes=version).kubernetes for version in versions("kubernetes")] == versions("kubernetes")


def test_an_unknown_kubernetes_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"v1\.1\.1.*v1\.36\.3"):
        plan(kubernetes="v1.1.1")


def test_both_sources_use_the_names_of_the_manifest() -> None:
    wanted = {image.reference for image in CNI.images("v0.28.4")}
    for made in (plan(), plans.from_registry(PROFILE, CNI, "v0.28.4", None)):
        assert wanted <= {origin.image for origin in made.origins()}


def test_names_are_those_of_the_whole_tree_below() -> None:
    target = plan().target
    assert {target.name} | {name for need in target.needs for name in names(need)} == names(target)
