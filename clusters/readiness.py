"""Whether nodes and pods are ready, and what they say when they are not. Pure reading of objects."""

from __future__ import annotations

from dataclasses import dataclass

from clusters.api import Object, Seen


@dataclass(frozen=True)
class Condition:
    """One condition of an object: whether it is True, with the reason and message beside it."""

    holds: bool
    reason: str = ""
    message: str = ""


def condition(item: Object, kind: str) -> Condition:
    """The condition of that type; one that the object does not have does not hold."""
    for found in item.get("status", {}).get("conditions") or []:
        if found["type"] == kind:
            return Condition(found["status"] == "True", found.get("reason") or "", found.get("message") or "")
    return Condition(False, "", f"no condition {kind} yet")


def ready(item: Object) -> bool:
    """Whether a node or pod is Ready and not on its way out."""
    return condition(item, "Ready").holds and "deletionTimestamp" not in item["metadata"]


def heartbeat(node: Object) -> str:
    """When the node's kubelet last said how it is: later where the text is greater; "" for never."""
    conditions = node.get("status", {}).get("conditions") or []
    return max((it.get("lastHeartbeatTime") or "" for it in conditions if it["type"] == "Ready"), default="")


def all_ready(seen: Seen, at_least: int = 1) -> bool:
    """Whether all of them are ready, and there are enough of them."""
    return len(seen) >= at_least and all(ready(item) for item in seen.values())


def rolled_out(daemon: Object) -> bool:
    """Whether a DaemonSet's present version runs, ready, on every node that it is meant for."""
    status = daemon.get("status", {})
    wanted: int = status.get("desiredNumberScheduled", 0)
    seen: bool = status.get("observedGeneration") == daemon["metadata"]["generation"]
    return seen and wanted > 0 and status.get("numberReady") == status.get("updatedNumberScheduled") == wanted


def complaints(seen: Seen) -> str:
    """One line for each that is not ready, with what it says about itself; for the error of a wait."""
    lines = [f"{name}: {_complaint(item)}" for name, item in sorted(seen.items()) if not ready(item)]
    return "\n".join(lines) or (f"all {len(seen)} ready" if seen else "there is none")


def _complaint(item: Object) -> str:
    if "deletionTimestamp" in item["metadata"]:
        return "being deleted"
    status = item.get("status", {})
    for container in status.get("containerStatuses") or []:
        for state in ("waiting", "terminated"):
            said = container.get("state", {}).get(state)
            if said:
                return f"container {container['name']} {said.get('reason', state)}: {said.get('message', '')}"
    for kind in ("PodScheduled", "Ready"):
        said = condition(item, kind)
        if not said.holds and (said.reason or said.message):
            return f"{kind} is not True: {said.reason}: {said.message}"
    return str(status.get("phase", "no status yet"))
