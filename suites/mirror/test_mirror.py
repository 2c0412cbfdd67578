"""Every image comes from a mirror: filled, asked by digest, and refused with one clear sentence.

    this machine's Docker ──push, pull──> 127.0.0.1:PORT/closed/net   (Debian's docker-registry in a container)

It can fail if an image comes from elsewhere or with another content, or if a mirror that is silent, wrong or full
is not told apart. The image is a file of a few bytes; what is said of it holds for a node image of a gigabyte.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.request import Request, urlopen

import pytest
from docker import DockerClient
from docker.errors import ImageNotFound

from clusters import shell
from clusters.host import engine
from clusters.images import lock, provide, registry
from clusters.images.mirror import VARIABLE, Mirror
from clusters.images.plans import Plan, Source
from clusters.images.provide import ensure_registry
from clusters.images.steps import Artifact, Lane
from clusters.images.unavailable import ImagesUnavailable
from clusters.labels import LABEL, RunId
from clusters.model import UsageError
from clusters.waiting import poll
from fixtures.report.options import Options

LOGIN = {"username": "robot", "password": "opensesame"}
HTPASSWD = "robot:$2b$04$RvJ9J//ImdwMrEFRp5HrG.lXD1rJZrPqkBSqRzBL6M.a3aNqkNmjm"
"""The same as a registry wants it."""
ABROAD = "quay.example/public/tiny"
"""An image as a public registry would have it."""

Serve = Callable[..., str]


@pytest.fixture(scope="module")
def server_image(options: Options) -> str:
    """The image of a registry."""
    if not engine.address().startswith("unix://"):
        pytest.skip("a mirror on loopback needs a Docker engine on this machine")
    return ensure_registry(options.images).reference


@pytest.fixture
def serve(docker_client: DockerClient, server_image: str) -> Iterator[Serve]:
    """Starts a registry on loopback, with settings of Docker's SDK; "127.0.0.1:PORT" once it answers."""
    made = []

    def start(**settings: Any) -> str:
        settings["ports"] = {"5000/tcp": ("127.0.0.1", None)}
        label = {LABEL: str(RunId.current())}
        container = docker_client.containers.run(server_image, detach=True, labels=label, **settings)
        made.append(container)
        container.reload()
        port = int(container.attrs["NetworkSettings"]["Ports"]["5000/tcp"][0]["HostPort"])
        poll(lambda: _answers(port), until=bool, what="the registry", within=30)
        return f"127.0.0.1:{port}"

    yield start
    for container in made:
        container.remove(force=True, v=True)


def _answers(port: int) -> bool:
    """Whether HTTP is spoken there, and not only by Docker's own end of a published port."""
    try:
        with closing(socket.create_connection(("127.0.0.1", port), 2)) as asked:
            asked.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return asked.recv(4) == b"HTTP"
    except OSError:
        return False


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server_image: str) -> None:  # noqa: ARG001 - before it
    """Locks and digests of this test alone, and a Docker without logins."""
    (tmp_path / "docker").mkdir()
    monkeypatch.setenv("NETPROOF_CACHE", str(tmp_path))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    monkeypatch.delenv(VARIABLE, raising=False)


@pytest.fixture
def tiny(docker_client: DockerClient, tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """Makes an image of a few bytes here; its name, which goes with the test."""
    name = f"netproof/tiny:{RunId.current()}"

    def make(content: str, called: str = name) -> str:
        folder = tmp_path / "tiny"
        folder.mkdir(exist_ok=True)
        (folder / "content").write_text(content)
        (folder / "Dockerfile").write_text('FROM scratch\nCOPY content /content\nCMD ["none"]\n')
        shell.run(["docker", "build", f"--tag={called}", folder], env={"DOCKER_BUILDKIT": "0"})
        return called

    yield make
    for image in docker_client.images.list("netproof/tiny"):
        docker_client.images.remove(str(image.id), force=True)


@pytest.fixture
def through(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Mirror]:
    """Chooses a mirror, as `--registry` does."""

    def choose(address: str) -> Mirror:
        monkeypatch.setenv(VARIABLE, address)
        return Mirror.parse(address)

    return choose


def delivered(docker: DockerClient, name: str) -> Plan:
    """Ask for that image as a suite does for its own: it can be had from nowhere but the mirror."""

    def never() -> None:
        raise AssertionError("it was made here")

    target = Artifact(name, name, Lane.DISK, lambda: _have(docker, name), never)
    plan = Plan(Source.SOURCE, target, "", "", lambda: ())
    return provide.deliver({Source.SOURCE: lambda: plan}, Source.AUTO)


def _have(docker: DockerClient, name: str) -> bool:
    try:
        return bool(docker.images.get(name))
    except ImageNotFound:
        return False


def test_what_was_pushed_comes_back_by_its_digest(
    docker_client: DockerClient, serve: Serve, tiny: Callable[[str], str], through: Callable[[str], Mirror]
) -> None:
    name, mirror = tiny("first"), through(f"{serve()}/closed/net")
    pushed = mirror.push([name])
    docker_client.images.remove(name, force=True)
    assert not _have(docker_client, name)

    plan = delivered(docker_client, name)

    assert _have(docker_client, name)
    assert lock.kept(name) == pushed[name]
    assert [(it.image, it.detail) for it in plan.origins()] == [(name, f"{mirror.place(name)}@{pushed[name]}")]
    assert _names(docker_client, name) == [name]


def _names(docker: DockerClient, name: str) -> list[str]:
    tags: list[str] = docker.images.get(name).tags
    return tags


def test_another_machine_keeps_the_digest_of_its_first_pull(
    docker_client: DockerClient, serve: Serve, tiny: Callable[[str], str], through: Callable[[str], Mirror]
) -> None:
    name, mirror = tiny("first"), through(serve())
    pushed = mirror.push([name])
    lock.file().unlink()
    docker_client.images.remove(name, force=True)

    delivered(docker_client, name)

    assert lock.kept(name) == pushed[name]


def test_another_content_under_the_same_name_is_not_taken(
    docker_client: DockerClient, serve: Serve, tiny: Callable[[str], str], through: Callable[[str], Mirror]
) -> None:
    name, mirror = tiny("first"), through(serve())
    honest = mirror.push([name])[name]
    tiny("something else")
    mirror.push([name])
    lock.keep(name, honest)
    _forget(mirror, name, honest)
    docker_client.images.remove(name, force=True)

    with pytest.raises(ImagesUnavailable, match=f"@{honest} could not be pulled: .*manifest unknown"):
        delivered(docker_client, name)

    assert not _have(docker_client, name)


def _forget(mirror: Mirror, name: str, digest: str) -> None:
    """Have the registry lose the manifest of that digest."""
    host, _, path = mirror.place(name.partition(":")[0]).partition("/")
    asked = Request(f"http://{host}/v2/{path}/manifests/{digest}", method="DELETE")
    with urlopen(asked, timeout=10) as answer:
        assert answer.status == HTTPStatus.ACCEPTED


def test_an_image_of_a_public_registry_is_asked_from_the_mirror_by_its_own_digest(
    docker_client: DockerClient, serve: Serve, tiny: Callable[..., str], through: Callable[[str], Mirror]
) -> None:
    mirror = through(f"{serve()}/closed")
    there = mirror.place(f"{ABROAD}:v1")
    assert there.endswith("/closed/quay.example/public/tiny:v1")
    tiny("public", there)
    said = shell.run(["docker", "push", there]).stdout
    digest = "sha256:" + said.rpartition("sha256:")[2][:64]
    docker_client.images.remove(there, force=True)
    reference = registry.Reference(ABROAD, "v1", digest)
    wrong = registry.Reference(ABROAD, "v1", "sha256:" + "0a" * 32)

    registry.reach(reference)
    pulled = registry.pulled(reference)
    pulled.make()
    try:
        assert pulled.present()
        with pytest.raises(ImagesUnavailable, match=r"does not have closed/quay\.example/public/tiny"):
            registry.reach(wrong)
        with pytest.raises(ImagesUnavailable, match=r"0a0a could not be pulled: .*manifest unknown"):
            registry.pulled(wrong).make()
    finally:
        docker_client.images.remove(pulled.name, force=True)


def test_a_mirror_with_a_login_is_filled_and_asked_with_docker_s_own(
    docker_client: DockerClient,
    serve: Serve,
    tiny: Callable[[str], str],
    through: Callable[[str], Mirror],
    tmp_path: Path,
) -> None:
    passwords = tmp_path / "htpasswd"
    passwords.write_text(HTPASSWD)
    settings = {"REGISTRY_AUTH": "htpasswd", "REGISTRY_AUTH_HTPASSWD_REALM": "closed"}
    address = serve(
        environment={**settings, "REGISTRY_AUTH_HTPASSWD_PATH": "/htpasswd"},
        volumes=[f"{passwords}:/htpasswd:ro"],
    )
    name, mirror = tiny("first"), through(address)
    with pytest.raises(ImagesUnavailable, match=f"wants a login: docker login {address}"):
        mirror.push([name])
    words = ["docker", "login", f"--username={LOGIN['username']}", "--password-stdin", address]
    shell.run(words, stdin=LOGIN["password"])
    mirror.push([name])
    docker_client.images.remove(name, force=True)

    delivered(docker_client, name)

    docker_client.images.remove(name, force=True)
    shell.run(["docker", "logout", address])
    with pytest.raises(ImagesUnavailable, match=f"wants a login: docker login {address}"):
        delivered(docker_client, name)


def test_what_a_mirror_does_not_have_is_said_with_how_to_fill_it(
    docker_client: DockerClient, serve: Serve, through: Callable[[str], Mirror]
) -> None:
    address = through(serve()).address

    with pytest.raises(ImagesUnavailable) as said:
        delivered(docker_client, "netproof/never:1")

    assert "does not have netproof/never:1" in str(said.value)
    assert f"python -m clusters images PROFILE --push {address}" in str(said.value)


def test_a_full_mirror_says_so(serve: Serve, tiny: Callable[[str], str], through: Callable[[str], Mirror]) -> None:
    mirror = through(serve(tmpfs={"/registry": "size=64k"}))
    name = tiny("\n".join(str(number * number) for number in range(200_000)))

    with pytest.raises(
        ImagesUnavailable, match=f"did not take {name}: it fails by itself, as one does that is full"
    ):
        mirror.push([name])


def test_a_mirror_that_does_not_answer_is_given_up(
    docker_client: DockerClient, through: Callable[[str], Mirror], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clusters.images.transfer.look.__defaults__", (1.0,))
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        address = through(f"127.0.0.1:{silent.getsockname()[1]}").address
        with pytest.raises(ImagesUnavailable, match=f"{address}/.* does not answer: it is too slow"):
            delivered(docker_client, "netproof/never:1")


def test_a_mirror_that_stops_in_the_middle_is_given_up(
    docker_client: DockerClient,
    serve: Serve,
    tiny: Callable[[str], str],
    through: Callable[[str], Mirror],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It has the image, and is stopped by its cgroup before it gives it."""
    name, mirror = tiny("first"), through(serve())
    mirror.push([name])
    docker_client.images.remove(name, force=True)
    monkeypatch.setattr("clusters.images.transfer.WHOLE", 3.0)
    (container,) = docker_client.containers.list(filters={"publish": mirror.address.rpartition(":")[2]})
    container.pause()
    try:
        with pytest.raises(ImagesUnavailable, match="could not be pulled: it is too slow"):
            mirror.pull(name)
    finally:
        container.unpause()


def test_nobody_at_that_port(docker_client: DockerClient, through: Callable[[str], Mirror]) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as closed:
        port = closed.getsockname()[1]
    through(f"127.0.0.1:{port}")

    with pytest.raises(ImagesUnavailable, match="nobody answers there"):
        delivered(docker_client, "netproof/never:1")


@contextmanager
def _website() -> Iterator[str]:
    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = b"<html>Welcome</html>"
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body if self.command == "GET" else b"")

        do_HEAD = do_GET  # noqa: N815 - http.server's name

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_website_is_no_mirror(docker_client: DockerClient, through: Callable[[str], Mirror]) -> None:
    with _website() as address:
        through(address)
        with pytest.raises(ImagesUnavailable, match="what answers there is no registry"):
            delivered(docker_client, "netproof/never:1")


def test_two_sources_that_know_nothing_of_it_are_a_mistake_and_no_fault_of_the_mirror(
    through: Callable[[str], Mirror],
) -> None:
    through("127.0.0.1:9")

    def unknown() -> Plan:
        raise UsageError("known are: a")

    with pytest.raises(UsageError, match="known are: a"):
        provide.deliver({Source.SOURCE: unknown}, Source.AUTO)


def test_the_lock_is_a_file_that_another_machine_can_have(tmp_path: Path) -> None:
    lock.keep("netproof/a:1", "sha256:" + "0a" * 32)
    assert json.loads((tmp_path / "registry.lock.json").read_text()) == {"netproof/a:1": "sha256:" + "0a" * 32}
