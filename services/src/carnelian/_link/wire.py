"""One TCP connection on which the commands of one event-loop tick leave together and replies come back in order."""

import asyncio
from collections import deque
from collections.abc import Callable
from math import inf
from typing import Any, Final, cast

import hiredis

from carnelian._link.pack import pack
from carnelian._link.replies import ExpiredError, LostError, ReplyError
from carnelian._link.target import Address, Timing

_INCOMPLETE: Final = object()
_PING: Final = pack(("PING",))
_GRAIN: Final = 0.002
"""Deadlines are looked at no more often than this (seconds), so that a stall with many callers stays cheap."""

Reply = asyncio.Future[Any]
Entry = tuple[Reply, bytes, float]


def unawaited(reply: Reply) -> None:
    """Take the outcome of a command that nobody waits for."""
    if not reply.cancelled():
        reply.exception()


class Wire(asyncio.Protocol):
    """A multiplexed connection: callers come and go, the connection stays.

    A caller that is cancelled or out of time only leaves its place in the queue of replies; the reply is thrown away
    when it comes. Commands wait here while the socket's buffer is full: they count as not sent.
    A reply behind a big one waits for it, as on any connection: keep values of megabytes out of hot instances.
    """

    def __init__(
        self,
        address: Address,
        timing: Timing,
        *,
        watched: bool = True,
        on_lost: Callable[["Wire", str], None] | None = None,
        on_push: Callable[[list[Any]], None] | None = None,
    ) -> None:
        """`watched` connections are pinged when idle and ended when they owe replies in silence."""
        self.address = address
        self._loop = asyncio.get_running_loop()
        self._timing = timing
        self._watched = watched
        self.on_lost = on_lost
        self.on_push = on_push
        self._reader = hiredis.Reader(replyError=ReplyError, notEnoughData=_INCOMPLETE)
        self._transport: asyncio.Transport | None = None
        self._batch: list[Entry] = []
        self._inflight: deque[Entry] = deque()
        self._flushing = False
        self._paused = False
        self._alone = False
        """One caller at a time: its commands need not wait for company that does not come."""
        self._lost = ""
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at = inf
        self._watch: asyncio.TimerHandle | None = None
        self._heard = 0.0

    def send(self, packed: bytes, expires: float) -> Reply:
        """Put one packed command into this tick's batch; `expires` is on the event loop's clock."""
        reply = self._loop.create_future()
        if self._lost:
            reply.set_exception(LostError(self.address, self._lost, sent=False))
            return reply
        if self._alone and not self._inflight and not self._batch and self._transport is not None:
            self._heard = self._loop.time()
            self._inflight.append((reply, packed, expires))
            self._transport.write(packed)
        else:
            self._alone = False
            self._batch.append((reply, packed, expires))
            if not self._flushing:
                self._flushing = True
                self._loop.call_soon(self._flush)
        if expires < self._alarm_at:
            self._set_alarm(expires)
        return reply

    def post(self, packed: bytes) -> None:
        """Send a command that the server answers by push messages only, such as SUBSCRIBE."""
        if self._transport is not None and not self._lost:
            self._transport.write(packed)

    @property
    def owed(self) -> int:
        """How many commands have no reply yet."""
        return len(self._inflight) + len(self._batch)

    @property
    def silence(self) -> float:
        """How long the server may owe a reply without a sign of life, in seconds."""
        return self._timing.silence

    @property
    def lost(self) -> bool:
        """Whether the connection has ended."""
        return bool(self._lost)

    def abort(self, reason: str) -> None:
        """End the connection now; commands without a reply fail."""
        if self._lost:
            return
        if self._transport is not None:
            self._transport.abort()
        self._fail(reason)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the watch."""
        self._transport = cast("asyncio.Transport", transport)
        self._heard = self._loop.time()
        if self._watched:
            self._watch = self._loop.call_later(min(self._timing.ping, self._timing.silence), self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail what has no reply."""
        self._fail(str(exc) if exc else "the server closed it")

    def pause_writing(self) -> None:
        """Keep commands back while the socket's buffer is full."""
        self._paused = True
        self._alone = False

    def resume_writing(self) -> None:
        """Send what was kept back."""
        self._paused = False
        if self._batch:
            self._flush()

    def data_received(self, data: bytes) -> None:
        """Hand replies to their callers, in order."""
        self._heard = self._loop.time()
        reader, inflight = self._reader, self._inflight
        try:
            reader.feed(data)
            while (value := reader.gets()) is not _INCOMPLETE:
                if value.__class__ is hiredis.PushNotification:
                    if self.on_push is not None:
                        self.on_push(value)
                    continue
                if not inflight:
                    self.abort(f"unasked: {value!r}" if isinstance(value, ReplyError) else "a reply nobody asked for")
                    return
                reply = inflight.popleft()[0]
                if reply.done():
                    continue
                if value.__class__ is ReplyError:
                    reply.set_exception(value)
                else:
                    reply.set_result(value)
        except (hiredis.HiredisError, TypeError) as error:
            self.abort(f"not understood: {error}")

    def _flush(self) -> None:
        self._flushing = False
        if self._paused or self._lost or self._transport is None:
            return
        entries = [entry for entry in self._batch if not entry[0].done()]
        self._batch.clear()
        if not entries:
            return
        if not self._inflight:
            self._heard = self._loop.time()
            self._alone = len(entries) == 1
        self._inflight.extend(entries)
        self._transport.write(b"".join([entry[1] for entry in entries]))

    def _fail(self, reason: str) -> None:
        if self._lost:
            return
        self._lost = reason
        for timer in (self._alarm, self._watch):
            if timer is not None:
                timer.cancel()
        for entries, sent in ((self._inflight, True), (self._batch, False)):
            for reply, _, _ in entries:
                if not reply.done():
                    reply.set_exception(LostError(self.address, reason, sent=sent))
            entries.clear()
        if self.on_lost is not None:
            self.on_lost(self, reason)

    def _set_alarm(self, when: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm_at = when
        self._alarm = self._loop.call_at(when, self._expire)

    def _expire(self) -> None:
        """Fail the calls whose deadline has come. One timer serves all: most calls never meet theirs."""
        now, earliest = self._loop.time(), inf
        for entries in (self._inflight, self._batch):
            for reply, _, expires in entries:
                if reply.done():
                    continue
                if expires <= now:
                    reply.set_exception(ExpiredError())
                elif expires < earliest:
                    earliest = expires
        self._alarm, self._alarm_at = None, inf
        if earliest < inf:
            self._set_alarm(max(earliest, now + _GRAIN))

    def _look(self) -> None:
        """See whether the server still talks."""
        quiet = self._loop.time() - self._heard
        if self._inflight and quiet >= self._timing.silence:
            self.abort(f"silent for {quiet:.1f} s")
            return
        if not self._inflight and quiet >= self._timing.ping:
            self.send(_PING, inf).add_done_callback(unawaited)
            quiet = 0.0
        limit = self._timing.silence if self._inflight else self._timing.ping
        self._watch = self._loop.call_later(max(limit - quiet, 0.01), self._look)
