"""A cluster of somebody else's: what is found out of it, what it has not, and what is said then."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, cast

import pytest
import yaml
from kubernetes.dynamic.exceptions import ForbiddenError

from clusters.api import Api, ApiRefused, NotAllowed
from clusters.api_client import explained
from clusters.features import Feature
from clusters.foreign import _around, found
from clusters.labels import RunId
from clusters.legs import chosen, groups
from clusters.model import UsageError, features, load_cni, load_profile, profile_names
from clusters.nodes import Node, Role
from fixtures.endpoints.conversation import Conversations
from fixtures.plugins.environment import does_not_apply
from fixtures.verdicts.verdict import NotSupportedHere
from fixtures.world.node_access import _ended_by
from fixtures.world.pods import Pod, PodFailed, await_running, manifest, pull_policy
from fixtures.world.world import NODES, OUTSIDE, World, places

RUN = RunId(1, 2, "here")


def node(name: str, role: Role = Role.WORKER) -> Node:
    return Node(name, role, (ip_address("192.0.2.1"),), ())


@pytest.mark.parametrize(
    ("known", "around"),
    [
        (["10.244.1.0/24", "10.244.2.0/24", "10.244.0.0/24"], "10.244.0.0/22"),
        (["10.42.0.7/32"], "10.42.0.7/32"),
        (["10.0.0.0/24", "10.128.0.0/24"], "10.0.0.0/8"),
        (["fd00:10:244::/64", "fd00:10:244:2::/64"], "fd00:10:244::/62"),
    ],
)
def test_the_range_of_pods_is_the_smallest_that_has_them_all(known: list[str], around: str) -> None:
    assert str(_around([ip_network(one) for one in known])) == around


def test_pods_stand_on_two_workers_and_the_control_plane() -> None:
    assert places([node("control", Role.CONTROL_PLANE), node("a"), node("b")]) == ("a", "b", "control")


def test_where_the_control_plane_is_hidden_a_third_worker_does() -> None:
    assert places([node("a"), node("b"), node("c"), node("d")]) == ("a", "d", "b")


def test_two_nodes_are_too_few() -> None:
    with pytest.raises(LookupError, match="three nodes are needed to tell placements apart, and there are 2"):
        places([node("a"), node("b")])


def test_what_a_world_has_not_is_not_supported_here() -> None:
    world = World(cast(Api, None), RUN, "image", Conversations())
    world.lacks |= {NODES: "no way in", OUTSIDE: "nothing beside"}
    asks: list[tuple[Callable[[], object], str]] = [
        (lambda: world.nodes, "no way in"),
        (lambda: world["outside"], "nothing beside"),
        (lambda: world.drain, "nothing beside"),
        (lambda: world.on_node("a", "ls"), "no way in"),
    ]
    for ask, why in asks:
        with pytest.raises(NotSupportedHere, match=why):
            ask()
    assert world.open_nodes == ()
    with pytest.raises(KeyError, match="nobody here is called 'somebody'"):
        world["somebody"]


def test_an_image_of_ours_is_never_fetched() -> None:
    assert pull_policy("netproof/agent:2f42") == "Never"
    assert pull_policy("registry.example/agent:2f42") == "IfNotPresent"


def test_a_privileged_pod_reads_its_nodes_files_and_writes_none() -> None:
    spec = manifest(Pod("a", node="a", host_network=True, privileged=True), "ns", RUN, "image")["spec"]
    (container,) = spec["containers"]
    assert spec["volumes"] == [{"name": "node", "hostPath": {"path": "/"}}]
    assert container["volumeMounts"] == [{"name": "node", "mountPath": "/node", "readOnly": True}]
    assert container["securityContext"] == {"privileged": True}
    assert "volumes" not in manifest(Pod("a"), "ns", RUN, "image")["spec"]


def pod(status: int, place: str) -> dict[str, Any]:
    ended = {"terminated": {"exitCode": status}}
    return {"status": {"containerStatuses": [{"state": {}, "lastState": {}, place: ended}]}}


@pytest.mark.parametrize("place", ["state", "lastState"])
def test_an_agent_whose_port_was_taken_is_told_from_others(place: str) -> None:
    assert _ended_by(pod(98, place), 98)
    assert not _ended_by(pod(1, place), 98)
    assert not _ended_by({}, 98)


class Watched:
    """An API whose watch shows these pods at once."""

    def __init__(self, **pods: dict[str, Any]) -> None:
        self._pods = pods

    def wait(self, _: object, *, until: Any, **__: object) -> object:
        return until(self._pods)


def test_a_pod_that_its_node_would_not_have_is_said_at_once() -> None:
    refused = {"status": {"phase": "Failed", "reason": "NodePorts", "message": "the ports are taken"}}
    with pytest.raises(PodFailed, match="pod a: Failed; NodePorts; the ports are taken"):
        await_running(cast(Api, Watched(a=refused)), "ns", [Pod("a")])


@pytest.mark.parametrize("reason", ["ErrImageNeverPull", "ImagePullBackOff"])
def test_a_pod_whose_image_nobody_has_is_said_at_once(reason: str) -> None:
    waiting = {"name": "agent", "state": {"waiting": {"reason": reason, "message": "no image"}}}
    lacking = {"status": {"phase": "Pending", "containerStatuses": [waiting]}}
    with pytest.raises(PodFailed, match=f"pod a: Pending; agent: {reason} no image"):
        await_running(cast(Api, Watched(a=lacking)), "ns", [Pod("a")])


class Answer:
    """What the client makes its error of."""

    reason = "Forbidden"
    headers: dict[str, str] = {}  # noqa: RUF012 - as the client has it

    def __init__(self, message: str) -> None:
        self.status, self.body = 403, message


def forbidden(message: str) -> ForbiddenError:
    return ForbiddenError(Answer(message))


def test_a_right_that_the_user_lacks_is_told_from_other_refusals() -> None:
    with pytest.raises(NotAllowed, match="list nodes"), explained("list nodes"):
        raise forbidden('User "x" cannot list resource "nodes"')
    with pytest.raises(ApiRefused) as caught, explained("create Pod a"):
        raise forbidden("unable to create new content in namespace ns because it is being terminated")
    assert not isinstance(caught.value, NotAllowed)


def test_it_is_a_leg_that_needs_no_docker_and_that_nobody_runs_unasked() -> None:
    (leg,) = chosen(["existing"])
    assert not leg.docker
    assert not any("existing" in members for members in groups().values())


def test_what_needs_a_profile_says_so_in_words() -> None:
    required = frozenset({Feature.KNOWN_PROFILE})
    assert does_not_apply("the cluster", frozenset(), required, frozenset()).startswith(
        "the cluster was not stood up from a profile"
    )
    assert not does_not_apply("flannel-vxlan", required, required, frozenset())


def test_every_profile_is_known() -> None:
    for name in profile_names():
        profile = load_profile(name)
        assert Feature.KNOWN_PROFILE in features(load_cni(profile.cni), profile)


@pytest.mark.parametrize("content", ["garbage: [", "{}", "just words"])
def test_a_file_that_is_no_kubeconfig_is_one_clear_error(tmp_path: Path, content: str) -> None:
    (tmp_path / "config").write_text(content)
    with pytest.raises(UsageError, match=r"--kubeconfig: .*config"):
        found(tmp_path / "config", None, "image")
    assert [it.name for it in tmp_path.iterdir()] == ["config"]


def test_a_server_that_does_not_answer_is_one_clear_error(tmp_path: Path) -> None:
    config = {
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "u", "user": {"token": "x"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    (tmp_path / "config").write_text(yaml.safe_dump(config))
    with pytest.raises(UsageError, match=r"127\.0\.0\.1"):
        found(tmp_path / "config", None, "image")
    with pytest.raises(UsageError, match="Expected object with name nope"):
        found(tmp_path / "config", "nope", "image")
