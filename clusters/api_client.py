"""The Kubernetes client library behind `clusters.api`: its connections, its watch, its errors in our words.

`clusters.api` imports this module only once there is an API server to reach: the library takes about half of the
time in which a run starts, and labs, refused options and the machinery's own checks never need it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import urllib3
from kubernetes import config
from kubernetes.client import ApiClient, Configuration, CoreV1Api
from kubernetes.client.exceptions import ApiException
from kubernetes.config import ConfigException
from kubernetes.dynamic import DynamicClient
from kubernetes.dynamic.exceptions import DynamicApiError, NotFoundError, ResourceNotFoundError
from kubernetes.watch import Watch

from clusters.api import AT_ONCE, ApiRefused, NotAllowed, NotThere

_FORBIDDEN, _LACKS_A_RIGHT = 403, " cannot "
"""How the API server says so: User "x" cannot list resource "pods". It forbids other things for other reasons."""
BROKEN_WATCH = (urllib3.exceptions.HTTPError, ApiException)
"""How a watch ends that the server or the network broke off."""

__all__ = ["BROKEN_WATCH", "ApiClient", "CoreV1Api", "DynamicClient", "Watch", "connected", "explained"]


def connected(kubeconfig: Path, context: str | None, keeps: Path) -> tuple[ApiClient, DynamicClient]:
    """A plain client for that file's cluster, and one for objects of any kind; `keeps` is where they store."""
    settings = Configuration()
    settings.connection_pool_maxsize = AT_ONCE
    config.load_kube_config(
        str(kubeconfig),
        context=context,
        client_configuration=settings,
        persist_config=False,
        temp_file_path=str(keeps),
    )
    client = ApiClient(settings)
    return client, DynamicClient(client, cache_file=str(keeps / f"{kubeconfig.stem}.discovery.json"))


@contextmanager
def explained(doing: str) -> Iterator[None]:
    """Turn the client's errors into ApiRefused: what was being done, and the server's own message."""
    try:
        yield
    except NotFoundError as error:
        raise NotThere(f"{doing}: {error.summary()}") from error
    except DynamicApiError as error:
        if error.status == _FORBIDDEN and _LACKS_A_RIGHT in error.summary():
            raise NotAllowed(f"{doing}: {error.summary()}") from error
        raise ApiRefused(f"{doing}: {error.summary()}") from error
    except (ApiException, ConfigException, ResourceNotFoundError, urllib3.exceptions.HTTPError) as error:
        raise ApiRefused(f"{doing}: {error}") from error
