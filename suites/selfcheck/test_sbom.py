"""The bill of materials is CycloneDX, and has every source that an image was built from with its hash."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT7

from clusters.images import recipes, sbom
from clusters.images.plans import Origin, Source
from clusters.images.provide import NodeImage
from clusters.images.sbom import Package
from clusters.model import UsageError, load_cni, load_profile, profile_names

BOM = "bom-1.6.SNAPSHOT.schema.json"
DIGEST = "0a" * 32
DEBIAN = [Package("libc6:amd64", "2.36-9+deb12u13", "amd64"), Package("systemd", "252.39-1~deb12u1", "amd64")]


def node_image(*origins: Origin) -> NodeImage:
    return NodeImage("netproof/node-flannel-vxlan:0123", "netproof/agent:4567", "v1.36.3", origins)


@pytest.fixture(scope="module")
def bill() -> dict[str, Any]:
    """That of a profile that is built from source."""
    flannel = load_cni("flannel")
    built_by = sbom.sources(load_profile("flannel-vxlan"), flannel, "v0.28.10", "v1.36.3")
    image = node_image(Origin("node", Source.SOURCE, "k8s.io/kubernetes v1.36.3"))
    made: dict[str, Any] = json.loads(sbom.bill(image, built_by, lambda _: DEBIAN, Path("/nowhere")))
    return made


@pytest.fixture(scope="module")
def valid() -> Draft7Validator:
    """The schema of CycloneDX 1.6, as its own library carries it."""
    folder = resources.files("cyclonedx.schema._res")
    schemas = {
        name: json.loads((folder / name).read_text())
        for name in (BOM, "spdx.SNAPSHOT.schema.json", "jsf-0.82.SNAPSHOT.schema.json")
    }
    known = [(f"http://cyclonedx.org/schema/{name}", schema) for name, schema in schemas.items()]
    registry: Registry[Any] = Registry().with_resources(
        (uri, Resource.from_contents(schema, default_specification=DRAFT7)) for uri, schema in known
    )
    return Draft7Validator(schemas[BOM], registry=registry)


def test_it_is_valid_and_has_everything(bill: dict[str, Any], valid: Draft7Validator) -> None:
    assert [error.message for error in valid.iter_errors(bill)] == []
    named = {component["name"] for component in bill["components"]}
    parts = {"kubernetes", "etcd", "coredns", "containerd", "runc", "cri-tools", "cni-plugins", "flannel", "kind"}
    assert parts | {"systemd", "libc6"} <= named


def test_the_schema_refuses_what_is_none(bill: dict[str, Any], valid: Draft7Validator) -> None:
    assert list(valid.iter_errors({**bill, "components": [{**bill["components"][0], "type": "banana"}]}))


@pytest.mark.parametrize("name", profile_names())
def test_every_profile_names_the_recipes_of_its_images(name: str) -> None:
    profile = load_profile(name)
    cni = load_cni(profile.cni)
    named = {recipe.name for recipe in sbom.sources(profile, cni, cni.versions[0], "v1.36.3")}
    assert {recipes.load(image.recipe).name for image in cni.images(cni.versions[0])} <= named
    assert {"kubernetes/v1.36.3", "kind/v0.33.0"} < named


def test_every_module_of_go_sum_is_in_it_with_its_hash(bill: dict[str, Any]) -> None:
    hashed = [one for one in bill["components"] if "hashes" in one]
    listed = {(one["name"], one["version"]): one["hashes"][0]["content"] for one in hashed}
    flannel = recipes.load("flannel/v0.28.10")
    modules = sbom.go_modules(flannel)
    lines = (flannel.folder / "go.sum").read_text().splitlines()
    assert len(modules) == sum("/go.mod " not in line for line in lines) > 50
    assert {(it.path, it.version): it.hash for it in modules}.items() <= listed.items()
    assert {len(it.hash) for it in modules} == {64}


def test_a_module_stands_in_it_once_and_beneath_each_that_needs_it(bill: dict[str, Any]) -> None:
    refs = [one["bom-ref"] for one in bill["components"]]
    assert len(refs) == len(set(refs))
    beneath = {one["ref"]: " ".join(one.get("dependsOn", [])) for one in bill["dependencies"]}
    users = {ref for ref, needs in beneath.items() if "pkg:golang/golang.org/x/sys@" in needs}
    assert {"netproof/containerd/v2.3.4", "netproof/runc/v1.4.3"} <= users
    assert "netproof/flannel/v0.28.10" in beneath["netproof/node-flannel-vxlan:0123"]


def test_what_came_from_a_registry_is_in_it_with_its_digest(valid: Draft7Validator) -> None:
    image = node_image(
        Origin("agent", Source.REGISTRY, f"our prober on docker.io/library/debian:b@sha256:{DIGEST}"),
        Origin("node", Source.REGISTRY, f"docker.io/kindest/node:v1.36.4@sha256:{DIGEST}"),
    )
    bill = json.loads(sbom.bill(image, [], lambda _: []))
    assert not list(valid.iter_errors(bill))
    found = {one["name"]: one["hashes"][0]["content"] for one in bill["components"]}
    assert found == {"docker.io/library/debian": DIGEST, "docker.io/kindest/node": DIGEST}


FREELY = "in source and binary forms, with or without modification, are permitted"
LICENCE_FILES = {
    "Apache-2.0": "                      Apache License\n                  Version 2.0, January 2004",
    "MIT": "MIT License\n\nPermission is hereby granted, free of charge, to any person obtaining a copy",
    "BSD-3-Clause": f"Redistribution and use {FREELY}\n   * Neither the name of Google",
    "BSD-2-Clause": f"Redistribution and use {FREELY}",
    "MPL-2.0": "Mozilla Public License Version 2.0",
    "": "All rights reserved.",
}


@pytest.mark.parametrize("name", LICENCE_FILES)
def test_a_licence_is_known_by_its_words(name: str, tmp_path: Path) -> None:
    (tmp_path / "README").write_text(LICENCE_FILES["MIT"])
    (tmp_path / "LICENSE.txt").write_text(LICENCE_FILES[name])
    assert sbom.licence(tmp_path) == name


def test_licences_stand_where_the_module_cache_has_them(tmp_path: Path, valid: Draft7Validator) -> None:
    kind = recipes.load("kind/v0.33.0")
    module = next(it for it in sbom.go_modules(kind) if it.path == "github.com/BurntSushi/toml")
    folder = tmp_path / f"github.com/!burnt!sushi/toml@{module.version}"
    folder.mkdir(parents=True)
    (folder / "COPYING").write_text(LICENCE_FILES["MIT"])
    bill = json.loads(sbom.bill(node_image(), [kind], lambda _: DEBIAN, tmp_path))
    licences = {one["name"]: one["licenses"] for one in bill["components"] if "licenses" in one}
    assert licences == {module.path: [{"license": {"id": "MIT"}}]}
    assert not list(valid.iter_errors(bill))


def test_a_file_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--sbom"):
        sbom.write(tmp_path / "none" / "bill.json", "{}")
