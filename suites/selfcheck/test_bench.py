"""What a bench hands to its programs: configurations, credentials, slices of endpoints, files."""

from __future__ import annotations

import base64
import io
import tarfile
from ipaddress import ip_address
from typing import Any, cast

import yaml

from clusters.api import Api, Object
from clusters.model import KubeProxy
from fixtures.bench.bench import NEEDS
from fixtures.bench.by_hand import ByHand
from fixtures.bench.credentials import Credentials
from fixtures.bench.crowd import Crowd, plain
from fixtures.bench.kube_proxy import Settings
from fixtures.lab.program import packed
from fixtures.probes.kube_proxy_laid import laid


class RecordingApi:
    """Remembers what it was asked."""

    def __init__(self) -> None:
        self.created: list[Object] = []

    def create(self, *items: Object) -> None:
        self.created += items


def test_every_mode_says_what_it_needs() -> None:
    assert set(NEEDS) == set(KubeProxy)


def test_a_mode_is_told_what_is_its_own() -> None:
    read = yaml.safe_load(Settings(KubeProxy.IPVS, {"scheduler": "lc"}).file("node"))
    assert (read["mode"], read["hostnameOverride"]) == ("ipvs", "node")
    assert read["ipvs"] == {"syncPeriod": "1h", "scheduler": "lc"}
    assert "iptables" not in read


def test_credentials_for_two_users() -> None:
    known = Credentials("certificate", "key")
    assert known.tokens.splitlines() == [
        f'{known.ours},netproof,1,"system:masters"',
        f"{known.proxy},system:kube-proxy,2",
    ]
    read = yaml.safe_load(known.kubeconfig("https://192.0.2.1:6443", known.proxy))
    (cluster,), (user,) = read["clusters"], read["users"]
    assert cluster["cluster"]["server"] == "https://192.0.2.1:6443"
    assert base64.b64decode(cluster["cluster"]["certificate-authority-data"]) == b"certificate"
    assert user["user"] == {"token": known.proxy}
    assert known.ours not in repr(known)


def test_a_crowd_grows() -> None:
    api = RecordingApi()
    crowd = Crowd(ByHand(cast(Api, api), "node"), ip_address("192.0.2.7"))
    crowd.grow(3)
    crowd.grow(5)
    services = [item["metadata"]["name"] for item in api.created if item["kind"] == "Service"]
    slices = {item["metadata"]["name"]: item for item in api.created if item["kind"] == "EndpointSlice"}
    assert sorted(services) == sorted(slices) == [f"crowd-{number}" for number in range(5)]
    (endpoint,) = slices["crowd-4"]["endpoints"]
    assert endpoint == {"addresses": ["192.0.2.7"], "conditions": {"ready": True}, "nodeName": "node"}


def test_a_plain_service_has_no_selector() -> None:
    assert "selector" not in plain("a").manifest("default")["spec"]


def test_files_and_links_of_a_program() -> None:
    with tarfile.open(fileobj=io.BytesIO(packed({"/etc/a/b": "text"}, {"/run/c": "/usr/d"}))) as archive:
        file, link = archive.getmembers()
        content = archive.extractfile(file)
        assert content is not None
        assert (file.name, content.read(), file.mode) == ("etc/a/b", b"text", 0o600)
        assert (link.name, link.linkname, link.issym()) == ("run/c", "/usr/d", True)


def test_what_is_laid_of_each_mode() -> None:
    said: dict[str, Any] = {
        "ip6tables-legacy-save -t nat": "",
        "iptables-legacy-save -t nat": "-A KUBE-SERVICES -j KUBE-SVC-ABCDEFGHIJKLMNOP\n",
        "nft list tables": "table ip kube-proxy\ntable ip other\n",
        "ip -br link show type dummy": "kube-ipvs0 DOWN 00:00:00:00:00:00 <BROADCAST,NOARP>\n",
    }
    assert laid(lambda *words: said[" ".join(words)], "iptables-legacy") == {
        KubeProxy.IPTABLES: ["KUBE-SVC"],
        KubeProxy.NFTABLES: ["table ip kube-proxy"],
        KubeProxy.IPVS: ["kube-ipvs0"],
    }
