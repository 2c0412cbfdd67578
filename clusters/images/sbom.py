"""What an image was built from, as a software bill of materials: CycloneDX in JSON.

Of images from source it lists each component, beneath it every Go module of its go.sum with version, hash and
licence, and the Debian packages that are in the images. Of images from a registry it lists each with its digest:
what is in those is for whoever built them to say.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from clusters import metallb, shell
from clusters.images import cache, debian, golang, recipes
from clusters.images import source as built
from clusters.images.plans import Source
from clusters.images.provide import NodeImage
from clusters.images.recipes import Recipe
from clusters.images.registry import Reference
from clusters.labels import LABEL, RunId
from clusters.model import Cni, LoadBalancer, Profile, UsageError

_GO_SUM = re.compile(r"^(?P<module>\S+) (?P<version>v[^\s/]+) h1:(?P<hash>\S+)$", re.MULTILINE)
"""A line of go.sum for a module's content; those that end in /go.mod are for its go.mod alone."""

_LICENCES = (
    ("Apache-2.0", r"Apache License\s+Version 2\.0"),
    ("MPL-2.0", r"Mozilla Public License,? (?:Version|v\.) ?2\.0"),
    ("ISC", r"Permission to use, copy, modify, and(?:/or)? distribute this software for any purpose"),
    ("MIT", r"Permission is hereby granted, free of charge, to any person obtaining a copy"),
    ("BSD-3-Clause", r"Redistribution and use in source and binary forms[\s\S]*Neither the names? of"),
    ("BSD-2-Clause", r"Redistribution and use in source and binary forms"),
)
"""Licences by the words that only they have, as SPDX names them; the first that fits."""


@dataclass(frozen=True)
class Package:
    """A Debian package in an image."""

    name: str
    version: str
    architecture: str


@dataclass(frozen=True)
class GoModule:
    """A Go module by the line that go.sum has of it; `hash` is the SHA-256 there, in hexadecimal."""

    path: str
    version: str
    hash: str

    @property
    def purl(self) -> PackageURL:
        """Its package URL."""
        namespace, _, name = self.path.rpartition("/")
        return PackageURL("golang", namespace or None, name, self.version)


def go_modules(recipe: Recipe) -> list[GoModule]:
    """Every Go module whose content the recipe's go.sum pins, in its order."""
    text = (recipe.folder / "go.sum").read_text()
    return [
        GoModule(found["module"], found["version"], base64.b64decode(found["hash"]).hex())
        for found in _GO_SUM.finditer(text)
    ]


def sources(profile: Profile, cni: Cni, cni_version: str, kubernetes: str) -> list[Recipe]:
    """The recipes that the images of a profile are built by, and kind's own, each once."""
    base = recipes.load(f"kubernetes/{kubernetes}")
    balancer = metallb.IMAGES if profile.load_balancer is LoadBalancer.METALLB else ()
    named = [image.recipe for image in (*cni.images(cni_version), *balancer)]
    parts = [recipes.load(name) for name in ("kind", *built.NODE_COMPONENTS, *named)]
    found = [*(recipe for recipe, _ in built.control_plane(base)), *parts]
    return list({recipe.name: recipe for recipe in found}.values())


def packages(image: str) -> list[Package]:
    """The Debian packages in an image of this machine's Docker."""
    words = ["docker", "run", "--rm", "--network=none", f"--label={LABEL}={RunId.current()}"]
    form = "${binary:Package} ${Version} ${Architecture}\\n"
    said = shell.run([*words, "--entrypoint=dpkg-query", image, "--show", f"--showformat={form}"])
    return [Package(*line.split()) for line in said.stdout.splitlines()]


def licence(folder: Path) -> str:
    """The licence of a module by the file that it has of it, as SPDX names it; "" where that is not known."""
    for path in sorted(folder.glob("[LC][IO][CP][EY][NI][SCN]*")) + sorted(folder.glob("licen[sc]e*")):
        if path.is_file():
            text = path.read_text(errors="replace")
            return next((name for name, words in _LICENCES if re.search(words, text)), "")
    return ""


def bill(
    image: NodeImage,
    built_by: Sequence[Recipe],
    packages_in: Callable[[str], Iterable[Package]] = packages,
    modules: Path | None = None,
) -> str:
    """The bill of a node image and its agent as JSON.

    `built_by` are the recipes of what was built here, `modules` is Go's module cache, which has the licences.
    """
    place = modules or cache.root() / "go" / "mod"
    bom = Bom()
    name, _, tag = image.reference.rpartition(":")
    root = Component(type=ComponentType.CONTAINER, name=name, version=tag, bom_ref=image.reference)
    bom.metadata.component = root
    below = [*_programs(bom, built_by, place), *_images(image), *_debian(image, packages_in)]
    for component in below:
        bom.components.add(component)
    bom.register_dependency(root, below)
    return str(JsonV1Dot6(bom).output_as_string(indent=2)) + "\n"


def write(path: Path, text: str) -> None:
    """Write a bill; UsageError where that is not possible."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"--sbom: {path}: {error.strerror}") from error


def _programs(bom: Bom, built_by: Sequence[Recipe], place: Path) -> Iterator[Component]:
    """A component for each recipe, and beneath it the Go modules, each of which stands in the bill once."""
    known: dict[tuple[str, str], Component] = {}
    for recipe in built_by:
        listed = go_modules(recipe)
        version = recipes.module_version(recipe.folder / "go.mod", recipe.module)
        program = Component(
            type=ComponentType.APPLICATION,
            name=recipe.component,
            version=recipe.version,
            bom_ref=f"netproof/{recipe.name}",
            properties=[
                Property(name="netproof:module", value=f"{recipe.module} {version}"),
                Property(name="netproof:recipe", value=recipe.hash),
            ],
        )
        beneath = []
        for module in listed:
            key = (module.path, module.version)
            if key not in known:
                known[key] = _module(module, place)
                bom.components.add(known[key])
            beneath.append(known[key])
        bom.register_dependency(program, beneath)
        yield program


def _module(module: GoModule, place: Path) -> Component:
    found = licence(place / golang.folder_of(module.path, module.version))
    return Component(
        type=ComponentType.LIBRARY,
        name=module.path,
        version=module.version,
        purl=module.purl,
        bom_ref=module.purl.to_string(),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=module.hash)],
        licenses=[LicenseFactory().make_with_id(found)] if found else None,
    )


def _images(image: NodeImage) -> Iterator[Component]:
    """What came from a registry, each with its digest, where that is known."""
    for origin in image.origins:
        if origin.source != Source.REGISTRY or "@sha256:" not in origin.detail:
            continue
        reference = Reference.parse(origin.detail.rpartition(" ")[2])
        yield Component(
            type=ComponentType.CONTAINER,
            name=reference.name,
            version=reference.tag,
            bom_ref=str(reference),
            hashes=[HashType(alg=HashAlgorithm.SHA_256, content=reference.digest.removeprefix("sha256:"))],
        )


def _debian(image: NodeImage, packages_in: Callable[[str], Iterable[Package]]) -> Iterator[Component]:
    """The Debian packages of both images, each once."""
    found = dict.fromkeys(one for name in (image.reference, image.agent) for one in packages_in(name))
    for package in found:
        purl = PackageURL(
            "deb",
            "debian",
            package.name.partition(":")[0],
            package.version,
            {"arch": package.architecture, "distro": debian.SUITE},
        )
        yield Component(
            type=ComponentType.LIBRARY,
            name=package.name.partition(":")[0],
            version=package.version,
            purl=purl,
            bom_ref=purl.to_string(),
        )
