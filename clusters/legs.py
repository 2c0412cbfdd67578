"""What can be run by name: every tox environment, from tox.ini, the suites without cluster, and the profiles.

A profile is a leg by being in the folder: tox.ini need not name it.
"""

from __future__ import annotations

from collections.abc import Sequence
from configparser import ConfigParser
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

from clusters.features import Feature
from clusters.model import UsageError, features, load_cni, load_profile, profile_names

ROOT = Path(__file__).parent.parent
ORDER = "NETPROOF_LEGS"
"""In the environment: the legs that a command runs, one after the other, with commas."""
FEW = "few-faults-"
"""Before a profile's name: its checks under one fault of each kind."""
WIRE = "wire-"
"""Before a profile's name: what depends on how packets travel. Services' translation and DNS are left to other
legs, since kube-proxy and CoreDNS do the same under every CNI."""
SUITES = {
    "": ("suites/kubernetes", "suites/policy"),
    "faults-": ("suites/kubernetes", "suites/policy", "--faults"),
    FEW: ("suites/kubernetes", "--faults=few"),
    WIRE: (
        *(f"suites/kubernetes/{folder}" for folder in ("datapath", "pods", "external", "run")),
        "suites/policy",
    ),
    "policy-matrix-": ("suites/policy_matrix",),
    "faults-policy-matrix-": ("suites/policy_matrix", "--faults"),
    "search-policy-": ("suites/policy_search",),
    "faults-search-policy-": ("suites/policy_search", "--faults", "--minutes=1"),
    "performance-": ("suites/performance",),
    "disruption-": ("suites/disruption",),
    "faults-disruption-": ("suites/disruption", "--faults"),
}
"""What a profile's legs are called (a prefix before the profile's name), and what each has pytest run."""
ASK_FOR = dict.fromkeys(
    ("policy-matrix-", "faults-policy-matrix-", "search-policy-", "faults-search-policy-"), Feature.NETWORK_POLICY
)
"""Legs of profiles with that feature alone: every check of theirs is about it."""
WITHOUT_CLUSTER = {
    "linux": "what the kernel gives: namespaces, veth, bridges, the order of the hooks",
    "docker": "Docker's network modes on one host: host, bridge, container, none",
    "macvlan-vlan": "macvlan networks on 802.1Q sub-interfaces, across two Docker hosts and a switch",
    "overlay": "networks between two Docker hosts: swarm's overlay, and flannel with etcd",
    "lvs": "Linux Virtual Server by hand: NAT, direct routing, tunnelling, schedulers",
    "proxy-bench": "kube-proxy alone, in each of its modes, with up to thousands of Services",
}
"""The suites that need no cluster, each in the folder of its name (with underscores), and what each is about."""
EXISTING = "existing"
"""The leg whose cluster stands already: somebody has to say which."""
WRITES = "docs"
"""The leg that writes pages and checks nothing."""
DOCKERLESS = "dockerless"
"""The label in tox.ini of what runs without Docker."""


@dataclass(frozen=True)
class Leg:
    """One tox environment."""

    name: str
    summary: str
    docker: bool = True
    """Whether it needs a Docker engine."""
    command: tuple[str, ...] = ()
    """What it runs, before pytest arguments; empty where tox.ini says it."""
    profile: str = ""
    """The profile whose cluster it stands up, if any."""


@cache
def profile_legs() -> tuple[Leg, ...]:
    """The legs of every profile. UsageError for a mistake in a profile's file."""
    return tuple(
        Leg(
            f"{prefix}{name}",
            _summary(prefix, name),
            command=("pytest", *suite, f"--profile={name}"),
            profile=name,
        )
        for name in profile_names()
        for prefix, suite in SUITES.items()
        if prefix not in ASK_FOR or ASK_FOR[prefix] in _features(name)
    )


@cache
def suite_legs() -> tuple[Leg, ...]:
    """The legs of the suites without cluster: each suite, and each under its faults."""
    folders = {name: f"suites/{name.replace('-', '_')}" for name in WITHOUT_CLUSTER}
    return (
        *(Leg(name, WITHOUT_CLUSTER[name], command=("pytest", folder)) for name, folder in folders.items()),
        *(
            Leg(f"faults-{name}", f"faults: {name}", command=("pytest", folder, "--faults"))
            for name, folder in folders.items()
        ),
    )


def _features(name: str) -> frozenset[Feature]:
    profile = load_profile(name)
    return features(load_cni(profile.cni), profile)


LEND = ("--keep=for-next-leg",)
"""What pytest is told in a leg whose cluster the next one gets."""


def lending(order: Sequence[str]) -> frozenset[str]:
    """Of legs that run one after the other those whose next one has the same profile: it gets their cluster."""
    profiles = {leg.name: leg.profile for leg in profile_legs()}
    pairs = pairwise(order)
    return frozenset(one for one, then in pairs if profiles.get(one) and profiles[one] == profiles.get(then))


def existing_leg() -> Leg:
    """The checks on a cluster of somebody else's, which needs no Docker here."""
    summary = "a cluster that stands already: -- --kubeconfig=FILE --agent-image=NAME"
    return Leg(EXISTING, summary, docker=False, command=("pytest", *SUITES[""]))


def made_legs() -> tuple[Leg, ...]:
    """The legs that tox.ini need not name."""
    return *suite_legs(), *profile_legs(), existing_leg()


def _summary(prefix: str, name: str) -> str:
    return f"{prefix.rstrip('-').replace('-', ' ')}: {name}" if prefix else load_profile(name).summary


@cache
def _ini() -> ConfigParser:
    ini = ConfigParser(interpolation=None)
    ini.read(ROOT / "tox.ini")
    return ini


def legs() -> tuple[Leg, ...]:
    """Every leg: those of tox.ini, of the suites without cluster, of the profiles."""
    named = [(section.removeprefix("testenv:"), _ini()[section]) for section in _ini().sections()]
    return (
        *(
            Leg(name, ini.get("description", ""), docker=DOCKERLESS not in ini.get("labels", "").split())
            for name, ini in named
            if ini.name != name
        ),
        *made_legs(),
    )


def groups() -> dict[str, tuple[str, ...]]:
    """Names that stand for several legs: the labels in tox.ini's first section, and "nightly".

    Nightly is everything that checks, so that a new profile is in it by being there; parts of other legs are not.
    """
    lines = _ini().get("tox", "labels", fallback="").strip().splitlines()
    found = (line.partition("=") for line in lines)
    labels = {name.strip(): tuple(part.strip() for part in names.split(",")) for name, _, names in found}
    names = (leg.name for leg in legs() if leg.name not in (WRITES, EXISTING))
    return labels | {"nightly": tuple(name for name in names if not name.startswith((FEW, WIRE)))}


def chosen(names: list[str]) -> tuple[Leg, ...]:
    """The legs that these names stand for, each once, in order; UsageError for a name that is not known."""
    known = {leg.name: leg for leg in legs()}
    wanted = [leg for name in names for leg in groups().get(name, (name,))]
    unknown = [name for name in wanted if name not in known]
    if unknown:
        listed = ", ".join([*groups(), *known])
        raise UsageError(f"unknown: {', '.join(unknown)}; known are: {listed}")
    return tuple(known[name] for name in dict.fromkeys(wanted))
