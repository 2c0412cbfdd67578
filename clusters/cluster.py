"""A cluster stood up from a profile, taken over when an equal one stands already, and taken down again."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from functools import cache
from ipaddress import IPv4Address
from pathlib import Path

from clusters import drain, kind, manifests, metallb, network, records, shell
from clusters.api import NODE, Api, ApiRefused, Object
from clusters.bring_up import BringUp, Stopwatch, Timing, look
from clusters.capabilities import PROBES, Capability, Found
from clusters.cni_build import CniBuild
from clusters.datapath import Datapath
from clusters.features import Feature
from clusters.hierarchies import require_none_stray
from clusters.host import facts
from clusters.images.provide import NodeImage, Source, ensure, tool
from clusters.images.recipes import digest
from clusters.kind_config import Needs, render
from clusters.labels import FAKE_NODE_LABEL, RunId, is_over
from clusters.manifests import OWN_IMAGE, with_images
from clusters.model import (
    Cni,
    HostCannot,
    LoadBalancer,
    Profile,
    UsageError,
    chosen_version,
    features,
    load_cni,
    load_profile,
    needs,
)
from clusters.nodes import Node, nodes
from clusters.probing import probe
from clusters.progress import Progress
from clusters.records import Record, takes_over
from clusters.redaction import redact_files
from clusters.settling import coredns_ready, daemons_running, nodes_ready
from clusters.waiting import TimedOut


class ClusterFailed(Exception):
    """A cluster did not come up; the message says how far it came and where its logs are."""


@dataclass(frozen=True)
class Wanted:
    """The cluster that is asked for. Empty versions and name mean the default of the profile's CNI and images."""

    profile: Profile
    cni: Cni
    cni_version: str
    kubernetes_version: str | None = None
    source: Source = Source.AUTO
    name: str = ""
    build: CniBuild | None = None
    """What is installed in the place of the release, whose images the nodes have besides."""

    @property
    def release(self) -> str:
        """What is installed, for people: the release, or the manifest of a build."""
        return self.build.manifest.name if self.build else self.cni_version

    def objects(self) -> list[Object]:
        """The CNI's objects; UsageError where those of a build do not fit."""
        if self.build is not None:
            return self.build.objects(self.cni, self.profile, self.cni_version)
        return manifests.of(self.cni, self.profile, self.cni_version)

    @classmethod
    def of(
        cls,
        profile: str,
        *,
        cni_version: str | None = None,
        kubernetes_version: str | None = None,
        source: Source = Source.AUTO,
        name: str | None = None,
        build: CniBuild | None = None,
    ) -> Wanted:
        """Read what was asked for; UsageError for what is not known, with the known ones listed."""
        found = load_profile(profile)
        cni = load_cni(found.cni)
        name = name or records.PREFIX + profile
        if not name.startswith(records.PREFIX):
            raise UsageError(f"a cluster's name begins with {records.PREFIX!r}, and {name!r} does not")
        features(cni, found)
        return cls(found, cni, chosen_version(cni, cni_version), kubernetes_version, source, name, build)


@dataclass(frozen=True)
class Cluster:
    """A cluster that stands.

    `drain` is the container that its network has for a default gateway, `versions` are by component. `adopted`
    says that somebody keeps it and had it before this run. `bring_up` is None and `drain` "" for somebody else's.
    """

    name: str
    profile: Profile
    cni: str
    cni_version: str
    features: frozenset[Feature]
    datapath: Datapath
    versions: Mapping[str, str]
    image: NodeImage
    nodes: tuple[Node, ...]
    drain: str
    kubeconfig: Path
    api: Api
    bring_up: BringUp | None
    adopted: bool


def stand_up(wanted: Wanted, *, keep: bool = False, timing: Timing = nullcontext) -> Cluster:
    """Bring the cluster up, or take over the kept one of that name when it was made from the same things.

    It belongs to this run from now on. When it does not come up, or when interrupted, its logs are collected and
    nothing is left of it. Raises ClusterFailed, and UsageError when the name is taken.
    """
    require(wanted.profile, needs(wanted.cni, wanted.profile))
    if wanted.build is not None:  # said before images are made, which may take long
        wanted.build.require_images()
        wanted.objects()
    watch = Stopwatch(timing)
    record = Record(
        name=wanted.name,
        profile=wanted.profile.name,
        recipe={"profile": wanted.profile.model_dump_json(), wanted.cni.name: wanted.cni_version},
        run=str(RunId.current()),
    )
    # Before images are made, which may take long, because what is known by now may not fit already.
    takes_over(records.read(wanted.name), wanted.name in kind.standing(), record)
    with watch.phase("images"):
        image = ensure(
            wanted.profile,
            wanted.cni,
            wanted.cni_version,
            kubernetes_version=wanted.kubernetes_version,
            source=wanted.source,
        )
        tool("kind")
    objects = with_images({OWN_IMAGE: image.agent})(wanted.objects())
    made_of = {"kubernetes": image.kubernetes, "node image": image.reference}
    made_of["manifests"] = digest([json.dumps(objects, sort_keys=True)])
    if wanted.build is not None:
        made_of["build"] = wanted.build.digest()
    recipe = {**record.recipe, **made_of}
    record = record.model_copy(update={"recipe": recipe, "images": image.origins})
    standing = claim(record)
    if standing is not None:
        return _taken_over(wanted, image, standing)
    try:
        record, api = _created(wanted, image, objects, record, watch)
        record = record.model_copy(update={"keep": keep})
        records.write(record)
    except BaseException as error:
        deserves_a_look = isinstance(error, Exception) and not isinstance(error, UsageError | HostCannot)
        logs = _collect_logs(wanted.name) if deserves_a_look else None
        take_down(wanted.name)
        if logs is None:
            raise
        raise ClusterFailed(
            f"{wanted.name} did not come up: {error}\nThe logs of its nodes are in {logs}"
        ) from error
    return _cluster(wanted, image, record, api, adopted=False)


@cache
def lacking(needed: frozenset[Capability]) -> Mapping[Capability, Found]:
    """Of these what the engine's kernel is known to lack, tried once in a process.

    What could not be tried (on a fresh machine nothing has the tools yet) is not known, and stops nobody.
    """
    found = probe()
    return {it: found[it] for it in sorted(needed) if found[it].able is False}


def require(profile: Profile, needed: frozenset[Capability]) -> None:
    """HostCannot for what the engine's kernel is known to lack, before anything is built."""
    if found := lacking(needed):
        words = ", ".join(f"{it} (kernel module {PROBES[it].module}): {seen.detail}" for it, seen in found.items())
        raise HostCannot(f"profile {profile.name} needs what this kernel lacks: {words}")


def take_down(name: str) -> None:
    """Delete a cluster and forget it; fine when there is little or nothing left of it."""
    if not name.startswith(records.PREFIX):
        raise UsageError(f"{name!r} is not ours to delete: our clusters' names begin with {records.PREFIX!r}")
    kind.delete(name, records.kubeconfig(name))
    records.remove(name)


def leave(cluster: Cluster, *, keep: bool, lend_to: RunId | None = None) -> None:
    """The run is done with the cluster: keep it standing for whoever comes next, or take it down.

    Unless it is kept, it may be lent to a command of several legs, whose next one takes it over.
    """
    cluster.api.close()
    record = records.read(cluster.name)
    if keep and record is not None:
        records.write(record.model_copy(update={"keep": True}))
    elif lend_to is not None and record is not None:
        records.write(record.model_copy(update={"lent": True, "run": str(lend_to)}))
    else:
        take_down(cluster.name)


def take_back(run: RunId) -> None:
    """Take down what was lent to this run, and that no leg of it has taken over."""
    for record in records.every():
        if record.lent and record.run == str(run):
            take_down(record.name)


def sweep() -> list[str]:
    """Take down what runs left behind that are gone and did not mean to keep it; return the names.

    An interrupt takes down what is there at that moment. Nodes that Docker was still creating come after it.
    """
    run = str(RunId.current())
    with records.exclusive():
        known = {record.name: record for record in records.every()}
        stale = [record for record in known.values() if record.stale]
        for record in stale:
            records.write(record.model_copy(update={"run": run}))
    cut_off = [name for name in kind.never_started() - known.keys() if name.startswith(records.PREFIX)]
    gone = [*(record.name for record in stale), *sorted(cut_off)]
    for name in gone:
        take_down(name)
    return gone


def claim(record: Record) -> Record | None:
    """Make the name ours. Returns the record of a kept or lent, equal cluster to take over; None for a new one.

    What a crashed run left under the name is removed. Raises UsageError when a living run has the name, or
    when what stands there is another recipe's or nobody's that we know.
    """
    with records.exclusive():
        found = records.read(record.name)
        if takes_over(found, record.name in kind.standing(), record):
            assert found is not None
            record = found.model_copy(update={"run": record.run, "lent": False})
            records.write(record)
            return record
        records.write(record)
    if found is not None:
        kind.delete(record.name, records.kubeconfig(record.name))
    return None


def _created(
    wanted: Wanted, image: NodeImage, objects: list[Object], record: Record, watch: Stopwatch
) -> tuple[Record, Api]:
    """Create the cluster and install its CNI, and write down what was seen before and after."""
    name, profile = wanted.name, wanted.profile
    host = facts()
    require_none_stray(host)
    config = records.folder(name) / "kind.yaml"
    config.write_text(render(name, profile, image.reference, Needs.of(host)))
    machines = profile.workers + 1
    since = time.monotonic()
    balanced = profile.load_balancer is LoadBalancer.METALLB
    with Progress(name, total=4 + balanced) as progress:
        with watch.phase("cluster"), progress.step(f"create {machines} nodes"):
            gateways = network.create(name, ipv6=6 in profile.families)
            drain.start(name, image.agent, gateways.values())
            kind.create(name, config, records.kubeconfig(name), log=records.folder(name) / "kind.log")
            api = Api(records.kubeconfig(name))
            drain.answer_names(api, gateways[profile.families[0]])
        before = look(api, since)
        if wanted.build is not None:
            with watch.phase("images of the build"):
                wanted.build.put_on(node.name for node in nodes(api))
        with watch.phase("cni"), progress.step(f"install {wanted.cni.name} {wanted.release}"):
            api.apply(*objects)
        with watch.phase("nodes ready"), progress.step("wait for the nodes"):
            nodes_ready(api, machines)
            daemons_running(api, objects)
        with watch.phase("coredns ready"), progress.step("wait for CoreDNS"):
            coredns_ready(api)
        if balanced:
            with watch.phase("load balancer"), progress.step("install MetalLB"):
                metallb.install(api, IPv4Address(gateways[4]))
    bring_up = BringUp(tuple(watch.phases), before, look(api, since))
    versions = {"kubernetes": api.version(), "kind": kind.version(), wanted.cni.name: wanted.release}
    if balanced:
        versions["metallb"] = metallb.VERSION
    return record.model_copy(update={"bring_up": bring_up, "versions": versions}), api


def _taken_over(wanted: Wanted, image: NodeImage, record: Record) -> Cluster:
    """The kept cluster, once its nodes are ready: it may have been started again with the machine."""
    try:
        api = Api(records.kubeconfig(wanted.name))
        _remove_fake_nodes(api)
        nodes_ready(api, wanted.profile.workers + 1)
    except (ApiRefused, TimedOut) as error:
        raise ClusterFailed(
            f"the kept cluster {wanted.name} is not well: {error}\n"
            f"Remove it with: python -m clusters down {wanted.name}"
        ) from error
    return _cluster(wanted, image, record, api, adopted=record.keep)


def _remove_fake_nodes(api: Api) -> None:
    """Remove the Node objects without a machine of runs that were cut off: they would never be ready."""
    for name, item in api.list(NODE, labels=FAKE_NODE_LABEL).items():
        if is_over(item["metadata"]["labels"][FAKE_NODE_LABEL]):
            api.delete(NODE, name)


def _cluster(wanted: Wanted, image: NodeImage, record: Record, api: Api, *, adopted: bool) -> Cluster:
    assert record.bring_up is not None
    return Cluster(
        name=wanted.name,
        profile=wanted.profile,
        cni=wanted.cni.name,
        cni_version=wanted.cni_version,
        features=features(wanted.cni, wanted.profile),
        datapath=wanted.cni.datapath(wanted.profile),
        versions=record.versions,
        image=image,
        nodes=nodes(api),
        drain=drain.container(wanted.name),
        kubeconfig=api.kubeconfig,
        api=api,
        bring_up=record.bring_up,
        adopted=adopted,
    )


def _collect_logs(name: str) -> Path:
    """Collect what can be had of a cluster that failed, without its secrets, in a folder that outlives it."""
    target = records.failure_folder(name)
    with suppress(shell.CommandFailed):
        kind.export_logs(name, target)
    for file in records.folder(name).glob("kind.*"):
        shutil.copy(file, target)
    redact_files(target)
    return target
