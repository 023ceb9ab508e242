"""Receiving the messages of channels, through reconnections and failovers."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from types import TracebackType
from typing import Any

from carnelian._link.api import Message
from carnelian._link.backoff import pause
from carnelian._link.node import Node
from carnelian._link.pack import pack
from carnelian._link.replies import LostError, UnreachableError
from carnelian._link.target import Timing
from carnelian._link.wire import Wire
from carnelian.errors import AuthError

log = logging.getLogger("carnelian.link")

_KEPT = 1024
"""Messages kept for a reader that is behind; beyond that it is told to refresh instead."""


_END = Message("", b"")


class Subscription(AsyncIterator[Message | None]):
    """The messages of `channels`; None whenever some before may have been missed."""

    def __init__(self, find: Callable[[], Awaitable[Node]], channels: Sequence[str], timing: Timing) -> None:
        if not channels:
            raise ValueError("subscribe needs at least one channel")
        self._find = find
        self._channels = frozenset(channel.encode() for channel in channels)
        self._timing = timing
        self._waiting: set[bytes] = set()
        self._queue: asyncio.Queue[Message | None] = asyncio.Queue()
        self._ended = asyncio.Event()
        self._reason = ""
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> AsyncIterator[Message | None]:
        self._task = asyncio.create_task(self._keep(), name="carnelian subscription")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.end()

    def __aiter__(self) -> AsyncIterator[Message | None]:
        return self

    async def __anext__(self) -> Message | None:
        message = await self._queue.get()
        if message is _END:
            self._queue.put_nowait(_END)
            raise StopAsyncIteration
        return message

    async def end(self) -> None:
        """Unsubscribe; the reader gets what came before, then the end."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None
            self._queue.put_nowait(_END)

    async def _keep(self) -> None:
        """Subscribe, and again whenever the connection ends."""
        failures = 0
        while True:
            try:
                await self._once()
                failures = 0
            except (AuthError, UnreachableError, LostError) as error:
                self._reason = str(error)
            failures += 1
            if failures == 3:
                log.warning("cannot stay subscribed, still trying: %s", self._reason)
            await asyncio.sleep(pause(self._timing, failures))

    async def _once(self) -> None:
        """Return when a subscription that was established has ended."""
        self._ended.clear()
        self._waiting = set(self._channels)
        node = await self._find()
        wire = await node.listen(self._pushed, self._lost)
        try:
            wire.post(pack(("SUBSCRIBE", *self._channels)))
            await self._ended.wait()
        finally:
            wire.abort("unsubscribed")
        if self._waiting:
            raise UnreachableError(f"{node.address} ended the subscription before it began: {self._reason}")

    def _lost(self, _wire: Wire, reason: str) -> None:
        self._reason = reason
        self._ended.set()

    def _pushed(self, push: list[Any]) -> None:
        kind, channel = push[0], push[1]
        if kind == b"message":
            if self._queue.qsize() < _KEPT:
                self._queue.put_nowait(Message(channel.decode(), push[2]))
            else:
                self._restart()
        elif kind == b"subscribe":
            self._waiting.discard(channel)
            if not self._waiting:
                self._queue.put_nowait(None)

    def _restart(self) -> None:
        while not self._queue.empty():
            self._queue.get_nowait()
        self._queue.put_nowait(None)
