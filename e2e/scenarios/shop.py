"""The shop as a scenario: an instance, a rule and three pods, under the demo's load."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from e2e.demo.load import Load, PodView
from e2e.kubectl import Kubectl


@asynccontextmanager
async def load_on_shop(kubectl: Kubectl) -> AsyncIterator[Load]:
    """The demo's load on every pod of the shop in this namespace, through port-forwards."""
    async with AsyncExitStack() as stack:
        views = []
        for pod in kubectl.list("pods", "app=shop"):
            name = pod["metadata"]["name"]
            port = await stack.enter_async_context(kubectl.port_forward(f"pod/{name}", 8000))
            views.append(PodView(name=name, url=f"http://127.0.0.1:{port}"))
        yield await stack.enter_async_context(Load(views))
