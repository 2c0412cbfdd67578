"""A build of a CNI that is not released: what was given is held against what its manifest names."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from clusters.cluster import Wanted
from clusters.cni.static_routes import CNI as STATIC_ROUTES
from clusters.cni_build import CniBuild, _tag_in
from clusters.model import Objects, UsageError, load_cni, load_profile

FLANNEL, PROFILE = load_cni("flannel"), load_profile("flannel-vxlan")
RELEASE = FLANNEL.versions[0]
OWN = [image.reference for image in FLANNEL.images(RELEASE)]


def manifest(*images: str) -> Objects:
    """As small as flannel's can be."""
    containers = [{"name": "kube-flannel", "image": image} for image in images]
    data = {"net-conf.json": json.dumps({"Network": "10.0.0.0/8"}), "cni-conf.json": json.dumps({"plugins": []})}
    return [
        {"kind": "ConfigMap", "metadata": {"name": "kube-flannel-cfg"}, "data": data},
        {
            "kind": "DaemonSet",
            "metadata": {"name": "kube-flannel-ds"},
            "spec": {"template": {"spec": {"containers": containers}}},
        },
    ]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "flannel-dev.yml"
    path.write_text(yaml.safe_dump_all(manifest("example.com/flannel:dev", OWN[1])))
    return path


def archive(path: Path, content: Any) -> Path:
    data = json.dumps(content).encode()
    with tarfile.open(path, "w") as tar:
        member = tarfile.TarInfo("manifest.json")
        member.size = len(data)
        tar.addfile(member, io.BytesIO(data))
    return path


def test_the_declared_changes_are_made_to_it_as_to_a_release(file: Path) -> None:
    build = CniBuild.of(file, ["example.com/flannel:dev=flannel-of-mine"])
    config, daemon = build.objects(FLANNEL, PROFILE, RELEASE)
    assert json.loads(config["data"]["net-conf.json"]) == {
        "Network": "10.244.0.0/16",
        "Backend": {"Type": "vxlan"},
    }
    containers = daemon["spec"]["template"]["spec"]["containers"]
    assert [container["image"] for container in containers] == ["example.com/flannel:dev", OWN[1]]


def test_an_image_that_nobody_gave_is_named_with_what_to_say(file: Path) -> None:
    with pytest.raises(
        UsageError, match=r"nobody gave the images example\.com/flannel:dev of flannel-dev\.yml"
    ) as caught:
        CniBuild.of(file, []).objects(FLANNEL, PROFILE, RELEASE)
    assert "--cni-image=example.com/flannel:dev=FILE.tar" in str(caught.value)


def test_another_projects_manifest_is_refused(file: Path) -> None:
    with pytest.raises(UsageError, match="is none of calico's: the manifest has no DaemonSet calico-node"):
        CniBuild.of(file, []).objects(load_cni("calico"), load_profile("calico-bgp"), "v3.28.5")


def test_a_cni_without_changes_takes_what_is_there(file: Path) -> None:
    build = CniBuild.of(file, [f"{name}=x" for name in ("example.com/flannel:dev", OWN[1])])
    assert build.objects(STATIC_ROUTES, load_profile("static-routes"), "v1.0.0") == list(
        yaml.safe_load_all(file.read_text())
    )


def test_images_without_their_manifest_are_refused() -> None:
    assert CniBuild.asked(None, []) is None
    with pytest.raises(UsageError, match="--cni-image needs --cni-manifest"):
        CniBuild.asked(None, ["flannel=x"])


@pytest.mark.parametrize("given", ["flannel", "=x", "flannel="])
def test_an_image_without_a_place_is_refused(file: Path, given: str) -> None:
    with pytest.raises(UsageError, match="is not NAME=TAR or NAME=REFERENCE"):
        CniBuild.of(file, [given])


def test_a_manifest_that_is_not_there_or_no_yaml_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no file"):
        CniBuild.of(tmp_path / "nowhere.yml", [])
    broken = tmp_path / "broken.yml"
    broken.write_text("a: [")
    with pytest.raises(UsageError, match=r"broken\.yml"):
        CniBuild.of(broken, []).objects(FLANNEL, PROFILE, RELEASE)


def test_the_name_inside_an_archive_is_found(tmp_path: Path) -> None:
    one = archive(tmp_path / "one.tar", [{"RepoTags": ["mine/flannel:dev"]}])
    assert _tag_in(one) == "mine/flannel:dev"
    for content in ([], [{"RepoTags": None}], [{"RepoTags": ["a:1", "b:2"]}]):
        with pytest.raises(UsageError, match="one image with one name"):
            _tag_in(archive(tmp_path / "other.tar", content))
    (tmp_path / "no.tar").write_text("no tar file at all")
    with pytest.raises(UsageError, match="is no image as `docker save` writes it"):
        _tag_in(tmp_path / "no.tar")


def test_another_file_is_another_build(file: Path, tmp_path: Path) -> None:
    tar = archive(tmp_path / "image.tar", [{"RepoTags": ["mine/flannel:dev"]}])
    build = CniBuild.of(file, [f"example.com/flannel:dev={tar}"])
    before = build.digest()
    assert build.images == {"example.com/flannel:dev": tar}
    archive(tar, [{"RepoTags": ["mine/flannel:next"]}])
    assert build.digest() != before


def test_what_is_installed_is_called_by_its_file(file: Path) -> None:
    assert Wanted.of("flannel-vxlan", build=CniBuild.of(file, [])).release == "flannel-dev.yml"
    assert Wanted.of("flannel-vxlan").release == RELEASE
