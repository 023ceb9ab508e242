"""Watches by kopf: every event goes into the cache and wakes the keys that it concerns. Nothing else happens here.

Kopf lists, streams, reconnects, resumes after a gap and authenticates. Its handlers are `on.event`s only, which leave
no annotation, finalizer or event of kopf's on any object. Three things are arranged around it:

- *A silent watch*: each stream is ended by the server after `Timing.server` seconds and resumed, so that a quiet watch
  still gives a sign of life; a stream without one for `Timing.inactivity` is cut by kopf and opened again. Thus "not
  heard for `Timing.silent`" means that the API server cannot be reached, never that nothing happened.
- *Lists*: `session` hands over complete lists, so the cache knows when it is complete and what has gone.
- *A failure of the whole layer* (kopf ends when one of its tasks fails): it is started again and lists everything anew.
"""

import asyncio
import inspect
import signal
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import kopf
import structlog

from carnelian_operator.runtime import metrics
from carnelian_operator.runtime.api import Controller, Key, Kind, KubeError, Object, Priority, Wake
from carnelian_operator.runtime.cache import ObjectCache
from carnelian_operator.runtime.kubeclient import KubeClient
from carnelian_operator.runtime.session import Page, Watch, WatchSession

OWNED = "app.kubernetes.io/managed-by=carnelian"
_CHUNK = 200
_KOPF = str(Path(kopf.__file__).parent)
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds. `server` < `inactivity` < `silent`, or quiet watches would look dead."""

    server: int = 25
    inactivity: float = 35.0
    connect: float = 5.0
    silent: float = 50.0


class _Backoffs:
    """Kopf gives up, and ends, after a finite list of delays; an API server may be away for longer than that."""

    def __iter__(self) -> Iterator[float]:
        yield from (0.2, 0.5, 1, 2)
        while True:
            yield 5


class Watching:
    """All watches of the process.

    Args:
        kube: for its credentials, and to ask what the API server serves.
        cache: is fed.
        controllers: say what to watch and which keys an object concerns.
        namespaces: to watch; none means all.
        wake: gets the keys.
        timing: of the streams.
        reclaim_signals: called after kopf has started, because it takes SIGINT and SIGTERM for itself.
    """

    def __init__(
        self,
        kube: KubeClient,
        cache: ObjectCache,
        controllers: Sequence[Controller],
        *,
        namespaces: Sequence[str],
        wake: Wake,
        timing: Timing,
        reclaim_signals: Callable[[], None] = lambda: None,
    ) -> None:
        self._kube = kube
        self._cache = cache
        self._controllers = controllers
        self._namespaces = namespaces
        self._wake = wake
        self._timing = timing
        self._reclaim_signals = reclaim_signals
        self._clock = asyncio.get_running_loop().time
        self._primaries = {controller.primary for controller in controllers}
        owned = {kind for controller in controllers for kind in controller.owned}
        self._selected = owned - self._primaries
        now = self._clock()
        self.watches = [
            Watch(kind, namespace, heard=now)
            for kind in sorted(self._primaries | owned)
            for namespace in (namespaces or [""])
        ]
        self._all_synced = asyncio.Event()
        self._session = WatchSession(kube.api, self.watches, clock=self._clock, listed=self._on_list)
        if not self.watches:
            self._all_synced.set()

    async def synced(self) -> None:
        """Return once every watch has been listed completely."""
        await self._all_synced.wait()

    def complaint(self) -> str | None:
        """Why the cache cannot be trusted now, or None."""
        now = self._clock()
        for watch in self.watches:
            where = f"{watch.kind.plural} in {watch.namespace or 'all namespaces'}"
            if not watch.synced:
                return f"{where}: not listed yet"
            if (silent := now - watch.heard) > self._timing.silent:
                return f"{where}: nothing heard from the API server for {silent:.0f} s"
        return None

    def silences(self) -> Iterator[tuple[Kind, float]]:
        """For each kind, the longest time since one of its watches was heard."""
        now = self._clock()
        for kind in {watch.kind for watch in self.watches}:
            yield kind, max(now - watch.heard for watch in self.watches if watch.kind == kind)

    def keys_of(self, kind: Kind, obj: Object) -> Iterable[Key]:
        """The keys of all controllers that an object concerns."""
        return {key for controller in self._controllers for key in controller.keys_of(kind, obj)}

    async def run(self) -> None:
        """Watch until cancelled."""
        delay = 1.0
        while True:
            await self._wait_for_kinds()
            began = self._clock()
            try:
                await self._run_kopf()
                _log.error("kopf ended by itself; starting it again")
            except Exception:  # noqa: BLE001 - whatever it was, listing anew repairs it, and readiness tells if not
                _log.exception("watching failed; starting it again", delay_seconds=delay)
            metrics.WATCH_RESTARTS.inc()
            delay = 1.0 if self._clock() - began > 60 else min(delay * 2, 30.0)
            await asyncio.sleep(delay)

    async def _wait_for_kinds(self) -> None:
        """Kopf looks once, at its start, which kinds are served; a CRD that is applied later would never be watched."""
        missing = {watch.kind for watch in self.watches}
        while True:
            for kind in sorted(missing):
                with suppress(KubeError):
                    if await self._kube.discover(kind):
                        missing.discard(kind)
            if not missing:
                return
            names = ", ".join(f"{kind.plural}.{kind.group}" if kind.group else kind.plural for kind in sorted(missing))
            _log.warning("waiting for kinds that the API server does not serve; are the CRDs applied?", missing=names)
            await asyncio.sleep(2.0)

    async def _run_kopf(self) -> None:
        registry = kopf.OperatorRegistry()
        kopf.on.login(registry=registry, id="session")(self._login)
        settings = self._settings()
        for kind in {watch.kind for watch in self.watches}:
            self._register(registry, kind)
            if kind in self._selected:
                settings.watching.label_selectors[kind.group, kind.version, kind.plural] = OWNED
        tasks = await kopf.spawn_tasks(
            registry=registry,
            settings=settings,
            clusterwide=not self._namespaces,
            namespaces=list(self._namespaces),
            identity="carnelian",  # type: ignore[arg-type]
        )
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
        self._reclaim_signals()
        # Not kopf.run_tasks: at its end that cancels every task in the loop that is younger than kopf, also ours.
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            await _end_kopf(tasks)
            await self._session.aclose()

    def _settings(self) -> kopf.OperatorSettings:
        settings = kopf.OperatorSettings()
        settings.posting.enabled = False
        settings.peering.standalone = True
        settings.scanning.disabled = True
        settings.process.ultimate_exiting_timeout = None
        settings.queueing.idle_timeout = 1.0
        settings.queueing.exit_timeout = 0.5
        settings.networking.request_timeout = 30.0
        settings.networking.connect_timeout = self._timing.connect
        settings.networking.error_backoffs = _Backoffs()
        settings.watching.server_timeout = self._timing.server
        settings.watching.inactivity_timeout = self._timing.inactivity
        settings.watching.connect_timeout = self._timing.connect
        settings.watching.chunk_size = _CHUNK
        return settings

    async def _login(self, **_: Any) -> kopf.AiohttpSession:
        return kopf.AiohttpSession(server=self._kube.api.configuration.host, aiohttp_session=self._session.open())

    def _register(self, registry: kopf.OperatorRegistry, kind: Kind) -> None:
        by_namespace = {watch.namespace: watch for watch in self.watches if watch.kind == kind}

        async def on_event(event: Mapping[str, Any], **_: Any) -> None:
            obj = event["object"]
            watch = by_namespace.get("") or by_namespace[obj["metadata"]["namespace"]]
            self._on_event(watch, event["type"], obj)

        kopf.on.event(kind.group, kind.version, kind.plural, registry=registry, id="feed")(on_event)

    def _on_event(self, watch: Watch, what: str | None, obj: Mapping[str, Any]) -> None:
        if what is None:
            return  # part of a list, which the session has handed over already
        watch.heard = self._clock()
        metrics.WATCH_EVENTS.labels(watch.kind.kind, what).inc()
        news = (
            self._cache.drop(watch.kind, obj)
            if what == "DELETED"
            else self._cache.put(watch.kind, obj, watch.namespace)
        )
        if news:
            for key in self.keys_of(watch.kind, obj):
                self._wake(key, Priority.CHANGED)

    def _on_list(self, watch: Watch, objects: Page, version: str) -> None:
        metrics.WATCH_EVENTS.labels(watch.kind.kind, "LISTED").inc(len(objects))
        touched = self._cache.replace(watch.kind, watch.namespace, objects, version)
        # At the first list everything is new to us, which does not make it urgent.
        priority = Priority.CHANGED if watch.synced else Priority.RESYNC
        for obj in touched:
            for key in self.keys_of(watch.kind, obj):
                self._wake(key, priority)
        watch.synced = True
        if all(each.synced for each in self.watches):
            self._all_synced.set()


async def _end_kopf(roots: Iterable[asyncio.Task[Any]]) -> None:
    """End all of kopf's tasks, also those that it leaves behind.

    When one watch fails, kopf's orchestrator ends without its other watches. These swallow a cancellation that comes
    together with their pause waiter's, so the waiters (which end with their watch) are left out, and it takes rounds.
    """
    for task in roots:
        task.cancel()
    await asyncio.wait(roots)
    for _ in range(10):
        left = {task for task in asyncio.all_tasks() if _is_kopf(task)}
        if not left:
            return
        for task in left:
            if not task.get_name().startswith("pause-waiter"):
                task.cancel()
        await asyncio.wait(left, timeout=0.5)
    _log.warning("kopf left tasks behind", tasks=sorted(task.get_name() for task in left))


def _is_kopf(task: asyncio.Task[Any]) -> bool:
    coroutine = task.get_coro()
    return inspect.iscoroutine(coroutine) and coroutine.cr_code.co_filename.startswith(_KOPF)
