"""The load on the shop: customers who browse (and are limited) and place orders (and must never lose one)."""

import asyncio
import itertools
import time
from collections import deque
from dataclasses import dataclass, field

import httpx

BROWSERS = 3
"""Users who browse; each sends this often on every pod:"""
BROWSE_EVERY = 0.1
ORDER_EVERY = 0.02


@dataclass
class PodView:
    """What clients saw of one pod of the shop."""

    name: str
    url: str
    requests: int = 0
    allowed: int = 0
    limited: int = 0
    failed: int = 0
    generation: int = 0
    latencies: deque[float] = field(default_factory=lambda: deque(maxlen=500))

    def quantile(self, share: float) -> float:
        """A latency quantile of the last requests, in milliseconds."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000 if ordered else 0.0


@dataclass
class Orders:
    """Orders of one lane, by the time at which they were acknowledged."""

    acknowledged: list[str] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    refused: int = 0

    def longest_gap(self, since: float) -> float:
        """The longest time without an acknowledged order after `since`, in seconds, up to now."""
        times = [since, *(at for at in self.times if at >= since), time.monotonic()]
        return max(later - earlier for earlier, later in itertools.pairwise(times))


class Load:
    """Sends requests until stopped; every pod gets the same."""

    def __init__(self, pods: list[PodView]) -> None:
        self.pods = pods
        self.lanes = {pod.name: Orders() for pod in pods}
        self._client = httpx.AsyncClient(timeout=5, limits=httpx.Limits(max_connections=200))
        self._tasks: list[asyncio.Task[None]] = []
        self._run = f"{time.time_ns():x}"

    async def __aenter__(self) -> "Load":
        for pod in self.pods:
            self._tasks.append(asyncio.create_task(self._watch(pod)))
            self._tasks.append(asyncio.create_task(self._order(pod)))
            self._tasks += [asyncio.create_task(self._browse(pod, f"user-{n}")) for n in range(BROWSERS)]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._client.aclose()

    async def _browse(self, pod: PodView, user: str) -> None:
        for number in itertools.count():
            began = time.monotonic()
            pod.requests += 1
            try:
                url = f"{pod.url}/products/{number % 50}"
                status = (await self._client.get(url, headers={"x-user": user})).status_code
            except httpx.HTTPError:
                status = 0
            pod.latencies.append(time.monotonic() - began)
            pod.allowed += status == 200
            pod.limited += status == 429
            pod.failed += status not in {200, 429}
            await asyncio.sleep(max(0.0, began + BROWSE_EVERY - time.monotonic()))

    async def _order(self, pod: PodView) -> None:
        lane = self.lanes[pod.name]
        for number in itertools.count():
            name = f"{self._run}-{pod.name}-{number}"
            try:
                accepted = (await self._client.post(f"{pod.url}/orders/{name}")).status_code == 201
            except httpx.HTTPError:
                accepted = False
            if accepted:
                lane.acknowledged.append(name)
                lane.times.append(time.monotonic())
            else:
                lane.refused += 1
            await asyncio.sleep(ORDER_EVERY)

    async def _watch(self, pod: PodView) -> None:
        while True:
            try:
                pod.generation = (await self._client.get(f"{pod.url}/enforced")).json()["generation"] or 0
            except (httpx.HTTPError, KeyError, ValueError):
                pod.generation = 0
            await asyncio.sleep(0.05)

    def longest_gap(self, since: float) -> float:
        """The worst lane's longest time without an acknowledged order since then, in seconds."""
        return max(lane.longest_gap(since) for lane in self.lanes.values())

    async def lost(self) -> tuple[int, int]:
        """How many orders were acknowledged, and how many of those are not there now."""
        names = [name for lane in self.lanes.values() for name in lane.acknowledged]
        absent = 0
        for start in range(0, len(names), 500):
            chunk = names[start : start + 500]
            answer = await self._client.post(f"{self.pods[0].url}/missing-orders", json=chunk)
            absent += len(answer.raise_for_status().json())
        return len(names), absent
