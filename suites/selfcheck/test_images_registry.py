"""Registry images are named by tag and digest, and a digest that is not known is kept at the first pull."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusters.images import lock, registry
from clusters.images.registry import Reference
from clusters.model import UsageError, cni_names, load_cni

DIGEST = "sha256:" + "0a" * 32


def test_every_pin_has_registry_tag_and_digest() -> None:
    pins = registry.pins()
    written = [pins.debian, *pins.node.values(), *(f"{name}@{digest}" for name, digest in pins.images.items())]
    assert written
    for text in written:
        assert Reference.parse(text).digest


def test_a_node_image_s_tag_is_the_kubernetes_version_that_it_is_listed_under() -> None:
    assert {version: Reference.parse(text).tag for version, text in registry.pins().node.items()} == {
        version: version for version in registry.pins().node
    }


names = st.from_regex(r"[a-z]{2,6}\.[a-z]{2,3}(:[0-9]{2,4})?(/[a-z0-9]{1,5}(-[a-z]{1,4})?){1,3}", fullmatch=True)
tags = st.from_regex(r"[a-z0-9][a-z0-9.-]{0,10}", fullmatch=True)


@given(names, tags, st.sampled_from(["", DIGEST]))
def test_a_reference_is_read_as_it_is_written(name: str, tag: str, digest: str) -> None:
    reference = Reference(name, tag, digest)
    assert Reference.parse(str(reference)) == reference


@pytest.mark.parametrize(
    "text", ["flannel:v1", "ghcr.io/x/y", f"ghcr.io/x/y@{DIGEST}", "ghcr.io/x/y:v1@sha256:12", ""]
)
def test_a_reference_without_registry_tag_or_with_half_a_digest_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="registry and tag"):
        Reference.parse(text)


def test_an_unknown_kubernetes_version_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"v1\.2\.3.*v1\.36\.4"):
        registry.node("v1.2.3")


def test_every_image_of_every_cni_can_be_asked_for() -> None:
    for name in cni_names():
        cni = load_cni(name)
        for version in cni.versions:
            for image in cni.images(version):
                assert Reference.parse(image.reference).tag


def test_a_digest_kept_at_the_first_pull_is_used_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NETPROOF_CACHE", str(tmp_path))
    pause = registry.image("registry.k8s.io/pause:3.10.2")
    before = registry.pulled(pause).name
    assert registry.exact(pause).digest == ""
    lock.keep(str(pause), DIGEST)
    assert registry.exact(pause).digest == DIGEST
    assert registry.pulled(pause).name == before


def test_a_pinned_digest_is_not_overruled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NETPROOF_CACHE", str(tmp_path))
    _, node = registry.node(None)
    lock.keep(str(node), DIGEST)
    assert registry.exact(node) == node
