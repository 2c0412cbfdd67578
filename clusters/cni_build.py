"""A build of a CNI that is not released: a manifest, and images that somebody has made for it."""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from clusters import manifests
from clusters.images import local, store
from clusters.images.recipes import digest
from clusters.model import Cni, Objects, Profile, UsageError


@dataclass(frozen=True)
class CniBuild:
    """What stands in the place of a release.

    `images` say by the name that the manifest has where an image is: a tar file as `docker save` writes it, or the
    name of one in this machine's Docker.
    """

    manifest: Path
    images: Mapping[str, Path | str]

    @classmethod
    def asked(cls, manifest: Path | None, given: Sequence[str]) -> CniBuild | None:
        """The build that two options ask for, None where neither is given; UsageError for images alone."""
        if manifest is not None:
            return cls.of(manifest, given)
        if given:
            raise UsageError("--cni-image needs --cni-manifest: the manifest that names the image")
        return None

    @classmethod
    def of(cls, manifest: Path, given: Sequence[str]) -> CniBuild:
        """Read what was asked for, `given` as NAME=TAR or NAME=REFERENCE; UsageError for what is not there."""
        if not manifest.is_file():
            raise UsageError(f"--cni-manifest: there is no file {manifest}")
        images: dict[str, Path | str] = {}
        for one in given:
            name, equals, where = one.partition("=")
            if not (name and equals and where):
                raise UsageError(f"--cni-image: {one!r} is not NAME=TAR or NAME=REFERENCE")
            images[name] = Path(where).absolute() if Path(where).is_file() else where
        return cls(manifest.absolute(), images)

    def objects(self, cni: Cni, profile: Profile, release: str) -> Objects:
        """The manifest's objects with the changes that are declared for that CNI.

        UsageError where it lacks what these change, or names an image that was not given and that is none of the
        release's, whose images the nodes have.
        """
        try:
            read = [item for item in yaml.safe_load_all(self.manifest.read_text()) if item]
        except (OSError, yaml.YAMLError) as error:
            raise UsageError(f"--cni-manifest: {self.manifest.name}: {error}") from error
        try:
            found = manifests.changed(read, *cni.changes(profile))
        except (LookupError, TypeError) as error:
            raise UsageError(
                f"--cni-manifest: {self.manifest.name} is none of {cni.name}'s: {error}, which netproof changes"
            ) from error
        there = {image.reference for image in cni.images(release)} | self.images.keys()
        missing = sorted(manifests.images_of(found) - there)
        if missing:
            raise UsageError(
                f"--cni-manifest: nobody gave the images {', '.join(missing)} of {self.manifest.name}:"
                f" say --cni-image={missing[0]}=FILE.tar, or =NAME of one in this machine's Docker"
            )
        return found

    def require_images(self) -> None:
        """UsageError for an image that is neither a file nor in this machine's Docker."""
        for name, where in self.images.items():
            if isinstance(where, str) and not local.have(where):
                raise UsageError(f"--cni-image: {name}: there is no file {where}, and Docker has no such image")

    def digest(self) -> str:
        """What the images are, in a few letters, so that a kept cluster is taken over only with the same ones."""
        return digest([f"{name} {_digest(where)}" for name, where in sorted(self.images.items())])

    def put_on(self, nodes: Iterable[str]) -> None:
        """Put the images into the stores of nodes that run."""
        machines = list(nodes)
        for name, where in self.images.items():
            if isinstance(where, Path):
                store.add_archive(machines, where, {name: _tag_in(where)})
        given = {name: where for name, where in self.images.items() if isinstance(where, str)}
        if given:
            store.add(machines, given)


def _digest(where: Path | str) -> str:
    if isinstance(where, str):
        return local.identity(where)
    with where.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _tag_in(archive: Path) -> str:
    """The name of the one image in a tar file; UsageError for another kind of file."""
    try:
        with tarfile.open(archive) as tar:
            member = tar.extractfile("manifest.json")
            listed = json.load(member) if member else []
    except (tarfile.TarError, KeyError, ValueError) as error:
        raise UsageError(f"--cni-image: {archive} is no image as `docker save` writes it: {error}") from error
    tags = [tag for image in listed for tag in image.get("RepoTags") or []]
    if len(tags) != 1:
        raise UsageError(f"--cni-image: {archive} has to have one image with one name, and has: {', '.join(tags)}")
    return str(tags[0])
