"""`/healthz`, `/readyz` and `/metrics`.

Alive: the event loop answers. Ready: what we know of the cluster is fresh and keys do not pile up; a standby is ready
when it could take over at once. Each complaint is said in the answer: "not ready" alone helps nobody at night.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from carnelian_operator.runtime import metrics

_LAG_LIMIT = 5.0
_TICK = 0.5
_WINDOW = 60  # ticks over which the lag is the maximum
Complaint = Callable[[], str | None]
Answer = Callable[[web.Request], Awaitable[web.Response]]


class LoopLag:
    """How late the event loop runs what is due."""

    def __init__(self) -> None:
        self._recent: deque[float] = deque([0.0], maxlen=_WINDOW)

    @property
    def seconds(self) -> float:
        """The longest delay of the last half minute."""
        return max(self._recent)

    def complaint(self) -> str | None:
        """Too late, or None."""
        return f"the event loop was {self.seconds:.1f} s late" if self.seconds > _LAG_LIMIT else None

    async def run(self) -> None:
        """Measure until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + _TICK
            await asyncio.sleep(_TICK)
            self._recent.append(max(loop.time() - due, 0.0))


class Health:
    """The HTTP server.

    Args:
        port: to listen on; 0 lets the system choose.
        complaints: each says why we are not ready, or None.
        refresh: brings the gauges up to date before they are scraped.
        started: told the port once it listens.
    """

    def __init__(
        self,
        port: int,
        complaints: Iterable[Complaint],
        refresh: Callable[[], None],
        started: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._port = port
        self._complaints = list(complaints)
        self._refresh = refresh
        self._started = started

    async def run(self) -> None:
        """Serve until cancelled."""
        app = web.Application()
        app.add_routes(
            [
                web.get("/healthz", self._healthz),
                web.get("/readyz", self._readyz),
                web.get("/metrics", self._metrics),
            ]
        )
        runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1)
        await runner.setup()
        try:
            await web.TCPSite(runner, port=self._port).start()
            # All interfaces of both families; a port chosen by the system differs between them.
            self._started(min(runner.addresses, key=len)[1])
            await asyncio.Event().wait()
        finally:
            with suppress(asyncio.CancelledError):
                await runner.cleanup()

    async def _healthz(self, _: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _readyz(self, _: web.Request) -> web.Response:
        found = [text for complaint in self._complaints if (text := complaint())]
        return web.Response(text="".join(f"{text}\n" for text in found) or "ok\n", status=503 if found else 200)

    async def _metrics(self, _: web.Request) -> web.Response:
        self._refresh()
        return web.Response(body=generate_latest(metrics.REGISTRY), headers={"Content-Type": CONTENT_TYPE_LATEST})
