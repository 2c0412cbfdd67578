"""Nothing that a run writes down holds a secret: tokens, private keys, passwords, the data of Secrets."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path

import pytest
import yaml
from hypothesis import assume, given
from hypothesis import strategies as st

from clusters.images.provide import Source
from clusters.redaction import redact_files, redacted, redacted_content, redacted_tree
from fixtures.engines.choice import EngineChoice
from fixtures.evidence.record import CheckRecord, EvidenceFile, Fact
from fixtures.plugins.proof import Proof
from fixtures.report.build import report
from fixtures.report.options import Keep, Options
from fixtures.report.recorder import HISTORY, Run
from fixtures.report.write import read, write
from fixtures.verdicts.observation import Outcome
from fixtures.verdicts.store import rejudged
from fixtures.verdicts.verdict import Verdict
from suites.selfcheck.samples import cell, saw


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def b64url(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value, separators=(",", ":")).encode()).decode().rstrip("=")


HEAD = {"alg": "RS256", "kid": "Zk3n5Zb0q6Jf0v1wqJmC7n1C2n8m6m7Qy4m2m0x8m2w"}
BODY = {
    "aud": ["https://kubernetes.default.svc.cluster.local"],
    "exp": 1795870000,
    "iss": "https://kubernetes.default.svc.cluster.local",
    "kubernetes.io": {"namespace": "kube-flannel", "serviceaccount": {"name": "flannel", "uid": "5f0c-11"}},
    "sub": "system:serviceaccount:kube-flannel:flannel",
}
SIGNATURE = "c2lnbmF0dXJlX29mX2FfdGVzdF90aGF0X2lzX25vdGhpbmdfcmVhbA-_0123456789"
JWT = f"{b64url(HEAD)}.{b64url(BODY)}.{SIGNATURE}"
BOOTSTRAP = "abcdef.0123456789abcdef"
LINES = "\n".join("MIIEpAIBAAKCAQEAnetproofTestOfRedaction0123456789+/abcdefABCDEFghijk"[:64] for _ in range(5))


def pem(kind: str = "RSA ") -> str:
    return f"-----BEGIN {kind}PRIVATE KEY-----\n{LINES}\nbQ==\n-----END {kind}PRIVATE KEY-----\n"


CERTIFICATE = f"-----BEGIN CERTIFICATE-----\n{LINES}\n-----END CERTIFICATE-----\n"
KUBECONFIG = {
    "apiVersion": "v1",
    "clusters": [{"cluster": {"server": "https://127.0.0.1:40001"}, "name": "kind-netproof"}],
    "kind": "Config",
    "users": [{"name": "kind-netproof", "user": {"client-key-data": b64(pem()), "token": JWT}}],
}
AUTHS = {
    "auths": {"mirror.example:5000": {"auth": b64("robot:hunter2-and-more"), "identitytoken": "idt-4711-0815"}}
}
SECRET_OBJECT = {
    "apiVersion": "v1",
    "data": {"password": b64("opensesame"), "tls.key": b64(pem("EC ")), "plain": b64("cleartext")},
    "kind": "Secret",
    "metadata": {"name": "pull", "namespace": "shop"},
    "stringData": {"config": 'braces } and "quotes" \\ beside hunter3'},
}
"""As `kubectl get -o json` has it: keys in the order of the alphabet, so that the data comes before the kind."""

WRITTEN = {
    "service-account-jwt": (f"Authorization: Bearer {JWT}", [SIGNATURE, b64url(BODY)]),
    "jwt-in-klog": (f'I1128 00:13 round_trippers.go:466] "Request" token="{JWT}" verb="GET"', [SIGNATURE]),
    "jwt-in-a-secret's-base64": (f"  token: {b64(JWT)}\n", [b64(JWT)[8:]]),
    "jwt-alone-in-base64": (f"found {b64(JWT)} in it", [b64(JWT)[8:]]),
    "kubeadm-join": (f"kubeadm join 172.18.0.4:6443 --token {BOOTSTRAP} \\\n", [BOOTSTRAP]),
    "kubeadm-config": (f"bootstrapTokens:\n- groups: [x]\n  token: {BOOTSTRAP}\n  ttl: 24h\n", [BOOTSTRAP]),
    "bootstrap-in-a-log": (f"[kubelet] token {BOOTSTRAP}: not found.", [BOOTSTRAP]),
    "bootstrap-at-the-end": (f"no such token {BOOTSTRAP}.", [BOOTSTRAP]),
    "certificate-key": ("kubeadm join --certificate-key " + "0a1b" * 16, ["0a1b0a1b"]),
    "pem": (f"before\n{pem()}after", [LINES[:64]]),
    "pem-ec": (pem("EC "), [LINES[:64]]),
    "pem-pkcs8": (pem(""), [LINES[:64]]),
    "pem-with-prefixes": ("".join(f"Nov 28 node kubelet: {it}\n" for it in pem().splitlines()), [LINES[:64]]),
    "pem-in-json": (json.dumps({"key": pem()}), [LINES[:64]]),
    "pem-in-json-in-json": (json.dumps(json.dumps({"key": pem()})), [LINES[:64]]),
    "pem-cut-off": (f"tail: {pem()[:200]}", [LINES[:64], LINES[65:100]]),
    "pem-cut-off-in-json": (json.dumps({"key": pem()})[:200], [LINES[:64], LINES[65:100]]),
    "pem-of-which-the-end-is-there": (f"{pem()[100:]}more", [LINES[65:100], LINES[:36]]),
    "pem-of-which-the-end-is-there-in-json": (json.dumps(pem())[100:], [LINES[65:100], LINES[:36]]),
    "kubeconfig": (yaml.safe_dump(KUBECONFIG), [b64(pem())[:60], SIGNATURE]),
    "kubeconfig-as-json": (json.dumps(KUBECONFIG, indent=2), [b64(pem())[:60], SIGNATURE]),
    "kubeconfig-as-repr": (repr(KUBECONFIG), [b64(pem())[:60], SIGNATURE]),
    "docker-auths": (json.dumps(AUTHS), [b64("robot:hunter2-and-more"), "idt-4711"]),
    "docker-auths-in-a-secret": (f".dockerconfigjson: {b64(json.dumps(AUTHS))}", [b64(json.dumps(AUTHS))[12:]]),
    "docker-auths-in-base64": (f"x {b64(json.dumps(AUTHS, indent=4))} y", [b64(json.dumps(AUTHS, indent=4))[20:]]),
    "secret-as-yaml": (yaml.safe_dump(SECRET_OBJECT), [b64("opensesame"), b64("cleartext"), "hunter3"]),
    "secret-as-json": (json.dumps(SECRET_OBJECT), [b64("opensesame"), b64("cleartext"), "hunter3"]),
    "secret-as-pretty-json": (json.dumps(SECRET_OBJECT, indent=2), [b64("cleartext"), "hunter3"]),
    "secret-last-applied": (
        yaml.safe_dump({"metadata": {"annotations": {"last-applied": json.dumps(SECRET_OBJECT)}}}, width=10**6),
        [b64("cleartext"), "hunter3"],
    ),
    "secret-in-json-in-json": (json.dumps({"said": json.dumps(SECRET_OBJECT)}), [b64("cleartext"), "hunter3"]),
    "secret-list": (
        yaml.safe_dump({"apiVersion": "v1", "items": [SECRET_OBJECT], "kind": "List"}),
        [b64("cleartext"), "hunter3"],
    ),
    "secret-cut-off": (json.dumps(dict(reversed(SECRET_OBJECT.items())))[:190], ["braces"]),
    "url": ("GET https://robot:hunter2@mirror.example/v2/", ["hunter2"]),
    "basic": (f"authorization: Basic {b64('robot:hunter2')}", [b64("robot:hunter2")]),
    "environment": ("ETCD_PASSWORD=hunter2 REGISTRY_TOKEN=abc-def", ["hunter2", "abc-def"]),
    "option": ("docker login --username robot --password hunter2 mirror.example", ["hunter2"]),
    "quoted-password": (json.dumps({"password": 'with "quotes" and spaces'}), ["quotes", "spaces"]),
    "bird": ('protocol bgp { password "hunter2"; }', ["hunter2"]),
    "wireguard": ("[Interface]\nPrivateKey = yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=\n", ["yAnz5TF"]),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_no_part_of_it_is_left(name: str) -> None:
    text, secrets = WRITTEN[name]
    assert all(secret in text for secret in secrets), "the sample itself has it"
    clean = redacted(f"what is before\n{text}\nwhat is behind")
    assert [secret for secret in secrets if secret in clean] == []
    assert clean.startswith("what is before\n")
    assert "(redacted: " in clean
    assert redacted(clean) == clean


PLAIN = (
    CERTIFICATE,
    "kubeadm join --discovery-token-ca-cert-hash sha256:" + "0a" * 32,
    "automountServiceAccountToken: false",
    "tokens: 3",
    "tokenFile: /var/run/secrets/kubernetes.io/serviceaccount/token",
    "client → service/far: no answer within 1.00 s (no handshake); promised: reached [tcp 10.96.40.17:80].",
    "docker.io/kindest/node:v1.36.4@sha256:099e049362a1526b2db71494e1947aae99bd16290d7c895f2b7ea312e3cbfaed",
    "tcp 6 86399 ESTABLISHED src=10.244.1.2 dst=10.96.0.1 sport=51000 dport=443 [ASSURED] mark=0 use=1",
    "-A KUBE-SVC-ERIFXISQEP7F7OF4 -m statistic --mode random --probability 0.50000000000 -j KUBE-SEP-A",
    "    link/ether 5a:3c:8e:12:9f:01 brd ff:ff:ff:ff:ff:ff promiscuity 0 numtxqueues 1 gso_max_size 65536",
    "kind: ConfigMap\ndata:\n  net-conf.json: |\n    {}\n",
    "apiVersion: v1\nkind: Secret\nmetadata:\n  name: empty\n",
    "kubernetes/services/udp_client_follows/gets_another[ipv4]",
)


@pytest.mark.parametrize("text", PLAIN)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redacted(text) == text


def test_only_the_data_of_a_secret_goes() -> None:
    both = yaml.safe_dump_all(
        [{"kind": "ConfigMap", "data": {"a": "kept"}}, SECRET_OBJECT, {"spec": {"b": "kept2"}}]
    )
    clean = redacted(both)
    assert "a: kept" in clean
    assert "b: kept2" in clean
    found = yaml.safe_load_all(clean)
    assert [(it or {}).get("kind") for it in found] == ["ConfigMap", "Secret", None]


def test_json_is_json_afterwards() -> None:
    clean = json.loads(
        redacted(json.dumps({"items": [SECRET_OBJECT], "said": json.dumps(SECRET_OBJECT), **AUTHS}))
    )
    assert clean["items"][0]["metadata"] == SECRET_OBJECT["metadata"]
    assert json.loads(clean["said"])["metadata"] == SECRET_OBJECT["metadata"]


def test_a_tree_loses_the_same_and_keeps_its_shape() -> None:
    before = {"password": "hunter2", "list": [f"x {BOOTSTRAP}", 7, None, True], "auth": "", "token": "true"}
    clean = redacted_tree(before)
    assert json.dumps(clean).count("(redacted: ") == 2
    assert (clean["list"][1:], clean["auth"], clean["token"]) == ([7, None, True], "", "true")


def test_a_recording_of_packets_stays_as_it_is() -> None:
    recorded = b"\xd4\xc3\xb2\xa1\x02\x00\x04\x00" + bytes(range(256))
    assert redacted_content(recorded) == recorded
    assert redacted_content(f"token {BOOTSTRAP}") == b"token (redacted: bootstrap token)"


def test_the_logs_of_nodes_are_redacted_where_they_lie(tmp_path: Path) -> None:
    (tmp_path / "worker").mkdir()
    journal = tmp_path / "worker" / "journal.log"
    journal.write_bytes(b"\xff\xfe no text\n" + f"kubeadm join --token {BOOTSTRAP}\n{pem()}".encode())
    (tmp_path / "images.log").write_text("nothing in it")
    redact_files(tmp_path)
    assert (
        journal.read_bytes()
        == b"\xff\xfe no text\nkubeadm join --token (redacted: bootstrap token)\n(redacted: private key)\n"
    )
    assert (tmp_path / "images.log").read_text() == "nothing in it"


def test_what_a_run_writes_has_none_of_it(tmp_path: Path) -> None:
    """A check that was shown secrets in every way that it has: into no file does one of them come."""
    options = Options("flannel-vxlan", Source.AUTO, EngineChoice.AUTO, Keep.NEVER, None, None, None, tmp_path)
    run = Run(options)
    record = CheckRecord("pods/reach", "pods.py::test", "Pods reach each other", "By IP", BOOTSTRAP, ("POD-3",))
    run.begin([record])
    proof = Proof(record, run.history, run.folder)
    asked = cell()
    proof.saw([saw(asked, Outcome.REFUSED, detail=f"HTTP/1.1 403 {JWT}")])
    proof.keep(EvidenceFile("node.txt", f"{pem()} of the node", f"the node has {BOOTSTRAP}"))
    proof.evidence("answer.json", json.dumps(SECRET_OBJECT).encode())
    proof.shows(f"Authorization: Bearer {JWT}")
    record.facts.append(Fact("it is a fact", holds=False, seen=yaml.safe_dump(KUBECONFIG)))
    record.trace = f"raised with {json.dumps(AUTHS)}"
    record.conclude(Verdict.FAIL, f"because of {pem('EC ')}")
    run.end()
    failure = f'<failure message="token: {BOOTSTRAP} &quot;password&quot;: &quot;hunter2&quot;">{pem()}</failure>'
    (tmp_path / "junit.xml").write_text(
        f'<?xml version="1.0" encoding="utf-8"?><testsuites><testcase name="a">{failure}</testcase></testsuites>'
    )

    write(report(run, 1), tmp_path)

    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    written = "\n".join(path.read_text() for path in files)
    assert {path.name for path in files} >= {"report.json", "report.html", "junit.xml", HISTORY, "node.txt"}
    secrets = (
        SIGNATURE,
        BOOTSTRAP,
        LINES[:64],
        b64("cleartext"),
        "hunter3",
        "hunter2",
        "idt-4711",
        b64(pem())[:60],
    )
    assert [secret for secret in secrets if secret in written] == []
    assert written.count("(redacted: ") > 10
    assert list(rejudged(tmp_path / HISTORY)) == []
    assert read(tmp_path / "report.json").checks[0].verdict is Verdict.FAIL


WRITERS = {
    "fixtures/plugins/pages.py": "writes pages of docs/ from the code",
    "fixtures/bench/control_plane.py": "gives keys that it has just made to its API server, in a folder that goes",
    "fixtures/engines/guest.py": "keeps in the cache what a guest's kernel can do",
}
"""Files of fixtures/ that write and need not redact."""


def test_whoever_writes_files_leaves_secrets_out() -> None:
    root = Path(__file__).parents[2]
    opens = re.compile(r"\.write_(?:text|bytes)\(|\.open\(\"[wa]")
    writers = {
        file.relative_to(root).as_posix(): file.read_text()
        for file in (root / "fixtures").rglob("*.py")
        if "agent" not in file.parts and opens.search(file.read_text())
    }
    assert WRITERS.keys() <= writers.keys()
    known = {name for name, text in writers.items() if "from clusters.redaction import" in text}
    assert writers.keys() - known == WRITERS.keys()


alphabet = "abcdefghijklmnopqrstuvwxyz0123456789"
around = st.text(st.characters(exclude_characters="\r", exclude_categories=["Cs"]), max_size=40)
letters = st.text(alphabet + alphabet.upper() + "-_", min_size=24, max_size=80)


@st.composite
def secrets(draw: st.DrawFn) -> tuple[str, str]:
    """A text as programs write it, and the secret in it."""
    value = draw(letters)
    bootstrap = (
        f"{draw(st.text(alphabet, min_size=6, max_size=6))}.{draw(st.text(alphabet, min_size=16, max_size=16))}"
    )
    key = b64(value * 4)
    shapes = [
        (f"{b64url({'alg': value[:5]})}.{b64url({'sub': value})}.{value}", value),
        (bootstrap, bootstrap),
        (f"-----BEGIN PRIVATE KEY-----\n{key}\n-----END PRIVATE KEY-----", key),
        (
            f"client-key-data: {b64(f'-----BEGIN EC PRIVATE KEY-----{key}')}",
            b64(f"-----BEGIN EC PRIVATE KEY-----{key}")[20:],
        ),
        (json.dumps({"auths": {"h:5000": {"auth": key}}}), key),
        (json.dumps({"data": {"k": value}, "kind": "Secret"}), value),
        (yaml.safe_dump({"kind": "Secret", "stringData": {"k": value}}), value),
        (f"https://u:{value}@host/", value),
    ]
    return draw(st.sampled_from(shapes))


@given(around, secrets(), around, st.integers(0, 2))
def test_whatever_stands_around_it_a_secret_goes(
    before: str, secret: tuple[str, str], behind: str, deep: int
) -> None:
    text, value = secret
    assume(value not in before + behind)
    for _ in range(0 if "stringData" in text else deep):  # as one program's JSON in another's
        text = json.dumps({"said": text})
    whole = f"{before}\n{text}\n{behind}"
    clean = redacted(whole)
    assert value not in clean
    assert redacted(clean) == clean


@given(
    st.recursive(
        st.text(max_size=30) | st.integers() | st.none(),
        lambda it: st.lists(it) | st.dictionaries(st.text(max_size=8), it),
    )
)
def test_any_text_is_taken_without_an_error_and_once_is_enough(value: object) -> None:
    text = json.dumps(value, indent=1)
    assert redacted(redacted(text)) == redacted(text)
    json.loads(redacted(text))
