"""`python -m clusters`: for people who want only the cluster."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from rich.console import Console
from rich.table import Table

from clusters import kind, records
from clusters.cluster import ClusterFailed, Wanted, stand_up, take_down
from clusters.cni_build import CniBuild
from clusters.images import lock, sbom
from clusters.images.mirror import Mirror
from clusters.images.mirror import choose as choose_mirror
from clusters.images.mirror import chosen as chosen_mirror
from clusters.images.provide import ImagesUnavailable, Source, ensure, ensure_agent, needed
from clusters.images.prune import prune
from clusters.model import HostCannot, UsageError, profile_names
from clusters.shell import CommandFailed
from clusters.sweep import sweep

_OUT = Console(soft_wrap=True, highlight=False)
_ERR = Console(stderr=True, soft_wrap=True, highlight=False)


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the arguments say; return the exit status: 0, 1 failed, 2 usage, 3 the host cannot."""
    signal.signal(signal.SIGTERM, _terminated)
    asked = _parser().parse_args(arguments)
    action: Callable[[argparse.Namespace], None] = asked.action
    try:
        if getattr(asked, "registry", None):
            choose_mirror(asked.registry, source=asked.images)
        action(asked)
    except UsageError as error:
        return _failed(2, error)
    except (HostCannot, ImagesUnavailable) as error:
        return _failed(3, error)
    except (ClusterFailed, CommandFailed) as error:
        return _failed(1, error)
    except KeyboardInterrupt:
        return _failed(130, "interrupted")
    return 0


def _up(asked: argparse.Namespace) -> None:
    cluster = stand_up(_wanted(asked), keep=True)
    phases = cluster.bring_up.phases if cluster.bring_up else ()
    spent = ", ".join(f"{phase.name} {phase.seconds:.0f} s" for phase in phases)
    word = "stood already" if cluster.adopted else "is up"
    _OUT.print(f"{cluster.name} {word} ({spent}). To use it:", markup=False)
    _OUT.print(f"  export KUBECONFIG={cluster.kubeconfig}", markup=False)
    _OUT.print(f"To remove it:\n  python -m clusters down {cluster.name}", markup=False)


def _down(asked: argparse.Namespace) -> None:
    name = asked.name or asked.cluster
    name = name if name.startswith(records.PREFIX) else records.PREFIX + name
    record = records.read(name)
    if record is None and name not in kind.standing():
        known = ", ".join(record.name for record in records.every()) or "none"
        raise UsageError(f"there is no cluster {name}; known are: {known}")
    if record is not None and record.in_use:
        raise UsageError(f"cluster {name} is in use by run {record.run}, which still lives")
    take_down(name)
    _OUT.print(f"{name} is gone")


def _list(_: argparse.Namespace) -> None:
    standing = kind.standing()
    recorded = records.every()
    for record in recorded:
        versions = ", ".join(f"{part} {version}" for part, version in record.versions.items())
        _OUT.print(f"{record.name}  {_state(record, standing)}  {versions}", markup=False)
        _OUT.print(f"  KUBECONFIG={records.kubeconfig(record.name)}", markup=False)
    for name in sorted(standing - {record.name for record in recorded}):
        if name.startswith(records.PREFIX):
            _OUT.print(f"{name}  stands, and we have no record of it", markup=False)


def _state(record: records.Record, standing: set[str]) -> str:
    if record.name not in standing:
        return "gone"
    if record.in_use:
        return f"in use by run {record.run}"
    return "kept" if record.keep else "left behind"


def _images(asked: argparse.Namespace) -> None:
    wanted = _wanted(asked)
    if asked.list:
        for line in _listed(wanted, asked.push):
            _OUT.print(line, markup=False)
        return
    image = ensure(
        wanted.profile,
        wanted.cni,
        wanted.cni_version,
        kubernetes_version=wanted.kubernetes_version,
        source=wanted.source,
    )
    table = Table("image", "source", "from", box=None)
    for origin in image.origins:
        table.add_row(origin.image, origin.source, origin.detail)
    _OUT.print(table)
    if asked.sbom is not None:
        from_source = any(origin.source == Source.SOURCE for origin in image.origins)
        made_of = (wanted.profile, wanted.cni, wanted.cni_version, image.kubernetes)
        sbom.write(asked.sbom, sbom.bill(image, sbom.sources(*made_of) if from_source else []))
        _OUT.print(f"bill of materials: {asked.sbom}", markup=False)
    _OUT.print(f"node image: {image.reference}", markup=False)
    if asked.push:
        for name, digest in Mirror.parse(asked.push).push((image.agent, image.reference)).items():
            _OUT.print(f"pushed: {Mirror.parse(asked.push).place(name)}@{digest}", markup=False)
        _OUT.print(
            f"Their digests are kept in {lock.file()}: machines that have this file ask for these.", markup=False
        )


def _listed(wanted: Wanted, mirror: str | None) -> list[str]:
    """The images that a mirror must have, one of two lots: finished ones, or those of public registries."""
    made, public = needed(
        wanted.profile, wanted.cni, wanted.cni_version, kubernetes_version=wanted.kubernetes_version
    )
    through = Mirror.parse(mirror) if mirror else chosen_mirror()
    place = through.place if through else str
    finished = [f"{place(name)}{'@' if lock.kept(name) else ''}{lock.kept(name)}" for name in made]
    return [
        "finished, as --push brings them there; nothing else is needed then:",
        *(f"  {name}" for name in finished),
        "or of public registries, from which these are made here, with packages of Debian:",
        *(f"  {place(name)}" for name in public),
    ]


def _agent(asked: argparse.Namespace) -> None:
    name = ensure_agent(Source(asked.images)).reference
    _OUT.print(f"{name} is the agent's image in this machine's Docker. Give it to the nodes:", markup=False)
    _OUT.print(f"  a cluster of kind:  kind load docker-image {name} --name CLUSTER", markup=False)
    _OUT.print(f"  a registry:         docker tag {name} REGISTRY/NAME && docker push REGISTRY/NAME", markup=False)
    _OUT.print("Then: ./run existing -- --kubeconfig=FILE --agent-image=NAME", markup=False)


def _sweep(_: argparse.Namespace) -> None:
    _OUT.print(f"removed: {sweep()}", markup=False)


def _prune(_: argparse.Namespace) -> None:
    removed = prune()
    _OUT.print("\n".join(removed) if removed else "nothing to remove", markup=False)


def _wanted(asked: argparse.Namespace) -> Wanted:
    return Wanted.of(
        asked.profile,
        cni_version=asked.cni_version,
        kubernetes_version=asked.kubernetes_version,
        source=Source(asked.images),
        name=asked.name,
        build=CniBuild.asked(asked.cni_manifest, asked.cni_image),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m clusters", description="Stand up clusters, and nothing else.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    up = commands.add_parser("up", help="bring a cluster up and keep it")
    up.set_defaults(action=_up)
    images = commands.add_parser("images", help="make sure of a profile's images, and say where they come from")
    images.set_defaults(action=_images)
    images.add_argument("--list", action="store_true", help="only name the images that a mirror must have for it")
    images.add_argument("--push", metavar="MIRROR", help="bring them to a registry: HOST[:PORT][/PREFIX]")
    images.add_argument(
        "--sbom", type=Path, metavar="FILE", help="write what they were built from, as CycloneDX JSON"
    )
    for command in (up, images):
        command.add_argument("profile", metavar="PROFILE", help=f"one of: {', '.join(profile_names())}")
        command.add_argument("--cni-version", help="a release of the CNI (default: the newest known)")
        command.add_argument("--kubernetes-version", help="a release of Kubernetes (default: the source's own)")
        command.add_argument("--images", choices=list(Source), default=Source.AUTO, help="where they come from")
        command.add_argument("--registry", metavar="MIRROR", help="take all of them from HOST[:PORT][/PREFIX]")
        command.add_argument("--cni-manifest", type=Path, help="manifest of a build of the CNI, not a release")
        command.add_argument("--cni-image", action="append", default=[], metavar="NAME=TAR|REFERENCE")
        command.add_argument("--name", help=f"another name for the cluster (default: {records.PREFIX}PROFILE)")

    agent = commands.add_parser("agent", help="make sure of the agent's image, for a cluster that stands already")
    agent.add_argument("--images", choices=list(Source), default=Source.AUTO, help="where it comes from")
    agent.add_argument("--registry", metavar="MIRROR", help="take it from HOST[:PORT][/PREFIX]")
    agent.set_defaults(action=_agent)

    down = commands.add_parser("down", help="remove a cluster")
    down.add_argument("cluster", metavar="PROFILE|NAME", help="the profile it was made from, or its name")
    down.add_argument("--name", help="its name, where it was given another")
    down.set_defaults(action=_down)
    commands.add_parser("list", help="show the clusters that stand").set_defaults(action=_list)
    commands.add_parser("sweep", help="remove what crashed runs left").set_defaults(action=_sweep)
    commands.add_parser("prune", help="remove images that nothing here needs any more").set_defaults(action=_prune)
    return parser


def _failed(status: int, error: object) -> int:
    _ERR.print(str(error), markup=False)
    return status


def _terminated(*_: object) -> NoReturn:
    """End as an interrupt at the terminal does, so that what was begun is taken down."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
