"""Finding out what a kernel can do, by doing it in a throw-away network namespace.

All is tried in one process. Best in a container of the agent's tools, which is the engine's kernel wherever the
engine is; without that image in a namespace of this host, with the tools that the host has.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from contextlib import closing

from docker import DockerClient
from docker.errors import APIError

from clusters import shell
from clusters.capabilities import PROBES, Capability, Found, Probe
from clusters.host.engine import Reach, client, find
from clusters.labels import LABEL, RunId

IMAGES = ("netproof/agent", "netproof/agent-tools")
"""Images that have every tool; any version will do."""
NEEDS_IMAGE = "not tried: needs the agent image, which the first run makes"


def probe() -> Mapping[Capability, Found]:
    """Every capability of the engine that we work against. Takes about a second, and leaves nothing behind."""
    engine = find()
    if engine.reach is Reach.ANSWERS and (image := _image()) is not None:
        with closing(client()) as docker:
            return in_container(docker, image)
    if engine.chosen:
        return dict.fromkeys(Capability, Found(None, NEEDS_IMAGE))
    return {Capability.PRIVILEGED: Found(None, NEEDS_IMAGE), **_on_host()}


def script(probes: Mapping[Capability, Probe]) -> str:
    """A shell program that tries everything and prints a line for each: name, yes or no or untried, what was said.

    Each probe starts in a network namespace of its own, so that none sees what another made.
    """
    return "\n".join(_attempt(name, probe) for name, probe in probes.items())


def _attempt(name: Capability, probe: Probe) -> str:
    tool = shlex.quote(probe.commands[0][0])
    doing = shlex.quote(" && ".join(shlex.join(command) for command in probe.commands))
    return (
        f"if ! command -v {tool} >/dev/null; then printf '%s\\t%s\\t%s\\n' {name} untried {tool}; "
        f"elif said=$(unshare --net sh -c {doing} 2>&1); then printf '%s\\tyes\\t\\n' {name}; "
        f'else printf \'%s\\tno\\t%s\\n\' {name} "$(printf %s "$said" | tail -n 1)"; fi'
    )


def parse(output: str) -> dict[Capability, Found]:
    """Read what `script` printed; what has no line was not tried."""
    found = dict.fromkeys(PROBES, Found(None, "not tried: the probe ended early"))
    for line in output.splitlines():
        name, _, rest = line.partition("\t")
        answer, _, said = rest.partition("\t")
        match answer:
            case "yes":
                found[Capability(name)] = Found(True)
            case "no":
                found[Capability(name)] = Found(False, said)
            case "untried":
                package = PROBES[Capability(name)].package
                found[Capability(name)] = Found(
                    None, f"not tried: needs {said} (package {package}) or the agent image"
                )
    return found


def _image() -> str | None:
    with closing(client()) as docker:
        images = [image for name in IMAGES for image in docker.images.list(name=name)]
    return images[0].id if images else None


def in_container(docker: DockerClient, image: str) -> Mapping[Capability, Found]:
    """Every capability of that engine, found in a privileged container of `image`, which has the tools."""
    try:
        said = docker.containers.run(
            image,
            entrypoint=["sh", "-c", script(PROBES)],
            command=[],
            privileged=True,
            network_mode="none",
            remove=True,
            labels={LABEL: str(RunId.current())},
        )
    except APIError as error:
        refused = dict.fromkeys(PROBES, Found(None, "not tried: needs a privileged container"))
        return {Capability.PRIVILEGED: Found(False, str(error.explanation)), **refused}
    return {Capability.PRIVILEGED: Found(True), **parse(said.decode(errors="replace"))}


def _on_host() -> dict[Capability, Found]:
    """In namespaces of this host: as root, or in a user namespace where the kernel lets anybody have one."""
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    path = f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/sbin"
    command = ["unshare", *user, "--net", "sh", "-c", script(PROBES)]
    done = shell.run(command, check=False, env={"PATH": path})
    if not done.ok and not done.stdout:
        said = done.stderr.strip().splitlines()[-1:] or [""]
        return dict.fromkeys(PROBES, Found(None, f"{NEEDS_IMAGE} ({said[0]})"))
    found = parse(done.stdout)
    return {name: _not_allowed(seen) if user else seen for name, seen in found.items()}


def _not_allowed(seen: Found) -> Found:
    """In a user namespace a refusal says nothing about the kernel."""
    refused = any(words in seen.detail for words in ("Permission denied", "not permitted"))
    return Found(None, NEEDS_IMAGE) if seen.able is False and refused else seen
