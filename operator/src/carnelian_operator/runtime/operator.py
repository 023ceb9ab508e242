"""The process: everything is made here, wired together, and run under one task group."""

import asyncio
import os
import secrets
import signal
import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from carnelian_operator.runtime import connection, election, metrics, watching
from carnelian_operator.runtime.api import Controller, Key, Runtime
from carnelian_operator.runtime.cache import ObjectCache
from carnelian_operator.runtime.dispatcher import Dispatcher
from carnelian_operator.runtime.health import Health, LoopLag
from carnelian_operator.runtime.kubeclient import KubeClient
from carnelian_operator.runtime.watching import Watching

Build = Callable[[Runtime], Sequence[Controller]]
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Settings:
    """What the command line decides. Times are in seconds."""

    kubeconfig: Path | None = None
    """None: see `connection.load`."""
    namespaces: Sequence[str] = ()
    """To watch; none means all."""
    lease_namespace: str = "default"
    lease_name: str = "carnelian-operator"
    health_port: int = 8080
    workers: int = 8
    resync: float = 300.0
    grace: float = 10.0
    """For running reconciles to finish when the process is told to stop."""
    oldest_key: float = 120.0
    """A key that has been ready for longer than this makes the process unready."""
    lease: election.Timing = field(default_factory=election.Timing)
    watches: watching.Timing = field(default_factory=watching.Timing)


class Operator:
    """One process of the operator: leader or warm standby."""

    def __init__(self, settings: Settings, build: Build, identity: str | None = None) -> None:
        self.identity = identity or default_identity()
        self._settings = settings
        self._build = build
        self._stop = asyncio.Event()
        self.health_port = settings.health_port
        """Where health is served, once it is; of use when the settings said 0."""

    def stop(self) -> None:
        """End in good order: take no new keys, let running reconciles finish, give the lease back."""
        if not self._stop.is_set():
            _log.info("stopping")
        self._stop.set()

    async def run(self) -> None:
        """Run until `stop`, SIGTERM or SIGINT.

        Raises:
            NoClusterError: when nothing says where the API server is.
        """
        settings = self._settings
        configuration = await connection.load(settings.kubeconfig)
        # The lease has connections and a timeout of its own: no pile of reconciles may keep it from being renewed.
        lease_kube = KubeClient(configuration, timeout=settings.lease.renew_deadline / 3)
        state = election.Election(self.identity, settings.lease_namespace, settings.lease_name, settings.lease)
        elector = election.Elector(lease_kube, state, settings.lease_namespace, settings.lease_name, settings.lease)
        kube = KubeClient(configuration, instance=self.identity, fence=elector.fence)
        cache = ObjectCache()
        dispatcher = Dispatcher(
            cache,
            lambda: known(),  # noqa: PLW0108 - defined below, needs what is made between
            workers=settings.workers,
            resync=settings.resync,
            grace=settings.grace,
        )
        controllers = list(self._build(Runtime(cache, kube, dispatcher.wake)))
        dispatcher.serve(controllers)
        watches = Watching(
            kube,
            cache,
            controllers,
            namespaces=settings.namespaces,
            wake=dispatcher.wake,
            timing=settings.watches,
            reclaim_signals=self._own_signals,
        )

        def known() -> Iterable[Key]:
            return {key for kind, obj in cache.every() for key in watches.keys_of(kind, obj)}

        def queue_complaint() -> str | None:
            oldest = dispatcher.queue.oldest if dispatcher.queue else 0.0
            return f"a key has waited for {oldest:.0f} s" if oldest > settings.oldest_key else None

        def refresh() -> None:
            queue = dispatcher.queue
            metrics.QUEUE_DEPTH.set(queue.depth if queue else 0)
            metrics.QUEUE_OLDEST.set(queue.oldest if queue else 0)
            metrics.QUEUE_RUNNING.set(queue.running if queue else 0)
            metrics.LOOP_LAG.set(lag.seconds)
            for kind, silent in watches.silences():
                metrics.WATCH_SILENT.labels(kind.kind).set(silent)
                metrics.CACHED.labels(kind.kind).set(cache.count(kind))

        lag = LoopLag()
        health = Health(
            settings.health_port, [watches.complaint, queue_complaint, lag.complaint], refresh, started=self._on_health
        )
        self._own_signals()
        _log.info("starting", identity=self.identity, namespaces=list(settings.namespaces) or "all")
        try:
            async with asyncio.TaskGroup() as group:
                background = [
                    group.create_task(lag.run(), name="loop lag"),
                    group.create_task(health.run(), name="health"),
                    group.create_task(watches.run(), name="watches"),
                ]
                await self._lead_when_synced(watches, elector, dispatcher)
                for task in background:
                    task.cancel()
        finally:
            for controller in controllers:
                await controller.aclose()
            await kube.aclose()
            await lease_kube.aclose()
        _log.info("stopped")

    async def _lead_when_synced(self, watches: Watching, elector: election.Elector, dispatcher: Dispatcher) -> None:
        # Nobody who has not seen everything may lead: he would take what he does not know for missing.
        synced = asyncio.create_task(watches.synced(), name="synced")
        stopping = asyncio.create_task(self._stop.wait(), name="stop")
        try:
            await asyncio.wait({synced, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if synced.done():
                _log.info("watching", kinds=sorted({watch.kind.plural for watch in watches.watches}))
                await elector.run(lambda: dispatcher.run(self._stop), self._stop)
        finally:
            synced.cancel()
            stopping.cancel()

    def _on_health(self, port: int) -> None:
        self.health_port = port

    def _own_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.stop)


def default_identity() -> str:
    """The pod's name and something random, because a restarted container keeps its pod's name."""
    return f"{os.environ.get('POD_NAME') or socket.gethostname()}_{secrets.token_hex(4)}"
