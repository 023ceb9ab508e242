"""The leader's work: keys from the queue, one reconcile each, several side by side.

A standby has a dispatcher too, which takes in no keys: on becoming leader every key that the cache knows of is queued
behind whatever changes from then on.
"""

import asyncio
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

import structlog

from carnelian_operator.runtime import metrics, settling
from carnelian_operator.runtime.api import Controller, Key, KubeError, Priority, Result
from carnelian_operator.runtime.cache import ObjectCache
from carnelian_operator.runtime.settling import Written
from carnelian_operator.runtime.workqueue import Taken, WorkQueue

_log = structlog.get_logger(__name__)


class Dispatcher:
    """See the module.

    Args:
        cache: that the controllers read.
        known: all keys that the cache knows of.
        workers: reconciles side by side.
        resync: seconds after which every key is looked at again.
        limit: seconds after which a reconcile is cut off and counts as failed.
        grace: seconds that running reconciles may take to finish once `stop` is set.
    """

    def __init__(
        self,
        cache: ObjectCache,
        known: Callable[[], Iterable[Key]],
        *,
        workers: int = 8,
        resync: float = 300.0,
        limit: float = 120.0,
        grace: float = 10.0,
    ) -> None:
        self._cache = cache
        self._known = known
        self._settling: set[asyncio.Task[None]] = set()
        self._controllers: dict[str, Controller] = {}
        self._workers = workers
        self._resync = resync
        self._limit = limit
        self._grace = grace
        self.queue: WorkQueue | None = None
        """Only while this process leads."""

    def serve(self, controllers: Sequence[Controller]) -> None:
        """Say who reconciles what, before `run`."""
        self._controllers = {controller.primary.kind: controller for controller in controllers}

    def wake(self, key: Key, priority: Priority = Priority.CHANGED) -> None:
        """See `Wake`; on a standby nothing is kept."""
        if self.queue is not None and key.kind in self._controllers:
            self.queue.add(key, priority)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`, then let running reconciles finish; when cancelled, they are cancelled at once."""
        self.queue = queue = WorkQueue(time.monotonic)
        tasks = [asyncio.create_task(self._work(queue), name=f"worker {number}") for number in range(self._workers)]
        tasks.append(asyncio.create_task(self._resync_often(), name="resync"))
        stopping = asyncio.create_task(stop.wait(), name="stop")
        try:
            done, _ = await asyncio.wait({*tasks, stopping}, return_when=asyncio.FIRST_COMPLETED)
            for task in done - {stopping}:
                task.result()  # a worker ends only by a bug of ours: let the process end with it
            queue.close()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._grace):
                    await queue.idle()
            if queue.running:
                _log.warning(
                    "cancelling reconciles that did not finish", running=queue.running, grace_seconds=self._grace
                )
        finally:
            self.queue = None
            tasks += self._settling
            for task in (*tasks, stopping):
                task.cancel()
            await asyncio.gather(*tasks, stopping, return_exceptions=True)

    async def _resync_often(self) -> None:
        while True:
            for key in self._known():
                self.wake(key, Priority.RESYNC)
            await asyncio.sleep(self._resync)

    async def _work(self, queue: WorkQueue) -> None:
        while True:
            taken = await queue.get()
            metrics.QUEUE_WAIT.labels(taken.priority.name.lower()).observe(taken.waited)
            await self._reconcile(queue, taken)

    async def _reconcile(self, queue: WorkQueue, taken: Taken) -> None:
        key, outcome, began = taken.key, "success", time.perf_counter()
        noted: list[Written] = []
        settling.writes.set(noted)
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(
            kind=key.kind, instance=f"{key.namespace}/{key.name}", reconcile=uuid.uuid4().hex[:8]
        )
        try:
            async with asyncio.timeout(self._limit):
                result = await self._controllers[key.kind].reconcile(key)
            self._settle(queue, key, result, noted)
        except KubeError as error:
            outcome = error.reason
            level = _log.info if error.status == 409 else _log.warning
            level("the API server refused; again later", delay_seconds=round(queue.failed(key), 1), error=str(error))
        except TimeoutError:
            outcome = "timeout"
            _log.exception("timed out; again later", delay_seconds=round(queue.failed(key), 1))
        except Exception:  # noqa: BLE001 - one object's failure must not stop the others
            outcome = "error"
            _log.exception("failed; again later", delay_seconds=round(queue.failed(key), 1))
        finally:
            seconds = time.perf_counter() - began
            metrics.RECONCILES.labels(key.kind, outcome).inc()
            metrics.RECONCILE_SECONDS.labels(key.kind).observe(seconds)
            structlog.contextvars.clear_contextvars()

    def _settle(self, queue: WorkQueue, key: Key, result: Result, noted: Sequence[Written]) -> None:
        if not noted:
            queue.done(key, result.requeue_after)
            return

        async def settle() -> None:
            if not await settling.caught_up(self._cache, noted):
                _log.debug("the cache has not caught up with the reconcile's writes", key=key)
            queue.done(key, result.requeue_after)

        # Not in the worker: it has other keys to serve meanwhile.
        task = asyncio.create_task(settle(), name=f"settle {key.namespace}/{key.name}")
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)
