"""A mirror's address is read or refused, and every image has one place there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusters.__main__ import main
from clusters.images import mirror, provide, transfer
from clusters.images.mirror import VARIABLE, Mirror
from clusters.images.registry import Reference
from clusters.model import UsageError, load_cni, load_profile, profile_names

DIGEST = "sha256:" + "0a" * 32


@pytest.fixture(autouse=True)
def _no_mirror(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "")


@pytest.mark.parametrize(
    "text",
    ["mirror.example", "mirror.example:5000", "127.0.0.1:5000/net", "localhost/a/b-c", "[::1]:5000/x", "h:1/"],
)
def test_an_address_is_read(text: str) -> None:
    assert Mirror.parse(text).address == text.rstrip("/")


@pytest.mark.parametrize(
    "text", ["", "mirror", "https://mirror.example", "h:x/y", "h.e/UPPER", "h.e/a b", "h.e//a", "/a"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--registry"):
        Mirror.parse(text)


def test_an_image_lies_there_under_its_whole_name() -> None:
    place = Mirror("mirror.example:5000/net").place
    assert (
        place(f"docker.io/kindest/node:v1@{DIGEST}")
        == f"mirror.example:5000/net/docker.io/kindest/node:v1@{DIGEST}"
    )
    assert place("netproof/agent:0123") == "mirror.example:5000/net/netproof/agent:0123"
    assert place("127.0.0.1:5001/x/y:v1") == "mirror.example:5000/net/127.0.0.1_5001/x/y:v1"


names = st.from_regex(r"[a-z]{2,6}\.[a-z]{2,3}(:[0-9]{2,4})?(/[a-z0-9]{1,5}(-[a-z]{1,4})?){1,3}", fullmatch=True)


@given(names, st.sampled_from(["", DIGEST]))
def test_what_lies_there_can_be_asked_for(name: str, digest: str) -> None:
    reference = Reference(name, "v1", digest)
    there = Reference.parse(Mirror("mirror.example:5000/net").place(str(reference)))
    assert (there.tag, there.digest) == (reference.tag, reference.digest)


@given(st.sets(names, min_size=2, max_size=4))
def test_no_two_images_have_the_same_place(several: set[str]) -> None:
    assert len({Mirror("m.example").place(name) for name in several}) == len(several)


def test_a_mirror_and_a_build_exclude_each_other() -> None:
    with pytest.raises(UsageError, match="not both"):
        mirror.choose("mirror.example", source="source")


def test_the_choice_is_seen_by_what_is_started() -> None:
    mirror.choose("mirror.example/net", source="auto")
    assert mirror.chosen() == Mirror("mirror.example/net")


@pytest.mark.parametrize("name", profile_names())
def test_what_a_mirror_must_have_is_known_without_asking_anybody(name: str) -> None:
    profile = load_profile(name)
    cni = load_cni(profile.cni)
    made, public = provide.needed(profile, cni, cni.versions[0])
    assert {it.partition(":")[0] for it in made} == {"netproof/agent", f"netproof/node-{name}"}
    assert len(made) == 4
    assert any(it.startswith("docker.io/kindest/node:") for it in public)
    assert {image.reference for image in cni.images(cni.versions[0])} <= {it.partition("@")[0] for it in public}


def test_the_list_has_both_lots_at_the_mirror(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["images", "flannel-vxlan", "--list", "--registry", "mirror.example:5000/net"]) == 0
    said = capsys.readouterr().out
    assert "  mirror.example:5000/net/netproof/node-flannel-vxlan:" in said
    assert "  mirror.example:5000/net/docker.io/kindest/node:v1.36.4@sha256:" in said


def test_a_mirror_that_is_none_is_refused_before_anything_is_done(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["images", "flannel-vxlan", "--list", "--registry", "mirror"]) == 2
    assert main(["images", "flannel-vxlan", "--images", "source", "--registry", "m.example"]) == 2
    assert "not both" in capsys.readouterr().err


SAID = {
    "unauthorized: authentication required": "wants a login: docker login m:1",
    "no basic auth credentials": "wants a login",
    "manifest verification failed for digest sha256:0a": "something else",
    "received unexpected HTTP status: 500: write /registry/x: no space left on device": "is full",
    "received unexpected HTTP status: 500 Internal Server Error": "as one does that is full",
    "http: server gave HTTP response to HTTPS client": "no TLS",
    "x509: certificate signed by unknown authority": "does not trust",
    "Read timed out. (read timeout=10)": "too slow",
    "net/http: request canceled (Client.Timeout exceeded): context deadline exceeded": "too slow",
    "dial tcp 127.0.0.1:9: connect: connection refused": "nobody answers",
    "invalid character '<' looking for beginning of value": "no registry",
}


@pytest.mark.parametrize("said", SAID)
def test_what_an_engine_says_is_explained(said: str) -> None:
    told = transfer.explained(f"Error response from daemon:\n{said}\n", "m:1/x:v")
    assert SAID[said] in told
    assert said in told


def test_words_that_nobody_knows_stay() -> None:
    assert transfer.explained("a\nsomething new\n", "m:1/x") == "something new"
