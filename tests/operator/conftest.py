"""A real API server, namespaces that are gone after their test, and operators that run in the test or as processes."""

import asyncio
import os
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from kubernetes.aio.client import Configuration
from kubernetes.aio.config import load_kube_config

from carnelian_operator.runtime.api import Kind, KubeError, Runtime
from carnelian_operator.runtime.kubeclient import KubeClient, path_of
from carnelian_operator.runtime.operator import Operator, Settings
from tests.operator.control_plane import control_plane
from tests.operator.proxy import FaultProxy, serve
from tests.operator.timing import LEASE_TIMES, WATCH_TIMES
from tests.operator.toys import CRD, TOY, ToyController
from tests.operator.waiting import until

NAMESPACE = Kind("", "v1", "Namespace", "namespaces")
_CRD_KIND = Kind("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here is on the third floor."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.operator)


@pytest.fixture(scope="session")
def kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Of the cluster that `KUBECONFIG` names, else of an API server of the tests' own."""
    if named := os.environ.get("KUBECONFIG"):
        yield Path(named)
        return
    with control_plane(tmp_path_factory.mktemp("control-plane")) as own:
        yield own


@pytest.fixture
async def kube(kubeconfig: Path) -> AsyncIterator[KubeClient]:
    """A client past all proxies and fences."""
    async with client(kubeconfig) as each:
        yield each


@asynccontextmanager
async def client(kubeconfig: Path) -> AsyncIterator[KubeClient]:
    """A client for a kubeconfig."""
    configuration = Configuration()
    await load_kube_config(config_file=str(kubeconfig), client_configuration=configuration)  # type: ignore[no-untyped-call]
    each = KubeClient(configuration, timeout=5)
    yield each
    await each.aclose()


@pytest.fixture
async def namespace(kube: KubeClient) -> AsyncIterator[str]:
    """A namespace of the test's own, on a server that knows the Toy."""
    await kube.create(_CRD_KIND, CRD)
    await until("the Toy is served", lambda: kube.discover(TOY))
    name = f"t-{uuid.uuid4().hex[:8]}"
    await kube.create(NAMESPACE, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    yield name
    try:
        await kube.request("DELETE", NAMESPACE, path_of(NAMESPACE, name=name))
    except KubeError as error:
        if error.status not in (404, 409):
            raise


@pytest.fixture
def proxy(kubeconfig: Path) -> Iterator[FaultProxy]:
    """A proxy in front of the API server."""
    with serve(kubeconfig) as each:
        yield each


class Running:
    """An operator in this event loop, with a toy controller."""

    toys: ToyController
    runtime: Runtime

    def __init__(self, settings: Settings) -> None:
        self._operator = Operator(settings, self._build)

    def _build(self, runtime: Runtime) -> Sequence[ToyController]:
        self.toys = ToyController(runtime)
        self.runtime = runtime
        return [self.toys]

    def stop(self) -> None:
        """Ask it to end."""
        self._operator.stop()

    @property
    def health_port(self) -> int:
        """Where health is served; 0 until it is."""
        return self._operator.health_port

    async def ask(self, path: str) -> tuple[int, str]:
        """Status and text of one of its health pages."""
        url = f"http://127.0.0.1:{self.health_port}{path}"
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            return answer.status, await answer.text()

    async def ready(self) -> bool:
        """Whether it says that it is ready."""
        try:
            return (await self.ask("/readyz"))[0] == 200
        except aiohttp.ClientError:
            return False

    @asynccontextmanager
    async def started(self) -> AsyncIterator["Running"]:
        """Until the block ends, which stops it in good order."""
        task = asyncio.create_task(self._operator.run())
        await until("the operator has been built", lambda: hasattr(self, "toys") or task.done())
        try:
            yield self
            self.stop()
            async with asyncio.timeout(10):
                await task
        finally:
            task.cancel()
            await asyncio.wait({task})


Start = Callable[..., Any]


@pytest.fixture
def start(kubeconfig: Path, namespace: str) -> Start:
    """Makes an operator for the test's namespace; use it as ``async with start() as running``."""

    def make(through: Path | None = None, **changes: Any) -> Any:
        fields: dict[str, Any] = {
            "kubeconfig": through or kubeconfig,
            "namespaces": (namespace,),
            "lease_namespace": namespace,
            "health_port": 0,
            "lease": LEASE_TIMES,
            "watches": WATCH_TIMES,
            **changes,
        }
        return Running(Settings(**fields)).started()

    return make
