"""The door to an API server: objects in, objects out, and waits that watch instead of asking again and again.

Objects are plain dictionaries, as they stand in a manifest. Nothing else in netproof builds requests.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clusters.waiting import TimedOut, poll

if TYPE_CHECKING:
    from kubernetes.client import CoreV1Api

Object = dict[str, Any]
"""One Kubernetes object, shaped as in its manifest."""

FIELD_MANAGER = "netproof"

AT_ONCE = 32
"""So many threads may ask one server side by side, each on a connection that is kept."""


class ApiRefused(Exception):
    """The API server refused a request, or did not answer; the message names the object and the reason."""


class NotAllowed(ApiRefused):
    """The user of the kubeconfig lacks the right to that."""


class NotThere(ApiRefused):
    """There is no object of that name."""


@dataclass(frozen=True)
class Kind:
    """A kind of object by API version ("v1", "apps/v1") and name ("Pod")."""

    api_version: str
    name: str

    @classmethod
    def of(cls, item: Object) -> Kind:
        """The kind that an object says it is."""
        return cls(item["apiVersion"], item["kind"])

    def __str__(self) -> str:
        return self.name.lower()


NODE = Kind("v1", "Node")
NAMESPACE = Kind("v1", "Namespace")
POD = Kind("v1", "Pod")
SERVICE = Kind("v1", "Service")
EVENT = Kind("v1", "Event")
CONFIG_MAP = Kind("v1", "ConfigMap")
ENDPOINT_SLICE = Kind("discovery.k8s.io/v1", "EndpointSlice")
DEPLOYMENT = Kind("apps/v1", "Deployment")
DAEMON_SET = Kind("apps/v1", "DaemonSet")

Seen = Mapping[str, Object]
"""Objects of one kind in one namespace, by name."""


class Api:
    """One cluster's API server, reached by a kubeconfig file."""

    def __init__(self, kubeconfig: Path, context: str | None = None, folder: Path | None = None) -> None:
        """Read the file and say hello; ApiRefused where it cannot be read or nobody answers.

        `context` is one of the file's, its current one unless given. `folder` is for what the client keeps while
        it lives (certificates, the list of kinds): the file's own unless given.
        """
        from clusters.api_client import connected

        self.kubeconfig, self.context = kubeconfig, context
        with _explained(f"reach the cluster of {kubeconfig}"):
            # The plain client is for what needs a connection of its own (exec streams).
            self.client, self._dynamic = connected(kubeconfig, context, folder or kubeconfig.parent)

    @property
    def _core(self) -> CoreV1Api:
        from clusters.api_client import CoreV1Api

        return CoreV1Api(self.client)

    def close(self) -> None:
        """Give up the pooled connections."""
        self.client.rest_client.pool_manager.clear()

    def version(self) -> str:
        """The API server's own version, as "v1.36.3"."""
        found: str = self._dynamic.version["kubernetes"]["gitVersion"]
        return found

    def apply(self, *items: Object) -> None:
        """Make the objects be as given (server-side apply), in order; ApiRefused names the first that fails."""
        for item in items:
            resource, where = self._address(Kind.of(item), _namespace(item))
            with _explained(f"apply {_label(item)}"):
                self._dynamic.server_side_apply(
                    resource, body=item, field_manager=FIELD_MANAGER, force_conflicts=True, **where
                )

    def create(self, *items: Object) -> None:
        """Create the objects, one after the other; ApiRefused where one is there already."""
        for item in items:
            resource, where = self._address(Kind.of(item), _namespace(item))
            with _explained(f"create {_label(item)}"):
                self._dynamic.create(resource, body=item, **where)

    def replace(self, item: Object) -> None:
        """Put an object in the place of the one of its name, whatever that was like."""
        resource, where = self._address(Kind.of(item), _namespace(item))
        with _explained(f"replace {_label(item)}"):
            self._dynamic.replace(resource, body=item, **where)

    def patch(self, kind: Kind, name: str, change: Object, namespace: str = "") -> None:
        """Merge `change` into an object (JSON merge patch: None removes a key)."""
        resource, where = self._address(kind, namespace)
        with _explained(f"patch {kind} {name}"):
            self._dynamic.patch(
                resource, body=change, name=name, content_type="application/merge-patch+json", **where
            )

    def patch_status(self, kind: Kind, name: str, status: Object, namespace: str = "") -> None:
        """Merge `status` into an object's status, as the controller would that it belongs to."""
        resource, where = self._address(kind, namespace)
        with _explained(f"patch the status of {kind} {name}"):
            self._dynamic.patch(
                resource.status,
                body={"status": status},
                name=name,
                content_type="application/merge-patch+json",
                **where,
            )

    def get(self, kind: Kind, name: str, namespace: str = "") -> Object | None:
        """One object, None where there is none of that name."""
        resource, where = self._address(kind, namespace)
        with suppress(NotThere), _explained(f"get {kind} {name}"):
            return _plain(self._dynamic.get(resource, name=name, **where))
        return None

    def list(self, kind: Kind, namespace: str = "", labels: str = "", fields: str = "") -> dict[str, Object]:
        """All objects of a kind that the selectors choose, by name; of a namespace where the kind has any."""
        return self._snapshot(kind, namespace, labels, fields)[0]

    def everywhere(self, kind: Kind) -> tuple[Object, ...]:
        """The objects of a kind in every namespace, where two may have one name."""
        return self._found(kind, "", "")[0]

    def proxied(self, kind: Kind, name: str, namespace: str, *, within: float = 2.0) -> Mapping[str, str]:
        """GET / from a Pod or Service, named "web:8080" with its port, through the server; the answer's headers.

        ApiRefused where the server gets no answer, or one that is an error, in so many seconds.
        """
        core = self._core
        asks = {
            POD: core.connect_get_namespaced_pod_proxy,
            SERVICE: core.connect_get_namespaced_service_proxy,
        }
        with _explained(f"proxy to {kind} {namespace}/{name}"):
            answer: Any = asks[kind](name, namespace, _preload_content=False, _request_timeout=within)
            return dict(answer.headers)

    def log(
        self,
        pod: str,
        container: str,
        namespace: str,
        *,
        since: int | None = None,
        lines: int | None = None,
        within: float | None = None,
    ) -> str:
        """What a container has printed: in the last `since` seconds, the last so many lines, or all.

        ApiRefused where its node does not tell, or not in so many seconds.
        """
        with _explained(f"log of {namespace}/{pod}"):
            text: str = self._core.read_namespaced_pod_log(
                pod,
                namespace,
                container=container,
                since_seconds=since,
                tail_lines=lines,
                _request_timeout=within,
            )
            return text

    def delete(self, kind: Kind, *names: str, namespace: str = "", grace: int | None = None) -> None:
        """Ask for the objects to go; one that is gone already is fine. `grace` is in seconds."""
        resource, where = self._address(kind, namespace)
        for name in names:
            with suppress(NotThere), _explained(f"delete {kind} {name}"):
                self._dynamic.delete(
                    resource,
                    name=name,
                    grace_period_seconds=grace,
                    propagation_policy="Background",
                    **where,
                )

    def wait(
        self,
        kind: Kind,
        *,
        until: Callable[[Seen], bool],
        what: str,
        within: float,
        namespace: str = "",
        labels: str = "",
        show: Callable[[Seen], object] = sorted,
    ) -> dict[str, Object]:
        """Watch all objects that the selector chooses until `until` holds for them together; return them.

        One list and one watch, however many objects there are. A broken watch is taken up again until
        `within` seconds have passed; then TimedOut carries `show` of the last state seen.
        """
        from clusters.api_client import BROKEN_WATCH

        deadline = time.monotonic() + within
        while True:
            left = deadline - time.monotonic()
            seen, version = poll(
                lambda: self._snapshot(kind, namespace, labels),
                until=lambda _: True,
                what=what,
                within=max(left, 1.0),
                retry_on=(ApiRefused,),
            )
            if until(seen):
                return seen
            if left <= 0:
                raise TimedOut(what, within, show(seen))
            with suppress(*BROKEN_WATCH):
                for _ in self._follow(kind, namespace, labels, version, left, seen):
                    if until(seen):
                        return seen

    def _follow(
        self, kind: Kind, namespace: str, labels: str, version: str, left: float, seen: dict[str, Object]
    ) -> Iterator[None]:
        """Keep `seen` up to date from `version` on, yielding after each change, for at most `left` seconds."""
        from clusters.api_client import Watch

        resource, where = self._address(kind, namespace)
        events = self._dynamic.watch(
            resource,
            label_selector=labels or None,
            resource_version=version,
            timeout=max(1, round(left)),
            watcher=Watch(),
            **where,
        )
        with closing(events):
            for event in events:
                item: Object = event["raw_object"]
                name = item["metadata"]["name"]
                if event["type"] == "DELETED":
                    seen.pop(name, None)
                else:
                    seen[name] = item
                yield

    def _snapshot(
        self, kind: Kind, namespace: str, labels: str, fields: str = ""
    ) -> tuple[dict[str, Object], str]:
        """The objects by name, and the version of that state of the cluster."""
        found, version = self._found(kind, namespace, labels, fields)
        return {item["metadata"]["name"]: item for item in found}, version

    def _found(self, kind: Kind, namespace: str, labels: str, fields: str = "") -> tuple[tuple[Object, ...], str]:
        """The objects, and the version of that state of the cluster."""
        resource, where = self._address(kind, namespace)
        with _explained(f"list {kind}s"):
            found = _plain(
                self._dynamic.get(resource, label_selector=labels or None, field_selector=fields or None, **where)
            )
        marks = {"apiVersion": kind.api_version, "kind": kind.name}
        return tuple({**marks, **item} for item in found["items"]), found["metadata"]["resourceVersion"]

    def _address(self, kind: Kind, namespace: str) -> tuple[Any, dict[str, str]]:
        """The resource behind a kind, and the namespace to say where it has any."""
        with _explained(f"find {kind.api_version} {kind.name}"):
            resource = self._dynamic.resources.get(api_version=kind.api_version, kind=kind.name)
        return resource, {"namespace": namespace} if namespace and resource.namespaced else {}


@contextmanager
def _explained(doing: str) -> Iterator[None]:
    from clusters.api_client import explained

    with explained(doing):
        yield


def _plain(answer: Any) -> Object:
    found: Object = answer.to_dict()
    return found


def _namespace(item: Object) -> str:
    name: str = item["metadata"].get("namespace", "")
    return name


def _label(item: Object) -> str:
    return f"{item['kind']} {item['metadata']['name']}"
