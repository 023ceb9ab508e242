"""Which key is reconciled next.

A key is in the queue at most once, however often it is woken; woken while it runs, it runs once more afterwards. What
changed goes before what is only looked at again, but nothing waits for ever. A key that failed waits longer each time.
No I/O and no clock of its own, so that all of it can be tried in simulated time.
"""

import asyncio
import heapq
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

from carnelian_operator.runtime.api import Key, Priority


@dataclass(frozen=True, slots=True)
class Backoff:
    """Seconds between a key's failures: ``initial * 2**n``, at most `cap`, shortened at random by up to `jitter`."""

    initial: float = 0.5
    cap: float = 120.0
    jitter: float = 0.2

    def delay(self, failures: int, random: Random) -> float:
        """How long to wait after that many failures in a row (1 or more)."""
        full = min(self.cap, self.initial * 2.0 ** min(failures - 1, 30))
        return full * (1 - self.jitter * random.random())


class Taken(NamedTuple):
    """A key that is now running, and how long it waited for that."""

    key: Key
    priority: Priority
    waited: float


class WorkQueue:
    """See the module.

    Args:
        clock: seconds, monotonic.
        backoff: after failures.
        patience: a key that has been ready for so many seconds goes before all others, whatever its priority.
        random: for the jitter.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        backoff: Backoff | None = None,
        patience: float = 20.0,
        random: Random | None = None,
    ) -> None:
        self._clock = clock
        self._backoff = backoff or Backoff()
        self._patience = patience
        self._random = random or Random()  # noqa: S311 - jitter, not secrets
        # Dicts keep their order: each is a queue of keys with the time since which they are ready.
        self._ready: dict[Priority, dict[Key, float]] = {priority: {} for priority in sorted(Priority)}
        self._later: list[tuple[float, Key]] = []
        self._due: dict[Key, tuple[float, Priority]] = {}
        self._running: set[Key] = set()
        self._again: dict[Key, Priority] = {}
        self._failures: dict[Key, int] = {}
        self._rest: dict[Key, float] = {}
        self._closed = False
        self._changed = asyncio.Event()

    def close(self) -> None:
        """Give out no more keys; those that run may finish."""
        self._closed = True

    async def idle(self) -> None:
        """Return once no key runs."""
        while self._running:
            self._changed.clear()
            await self._changed.wait()

    def add(self, key: Key, priority: Priority = Priority.CHANGED) -> None:
        """Run `key` as soon as it may: at once, after its present run, or after the first rest of a failed one."""
        if key in self._running:
            self._again[key] = min(priority, self._again.get(key, priority))
            return
        rest = self._rest.get(key, 0.0)
        if self._clock() < rest:
            # Else a reconcile that fails and thereby changes something would run in a tight loop.
            self._schedule(key, rest, priority)
            return
        self._make_ready(key, priority)

    def done(self, key: Key, requeue_after: float | None = None) -> None:
        """`key` ended well; look at it again after so many seconds, if given."""
        self._failures.pop(key, None)
        self._rest.pop(key, None)
        self._finish(key)
        if requeue_after is not None:
            self._schedule(key, self._clock() + max(requeue_after, 0.0), Priority.CHANGED)

    def failed(self, key: Key) -> float:
        """`key` failed; it comes again after a back-off, whose length in seconds is returned."""
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        now = self._clock()
        self._rest[key] = now + self._backoff.delay(1, self._random)
        delay = self._backoff.delay(failures, self._random)
        self._finish(key)
        self._schedule(key, now + delay, Priority.CHANGED)
        return delay

    def take(self) -> Taken | None:
        """The next key, which runs from now on until `done` or `failed`; None when none is ready."""
        self._promote()
        now = self._clock()
        queues = [(priority, queue) for priority, queue in self._ready.items() if queue]
        if not queues or self._closed:
            return None
        priority, queue = queues[0]
        for other, candidates in queues[1:]:
            if now - next(iter(candidates.values())) > self._patience:
                priority, queue = other, candidates
        key, since = next(iter(queue.items()))
        del queue[key]
        self._running.add(key)
        return Taken(key, priority, now - since)

    async def get(self) -> Taken:
        """`take`, waiting until there is a key."""
        while True:
            self._changed.clear()
            if (taken := self.take()) is not None:
                return taken
            due = self.next_due()
            try:
                async with asyncio.timeout(None if due is None else max(due - self._clock(), 0.0)):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def next_due(self) -> float | None:
        """When the next waiting key becomes ready, on the clock."""
        while self._later:
            due, key = self._later[0]
            if self._due.get(key, (None,))[0] == due:
                return due
            heapq.heappop(self._later)  # superseded by an earlier time, or woken meanwhile
        return None

    @property
    def depth(self) -> int:
        """How many keys are ready and wait for a worker."""
        self._promote()
        return sum(map(len, self._ready.values()))

    @property
    def running(self) -> int:
        """How many keys run."""
        return len(self._running)

    @property
    def oldest(self) -> float:
        """Age in seconds of the key that has been ready longest; 0 when there is none."""
        self._promote()
        since = [min(queue.values()) for queue in self._ready.values() if queue]
        return self._clock() - min(since) if since else 0.0

    def _finish(self, key: Key) -> None:
        self._running.remove(key)
        self._changed.set()
        again = self._again.pop(key, None)
        if again is not None:
            self.add(key, again)

    def _schedule(self, key: Key, due: float, priority: Priority) -> None:
        if any(key in queue for queue in self._ready.values()):
            return  # it runs sooner than that
        earlier = self._due.get(key)
        if earlier is not None and earlier[0] <= due:
            self._due[key] = (earlier[0], min(priority, earlier[1]))
            return
        self._due[key] = (due, priority if earlier is None else min(priority, earlier[1]))
        heapq.heappush(self._later, (due, key))
        self._changed.set()

    def _promote(self) -> None:
        now = self._clock()
        while (due := self.next_due()) is not None and due <= now:
            _, key = heapq.heappop(self._later)
            self._make_ready(key, self._due[key][1], since=due)

    def _make_ready(self, key: Key, priority: Priority, since: float | None = None) -> None:
        self._due.pop(key, None)
        since = self._clock() if since is None else since
        for other, queue in self._ready.items():
            if key not in queue:
                continue
            if other <= priority:
                return
            since = min(since, queue.pop(key))
        self._ready[priority][key] = since
        self._changed.set()
