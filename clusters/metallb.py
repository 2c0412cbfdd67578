"""MetalLB in its layer 2 mode: a load balancer for clusters that no cloud has given one.

Upstream's own metallb-native.yaml, unchanged. Addresses are taken from the end of the cluster's own Docker
network, where Docker gives none and nobody else is.
"""

from __future__ import annotations

from ipaddress import IPv4Address

from clusters import manifests
from clusters.api import POD, Api, ApiRefused, Object
from clusters.model import ManifestImage, Objects
from clusters.readiness import all_ready, complaints
from clusters.settling import daemons_running
from clusters.upstream import Document
from clusters.waiting import TIMEOUTS, poll

VERSION = "v0.15.2"
IMAGES = tuple(
    ManifestImage(f"quay.io/metallb/{program}:{VERSION}", f"metallb/{VERSION}", program)
    for program in ("controller", "speaker")
)
NAMESPACE = "metallb-system"
ADDRESSES = 8
"""How many it may give."""


def install(api: Api, gateway: IPv4Address) -> None:
    """Apply it, wait until it runs, and give it the addresses before `gateway`, the last one of the network."""
    objects = upstream()
    api.apply(*objects)
    daemons_running(api, objects)
    api.wait(
        POD,
        namespace=NAMESPACE,
        labels="component=controller",
        until=all_ready,
        what="MetalLB's controller running",
        within=TIMEOUTS.cluster_up,
        show=complaints,
    )
    # Its objects are checked by a web hook of its own, which says that it is ready before it answers.
    poll(
        lambda: api.apply(*pool(gateway)),
        until=lambda _: True,
        what="MetalLB to take its addresses",
        within=TIMEOUTS.pods_ready,
        retry_on=(ApiRefused,),
    )


def upstream() -> Objects:
    """The objects of metallb-native.yaml."""
    document = Document(
        repository="metallb/metallb",
        version=VERSION,
        path="config/manifests/metallb-native.yaml",
        sha256="a1b04c376fb39c93265f551fe23716a3ae6e09b790edb3bf257d3fc784c35a18",
        recipe=f"metallb/{VERSION}",
    )
    return manifests.upstream(document, {image.reference for image in IMAGES})


def pool(gateway: IPv4Address) -> list[Object]:
    """The addresses that it may give, all of them announced by ARP."""
    kind = {"apiVersion": "metallb.io/v1beta1", "metadata": {"name": "netproof", "namespace": NAMESPACE}}
    return [
        {**kind, "kind": "IPAddressPool", "spec": {"addresses": [f"{gateway - ADDRESSES}-{gateway - 1}"]}},
        {**kind, "kind": "L2Advertisement", "spec": {"ipAddressPools": ["netproof"]}},
    ]
