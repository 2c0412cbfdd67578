"""The Debian that source images stand on, made without any registry."""

from __future__ import annotations

import os

from clusters import shell
from clusters.host import packages
from clusters.model import HostCannot
from clusters.images import cache, local
from clusters.images.recipes import digest
from clusters.images.unavailable import ImagesUnavailable

SUITE = "bookworm"

_BOOTSTRAP = ("--variant=minbase",)
_LEFT_OUT = ("./dev/*", "./proc/*", "./sys/*", "./etc/hostname", "./etc/resolv.conf", "./var/cache/apt/*.bin")
"""Of the host that bootstrapped, or made by the container engine."""


def reference() -> str:
    """The name that the base image has in the local Docker."""
    return f"netproof/debian:{SUITE}-{digest([*_BOOTSTRAP, *_LEFT_OUT])}"


def bootstrap() -> None:
    """Make the base image with debootstrap, which needs root."""
    if os.geteuid() != 0:
        raise ImagesUnavailable(
            f"the Debian base of source images is made by debootstrap, which needs root. Run as root once (or tag a"
            f" Debian {SUITE} image that you have as {reference()}), or use --images=registry"
        )
    try:
        packages.ensure({"debootstrap": "debootstrap"}, why="to make the Debian base of source images")
        if packages.which("debootstrap") is None:
            raise ImagesUnavailable("debootstrap is not on this machine; install it, or use --images=registry")
        _bootstrap()
    except HostCannot as error:
        raise ImagesUnavailable(f"{error}. Or use --images=registry") from error
    except shell.CommandFailed as error:
        raise ImagesUnavailable(
            f"the Debian base could not be made: {error}\nIs a Debian mirror within reach?"
        ) from error


def _bootstrap() -> None:
    log = cache.log("debian")
    with cache.scratch("debian") as place:
        root, tar = place / "root", place / "root.tar"
        command: list[shell.Argument] = [packages.which("debootstrap") or "debootstrap", *_BOOTSTRAP, SUITE, root]
        shell.run(command, timeout=1800, log=log)
        shell.run(["chroot", root, "apt-get", "clean"], timeout=60, log=log)
        left_out = [f"--exclude={pattern}" for pattern in _LEFT_OUT]
        shell.run(
            ["tar", "--create", f"--file={tar}", "--numeric-owner", *left_out, "--directory", root, "."],
            timeout=600,
            log=log,
        )
        local.import_tar(tar, reference(), log="debian")
