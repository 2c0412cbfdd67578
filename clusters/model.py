"""Profiles and CNIs as data: what is asked for, and what a CNI must be able to do for it."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from importlib import import_module
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from pkgutil import iter_modules
from types import MappingProxyType
from typing import Annotated, Any, Protocol

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from clusters import cni
from clusters.capabilities import Capability
from clusters.datapath import Datapath
from clusters.features import Feature

PROFILES = Path(__file__).parent / "profiles"


class UsageError(Exception):
    """What was asked for does not exist or does not fit; the message says what does. Exit status 2."""


class HostCannot(Exception):
    """This host lacks what was asked of it; the message says what, and how to get it. Exit status 3."""


class KubeProxy(StrEnum):
    """kube-proxy's mode."""

    IPTABLES = "iptables"
    NFTABLES = "nftables"
    IPVS = "ipvs"


class LoadBalancer(StrEnum):
    """Who gives Services of type LoadBalancer an address."""

    NOBODY = "nobody"
    METALLB = "metallb"


def _subnets(text: object) -> object:
    return text.split(",") if isinstance(text, str) else text


Subnets = Annotated[tuple[IPv4Network | IPv6Network, ...], BeforeValidator(_subnets)]
"""One subnet for each address family, written with a comma between."""


class Profile(BaseModel):
    """One way to set up a cluster: CNI and its mode, kube-proxy's mode, families. One file in `profiles/`."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=lambda name: name.replace("_", "-"),
        populate_by_name=True,
    )

    name: str
    summary: str
    cni: str
    kube_proxy: KubeProxy = KubeProxy.IPTABLES
    load_balancer: LoadBalancer = LoadBalancer.NOBODY
    workers: int = 2
    pod_subnet: Subnets
    service_subnet: Subnets
    features: frozenset[Feature] = frozenset()
    options: dict[str, str] = {}

    @property
    def families(self) -> tuple[int, ...]:
        """The address families of pods and Services, 4 and 6: what asks for none gets the first of them."""
        return tuple(dict.fromkeys(subnet.version for subnet in self.pod_subnet))


@dataclass(frozen=True)
class ManifestImage:
    """An image that a CNI's manifest names, and where each source has it.

    `reference` is the name that the manifest uses; both sources put it on the nodes under this very name.
    `recipe` names the source recipe in `images/recipes/`, as `component/version` ("flannel/v0.28.4"), or as
    `component` for its newest version; `program` is one of the image's, where a recipe makes several images.
    """

    reference: str
    recipe: str
    program: str = ""


Objects = list[dict[str, Any]]
"""Kubernetes objects, shaped as in a manifest."""
Change = Callable[[Objects], Objects]
"""One declared change of a manifest: gives changed copies and leaves what it is given as it was."""


class Cni(Protocol):
    """What a file in `clusters/cni/` offers, as its module-level object `CNI`; much of it has a default."""

    @property
    def name(self) -> str: ...

    @property
    def versions(self) -> tuple[str, ...]:
        """The releases that can be asked for, the default first."""

    @property
    def claims(self) -> tuple[str, ...]:
        """The groups of claims that are about this CNI ("FLN"); what other CNIs promise is not asked of it."""
        return ()

    @property
    def options(self) -> Mapping[str, tuple[str, ...]]:
        """The options that a profile may set, each with its allowed values, the default first."""
        return MappingProxyType({})

    def features(self, profile: Profile) -> frozenset[Feature]:
        """What this CNI supports when set up as the profile says."""

    def needs(self, profile: Profile) -> frozenset[Capability]:  # noqa: ARG002  for those that need some
        """What the nodes' kernel must be able to do for this CNI, set up as the profile says."""
        return frozenset()

    def datapath(self, profile: Profile) -> Datapath:
        """How pods hang on their nodes when set up as the profile says, and how packets travel between nodes."""

    def images(self, version: str) -> tuple[ManifestImage, ...]:  # noqa: ARG002  for those that have some
        """The images of that release, for the node image to carry, besides netproof's own."""
        return ()

    def upstream(self, profile: Profile, version: str) -> Objects:
        """The objects of the manifest that the release ships for such a profile, as they are."""

    def changes(self, profile: Profile) -> tuple[Change, ...]:  # noqa: ARG002  for those that need some
        """Everything that is done to these objects for the profile, in order."""
        return ()


def chosen_version(cni: Cni, asked: str | None) -> str:
    """The release that was asked for, or the default; UsageError for one that is not known."""
    if asked is None:
        return cni.versions[0]
    if asked not in cni.versions:
        raise UsageError(f"unknown {cni.name} version {asked!r}; known are: {', '.join(cni.versions)}")
    return asked


def chosen_options(cni: Cni, profile: Profile) -> dict[str, str]:
    """Every option of the CNI with the profile's value or the default; UsageError for what is not known."""
    for option, value in profile.options.items():
        if option not in cni.options:
            known = ", ".join(sorted(cni.options)) or "none"
            raise UsageError(f"profile {profile.name}: {cni.name} has no option {option!r}; known are: {known}")
        if value not in cni.options[option]:
            known = ", ".join(cni.options[option])
            raise UsageError(f"profile {profile.name}: {option} cannot be {value!r}; known are: {known}")
    return {option: profile.options.get(option, values[0]) for option, values in cni.options.items()}


def features(cni: Cni, profile: Profile) -> frozenset[Feature]:
    """What a cluster of this profile supports: what its CNI does, its kube-proxy, and what the profile adds."""
    found = profile.features | {Feature(f"kube-proxy-{profile.kube_proxy}")} | cni.features(profile)
    found |= {Feature.KNOWN_PROFILE} | of_families(profile.families)
    if len(cni.versions) > 1:
        found |= {Feature.SEVERAL_RELEASES}
    if profile.load_balancer is not LoadBalancer.NOBODY:
        found |= {Feature.LOAD_BALANCER}
    return found


def of_families(families: Collection[int]) -> frozenset[Feature]:
    """What clusters of these address families support for that alone."""
    found = {Feature.IPV4} if 4 in families else set()
    return frozenset(found | ({Feature.DUAL_STACK} if {4, 6} <= set(families) else set()))


def profile_names() -> list[str]:
    """The known profiles: every file of `profiles/`."""
    return sorted(path.stem for path in PROFILES.glob("*.toml"))


def load_profile(name: str) -> Profile:
    """Read one profile; UsageError for an unknown one or a mistake in its file.

    A file that says `like = "another"` has what is in that other one's file, but for what it says itself.
    """
    content = _content(name)
    if "like" in content:
        other = _content(content.pop("like"))
        if "like" in other:
            raise UsageError(
                f"{name}.toml: a profile is like one that is written out, and {other['like']!r} is not"
            )
        content = {**other, **content, "options": other.get("options", {}) | content.get("options", {})}
    try:
        return Profile(name=name, **content)
    except ValidationError as error:
        raise UsageError(f"{name}.toml: {error}") from error


def _content(name: str) -> dict[str, Any]:
    """What is in the profile's file."""
    if name not in profile_names():
        raise UsageError(f"unknown profile {name!r}; known are: {', '.join(profile_names())}")
    try:
        return tomllib.loads((PROFILES / f"{name}.toml").read_text())
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{name}.toml: {error}") from error


def cni_names() -> list[str]:
    """The known CNIs: every file of `cni/`."""
    return sorted(module.name for module in iter_modules(cni.__path__))


_PROXY_NEEDS = {
    KubeProxy.IPTABLES: frozenset({Capability.CONNTRACK}),
    KubeProxy.NFTABLES: frozenset({Capability.NFTABLES}),
    KubeProxy.IPVS: frozenset({Capability.IPVS, Capability.DUMMY, Capability.IPSET}),
}


def needs(cni: Cni, profile: Profile) -> frozenset[Capability]:
    """What the nodes' kernel must be able to do for a cluster of this profile."""
    return cni.needs(profile) | _PROXY_NEEDS[profile.kube_proxy]


def claims_of_others(cni: Cni | None) -> frozenset[str]:
    """The groups of claims that are about other CNIs alone; all of them for one that nobody knows."""
    every = frozenset(group for name in cni_names() for group in load_cni(name).claims)
    return every - set(cni.claims if cni else ())


def load_cni(name: str) -> Cni:
    """The CNI of that name; UsageError for an unknown one."""
    if name not in cni_names():
        raise UsageError(f"unknown CNI {name!r}; known are: {', '.join(cni_names())}")
    found: Cni = import_module(f"clusters.cni.{name}").CNI
    return found
