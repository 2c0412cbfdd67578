"""The Debian that source images stand on, made without any registry."""

from __future__ import annotations

import os

from clusters import shell
from clusters.host import packages
from clusters.images import cache, local
from clusters.images.recipes import digest
from clusters.images.unavailable import ImagesUnavailable
from clusters.model import HostCannot

SUITE = "bookworm"

_BOOTSTRAP = ("--variant=minbase",)
_LEFT_OUT = (
    *("./dev/*", "./proc/*", "./sys/*", "./etc/hostname", "./etc/resolv.conf"),
    *("./usr/share/doc/*", "./usr/share/info/*", "./usr/share/locale/*", "./usr/share/man/*"),
    *("./var/cache/apt/*", "./var/lib/apt/lists/*", "./var/log/*"),
)
"""What comes from the host or from the container engine, and what nobody reads in a container."""

_SETTINGS = {
    "etc/dpkg/dpkg.cfg.d/netproof": """\
force-unsafe-io
path-exclude /usr/share/doc/*
path-exclude /usr/share/info/*
path-exclude /usr/share/locale/*
path-exclude /usr/share/man/*
""",
    "etc/apt/apt.conf.d/netproof": """\
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
""",
}
"""The same for packages that are installed later; and no syncing to disk, no caches, for layers that are kept."""


def reference() -> str:
    """The name that the base image has in the local Docker."""
    return f"netproof/debian:{SUITE}-{digest([*_BOOTSTRAP, *_LEFT_OUT, *_SETTINGS, *_SETTINGS.values()])}"


def bootstrap() -> None:
    """Make the base image with debootstrap, which needs root."""
    if os.geteuid() != 0:
        raise ImagesUnavailable(
            f"the Debian base of source images is made by debootstrap, which needs root. Run as root once (or tag"
            f" a Debian {SUITE} image that you have as {reference()}), or use --images=registry"
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
        for name, text in _SETTINGS.items():
            (root / name).write_text(text)
        left_out = [f"--exclude={pattern}" for pattern in _LEFT_OUT]
        shell.run(
            ["tar", "--create", f"--file={tar}", "--numeric-owner", *left_out, "--directory", root, "."],
            timeout=600,
            log=log,
        )
        local.import_tar(tar, reference(), log="debian")
