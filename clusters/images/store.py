"""Putting images into the containerd store of a node image, or of nodes that run already."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from clusters import shell
from clusters.images import cache, local
from clusters.labels import LABEL, RunId
from clusters.waiting import poll

_STORE = "/var/lib/containerd"


def put(base: str, images: Mapping[str, str], tag: str) -> None:
    """Make the node image `tag`: `base` with more images in its store.

    `images` maps the name that an image shall have on the nodes to the name that it has in the local Docker.
    They are stored as they are and unpacked by the nodes. containerd itself does it, in a container of `base`
    without privileges; what it changed becomes one layer. That layer is built rather than committed, because an
    image made by `docker commit` takes the container's labels with it, and those say whose leftover it is.
    """
    log = cache.log("node")
    with cache.scratch("node") as place:
        archive, layer = place / "images.tar", place / "layer"
        local.save(sorted(set(images.values())), archive)
        layer.mkdir()
        with _Container(base, place) as container:
            before = container.listing()
            container.start_containerd(log)
            container.ctr("images", "import", "--local", "--no-unpack", str(archive))
            _name(container.ctr, images)
            container.stop_containerd()
            changed = sorted(container.listing().items() - before.items())
            container.fetch([path for path, _ in changed], layer / "store.tar")
        (layer / "Dockerfile").write_text(f"FROM {base}\nADD store.tar /\n")
        local.build(layer, tag, log="node")


def add(nodes: Iterable[str], images: Mapping[str, str]) -> None:
    """Put images into the stores of nodes that run, by their containers' names; `images` as in `put`."""
    with cache.scratch("node") as place:
        archive = place / "images.tar"
        local.save(sorted(set(images.values())), archive)
        add_archive(nodes, archive, images)


def add_archive(nodes: Iterable[str], archive: Path, images: Mapping[str, str]) -> None:
    """The same out of a tar file; `images` maps the name that an image shall have to the one that it has there."""
    there = "/var/lib/netproof-images.tar"
    for node in nodes:

        def ctr(*words: str, node: str = node) -> object:
            return shell.run(["docker", "exec", node, "ctr", "--namespace=k8s.io", *words], timeout=300)

        shell.run(["docker", "cp", archive, f"{node}:{there}"], timeout=300)
        try:
            ctr("images", "import", there)
            _name(ctr, images)
        finally:
            shell.run(["docker", "exec", node, "rm", there])


def _name(ctr: Callable[..., object], images: Mapping[str, str]) -> None:
    """Give the images in a store the names that they shall have there, and no others."""
    wanted = {_canonical(name) for name in images}
    for name, source in images.items():
        if _canonical(source) != _canonical(name):
            ctr("images", "tag", "--force", _canonical(source), _canonical(name))
    for source in {_canonical(source) for source in images.values()} - wanted:
        ctr("images", "rm", source)


class _Container:
    """A container of a node image that only sleeps, for containerd to be run in it by hand.

    It sees the folder `shared` of the host at its own path.
    """

    def __init__(self, image: str, shared: Path) -> None:
        command = ["docker", "run", "--detach", "--network=none", f"--label={LABEL}={RunId.current()}"]
        command += [f"--mount=type=bind,source={shared},target={shared}"]
        started = shell.run([*command, "--entrypoint=sleep", image, "infinity"])
        self.id = started.stdout.strip()

    def __enter__(self) -> _Container:
        return self

    def __exit__(self, *_: object) -> None:
        shell.run(["docker", "rm", "--force", "--volumes", self.id], check=False)

    def run(self, *words: str, timeout: float = 300.0) -> str:
        return shell.run(["docker", "exec", self.id, *words], timeout=timeout).stdout

    def ctr(self, *words: str) -> str:
        return self.run("ctr", "--namespace=k8s.io", *words)

    def start_containerd(self, log: Path) -> None:
        """Start it without the CRI plugin, which would want a network and cgroups, and wait until it answers."""
        config = 'version = 3\ndisabled_plugins = ["io.containerd.cri.v1.runtime", "io.containerd.grpc.v1.cri"]\n'
        shell.run(["docker", "exec", "--interactive", self.id, "tee", "/netproof.toml"], stdin=config)
        words = [
            "docker",
            "exec",
            "--detach",
            self.id,
            "containerd",
            "--config=/netproof.toml",
            "--log-level=warn",
        ]
        shell.run(words, log=log)
        poll(
            lambda: shell.run(["docker", "exec", self.id, "ctr", "version"], check=False),
            until=lambda done: done.ok,
            what="containerd in the node image",
            within=60,
        )

    def stop_containerd(self) -> None:
        """End it and wait, so that its database is whole."""
        self.run("pkill", "--exact", "containerd")
        poll(
            lambda: shell.run(["docker", "exec", self.id, "pgrep", "--exact", "containerd"], check=False),
            until=lambda done: not done.ok,
            what="the end of containerd in the node image",
            within=60,
        )

    def listing(self) -> dict[str, str]:
        """Each file of the store with its size and time of change."""
        self.run("mkdir", "-p", _STORE)
        text = self.run("find", _STORE, "-type", "f", "-printf", r"%p\t%s %T@\n")
        return dict(line.split("\t") for line in text.splitlines())

    def fetch(self, paths: list[str], tar: Path) -> None:
        """Write those files, with their full paths, into a tar file in the shared folder."""
        words = ["tar", "--create", f"--file={tar}", "--null", "--files-from=-", "--absolute-names"]
        command = ["docker", "exec", "--interactive", self.id, *words]
        shell.run(command, stdin="\0".join(paths), timeout=300)


def _canonical(name: str) -> str:
    """An image's name as containerd has it: with its registry."""
    first, slash, _ = name.partition("/")
    if not slash:
        return f"docker.io/library/{name}"
    return name if "." in first or ":" in first or first == "localhost" else f"docker.io/{name}"
