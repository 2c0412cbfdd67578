"""Images between the local Docker and a registry, and why one did not come or go, in one sentence.

Logins are Docker's own (`docker login`, DOCKER_CONFIG); so is which registry may be spoken to without TLS: those
on 127.0.0.0/8, and no others without a setting of the daemon, which is the user's to make.
"""

from __future__ import annotations

import json
import re
from contextlib import closing

from docker.errors import DockerException
from requests.exceptions import RequestException

from clusters import shell
from clusters.host import engine
from clusters.images.unavailable import ImagesUnavailable

ANSWER = 10.0
"""Seconds that a registry may take to answer what it has."""
WHOLE = 1800.0
"""Seconds that one image may take to come or to go."""

_ABSENT = r"manifest unknown|not found|name unknown|repository does not exist|404"
_REASONS = (
    (r"unauthorized|no basic auth|authentication required|denied", "it wants a login: docker login {host}"),
    (r"verification failed|digests? (?:did not|does not|don't) match", "what it has there is something else"),
    (r"no space left|insufficient storage|507|quota", "it is full"),
    (r"HTTP status: 5\d\d", "it fails by itself, as one does that is full: its own log says why"),
    (r"HTTP response to HTTPS", "it speaks no TLS, which Docker takes on 127.0.0.0/8 alone"),
    (r"x509|certificate", "Docker does not trust its certificate (/etc/docker/certs.d/{host}/ca.crt)"),
    (r"timed? ?out|deadline exceeded|not finished after", "it is too slow, or does not answer at all"),
    (r"connection refused|no route to host|no such host|unreachable", "nobody answers there"),
    (r"invalid character|unmarshal|unexpected|malformed|unsupported", "what answers there is no registry"),
)
"""What engines say, and what it means."""


class Absent(ImagesUnavailable):
    """The registry answers, and does not have the image."""


def look(name: str, within: float = ANSWER) -> str:
    """The digest under which a registry has an image, as the engine sees it.

    Absent where it has none; ImagesUnavailable unless it answers within that many seconds.
    """
    try:
        with closing(engine.client(within)) as client:
            return str(client.images.get_registry_data(name).id)
    except (DockerException, RequestException, OSError) as error:
        said = str(getattr(error, "explanation", None) or error)
        if re.search(_ABSENT, said, re.IGNORECASE):
            raise Absent(f"{_host(name)} does not have {name.partition('/')[2]}") from error
        raise ImagesUnavailable(f"the registry of {name} does not answer: {explained(said, name)}") from error


def pull(name: str, tag: str, pinned: str = "") -> str:
    """Bring an image and call it `tag` here; its digest, which is `pinned` where that is given.

    Raises ImagesUnavailable.
    """
    # With a digest the tag decides nothing, and older engines refuse to be given both.
    wanted = f"{_without_tag(name)}@{pinned}" if pinned else name
    known = shell.run(["docker", "image", "inspect", wanted], check=False).ok
    try:
        shell.run(["docker", "pull", "--quiet", wanted], timeout=WHOLE)
    except shell.CommandFailed as error:
        raise ImagesUnavailable(f"{wanted} could not be pulled: {explained(str(error), name)}") from error
    digest = pinned or _digest_here(wanted)
    shell.run(["docker", "tag", wanted, tag])
    if not known:
        shell.run(["docker", "rmi", "--no-prune", wanted], check=False)
    return digest


def push(tag: str, name: str) -> str:
    """Bring the local image `tag` to a registry as `name`; its digest there. Raises ImagesUnavailable."""
    shell.run(["docker", "tag", tag, name])
    try:
        said = shell.run(["docker", "push", name], timeout=WHOLE).stdout
    except shell.CommandFailed as error:
        raise ImagesUnavailable(f"{_host(name)} did not take {tag}: {explained(str(error), name)}") from error
    finally:
        shell.run(["docker", "rmi", "--no-prune", name], check=False)
    found = re.search(r"digest: (sha256:[0-9a-f]{64})", said)
    if found is None:
        raise ImagesUnavailable(f"{_host(name)} did not say under which digest it took {tag}: {said[-300:]}")
    return found[1]


def explained(said: str, name: str) -> str:
    """What an engine's last words mean, with these words."""
    words = said.strip().splitlines()[-1] if said.strip() else "nothing was said"
    for pattern, meaning in _REASONS:
        if re.search(pattern, said, re.IGNORECASE):
            return f"{meaning.format(host=_host(name))} ({words})"
    return words


def _host(name: str) -> str:
    return name.partition("/")[0]


def _without_tag(name: str) -> str:
    """A name without its tag; a port is none."""
    folder, slash, last = name.rpartition("/")
    return f"{folder}{slash}{last.partition(':')[0]}"


def _digest_here(name: str) -> str:
    """The digest under which the local Docker got an image from its registry."""
    text = shell.run(["docker", "image", "inspect", "--format={{json .RepoDigests}}", name]).stdout
    found: list[str] = json.loads(text)
    ours = [one for one in found if one.partition("@")[0] == _without_tag(name)]
    return (ours or found)[0].partition("@")[2]
