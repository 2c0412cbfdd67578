"""One API server for the whole suite, and one bench on each engine that a mode of kube-proxy needs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from clusters.images.provide import KubernetesPrograms, ensure_kubernetes
from clusters.model import KubeProxy
from fixtures.bench.bench import ADDRESSES, NEEDS, NODE, Bench, stood_up
from fixtures.bench.by_hand import ByHand
from fixtures.bench.control_plane import ControlPlane, Images
from fixtures.bench.crowd import Crowd
from fixtures.bench.kube_proxy import Settings
from fixtures.engines.engine import Engine
from fixtures.engines.engines import Engines
from fixtures.evidence.record import Collector
from fixtures.lab.cabling import Cablings
from fixtures.lab.lab import Lab
from fixtures.plugins.engine import found_able
from fixtures.plugins.networks import standing
from fixtures.plugins.showing import shown
from fixtures.report.recorder import Run


@pytest.fixture(scope="package")
def kubernetes(pytestconfig: pytest.Config, engines: Engines, run: Run) -> KubernetesPrograms:
    """etcd, the API server and kube-proxy, of the release that `--kubernetes-version` asks for."""
    with shown(pytestconfig), run.phases("images"):
        found = ensure_kubernetes(run.options.kubernetes_version, run.options.images)
        engines.origins.extend(image.origin for image in (found.etcd, found.api_server))
    run.versions["kubernetes"] = found.version
    return found


@pytest.fixture(scope="package")
def control(
    pytestconfig: pytest.Config, kubernetes: KubernetesPrograms, engines: Engines, cablings: Cablings, run: Run
) -> Iterator[ControlPlane]:
    """The API server of all benches."""
    images = Images(kubernetes.etcd.reference, kubernetes.api_server.reference)
    with ExitStack() as stack:
        with shown(pytestconfig), run.phases("API server"):
            made = stack.enter_context(ControlPlane(engines.local, cablings.on(engines.local), images))
        yield made


class Benches:
    """A bench on each engine, stood up when it is first asked for."""

    def __init__(self, request: pytest.FixtureRequest, control: ControlPlane, image: KubernetesPrograms) -> None:
        self._request = request
        self._control = control
        self._image = image
        self._made: dict[str, Bench] = {}
        self.stack = ExitStack()

    def on(self, engine: Engine) -> Bench:
        """That engine's."""
        if engine.name not in self._made:
            self._made[engine.name] = self._stood_up(engine)
        return self._made[engine.name]

    def rest(self) -> None:
        """No kube-proxy runs any more; what each wrote stays until it runs again."""
        for bench in self._made.values():
            bench.proxy.stop()

    def _stood_up(self, engine: Engine) -> Bench:
        config = self._request.config
        run: Run = self._request.getfixturevalue("run")
        engines: Engines = self._request.getfixturevalue("engines")
        cablings: Cablings = self._request.getfixturevalue("cablings")
        collectors: list[Collector] = self._request.getfixturevalue("collectors")
        with shown(config), run.phases("images"):
            image = engines.bring(self._image.proxy, engine)
        lab = self.stack.enter_context(standing(config, engine, cablings, collectors, run))
        with run.phases(f"bench on the {engine.name} engine"):
            return stood_up(lab, cablings.on(engine), self._control, image)


@pytest.fixture(scope="package")
def benches(
    request: pytest.FixtureRequest, control: ControlPlane, kubernetes: KubernetesPrograms
) -> Iterator[Benches]:
    """The benches of this run."""
    made = Benches(request, control, kubernetes)
    with made.stack:
        yield made


@pytest.fixture(scope="package")
def crowd_of_all(control: ControlPlane) -> Crowd:
    """As many Services as there have to be; they are the API server's, and so every bench's, and go with it."""
    return Crowd(ByHand(control.api, NODE), ADDRESSES["one"])


@pytest.fixture(scope="package")
def size(request: pytest.FixtureRequest) -> int:
    """How many Services there are."""
    found: int = request.param
    return found


@pytest.fixture(scope="package")
def crowd(pytestconfig: pytest.Config, crowd_of_all: Crowd, size: int, benches: Benches, run: Run) -> Crowd:
    """So many Services; no kube-proxy runs while they are made, since that would take the machine's time."""
    benches.rest()
    with shown(pytestconfig), run.phases(f"{size} Services made"):
        crowd_of_all.grow(size)
    return crowd_of_all


@pytest.fixture(scope="package")
def fewest() -> dict[KubeProxy, dict[str, float]]:
    """By mode what was measured with the fewest Services, for later numbers to be held against."""
    return {}


@pytest.fixture(scope="module", params=list(KubeProxy), ids=str)
def mode(request: pytest.FixtureRequest) -> KubeProxy:
    """kube-proxy's mode: each of them, unless a module has one of its own."""
    found: KubeProxy = request.param
    return found


@pytest.fixture(scope="module")
def engine(pytestconfig: pytest.Config, mode: KubeProxy, engines: Engines, run: Run) -> Engine:
    """The first engine whose kernel carries that mode."""
    return found_able(pytestconfig, run, engines, *NEEDS[mode])


@pytest.fixture(scope="module")
def bench(pytestconfig: pytest.Config, engine: Engine, benches: Benches, mode: KubeProxy, run: Run) -> Bench:
    """The bench of that engine, with kube-proxy in that mode and no Service but what the module makes."""
    found = benches.on(engine)
    with shown(pytestconfig), run.phases(f"kube-proxy {mode}"):
        found.proxy.run(Settings(mode))
    return found


@pytest.fixture(scope="module")
def lab(bench: Bench) -> Lab:
    """The bench's lab, in place of one for each module."""
    return bench.lab
