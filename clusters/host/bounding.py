"""The engine's own configuration, where the host's bounding set is short: `bounded_runc` as default runtime."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from clusters.host import bounded_runc
from clusters.host.engine import missing_capabilities
from clusters.model import HostCannot

HOME = Path("/usr/local/lib/netproof")
ETC = Path("/etc/docker/daemon.json")
RUNTIME = "bounded-runc"


def configure(status: str) -> Path | None:
    """Write the OCI wrapper and the engine's configuration with it, where the bounding set is short.

    `status` is the text of /proc/PID/status of a process that has what the engine will have. Returns the
    configuration's path, None where the engine needs none of ours.
    """
    last = int(Path("/proc/sys/kernel/cap_last_cap").read_text())
    if not missing_capabilities(status, last):
        return None
    wrapper = HOME / RUNTIME
    interpreter = Path(sys.executable).resolve()
    write(wrapper, f"#!{interpreter} -IS\n{Path(bounded_runc.__file__).read_text()}", mode=0o755)
    config = HOME / "docker.json"
    write(config, merged(ETC.read_text() if ETC.exists() else "{}", wrapper), mode=0o644)
    return config


def merged(existing: str, wrapper: Path) -> str:
    """An engine configuration (JSON) that says what `existing` says, and has the wrapper as default runtime.

    Raises HostCannot where `existing` cannot be read.
    """
    try:
        config = json.loads(existing)
    except ValueError as error:
        raise HostCannot(f"{ETC} is not JSON, so no Docker engine can start with it: {error}") from error
    config["runtimes"] = {**config.get("runtimes", {}), RUNTIME: {"path": str(wrapper)}}
    config["default-runtime"] = RUNTIME
    return json.dumps(config, indent=2) + "\n"


def write(path: Path, text: str, *, mode: int) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(path.name + ".new")
    new.write_text(text)
    new.chmod(mode)
    new.replace(path)
