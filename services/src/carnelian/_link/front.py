"""What all topologies share: sending, deadlines, and what is tried again."""

import asyncio
import contextlib
import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from math import inf
from typing import Any
from weakref import WeakSet

from carnelian._link.api import Arg, Durability, DurabilityName, Message
from carnelian._link.backoff import pause
from carnelian._link.commands import check_stateless, may_repeat, name_of
from carnelian._link.dial import Dialer
from carnelian._link.node import Node
from carnelian._link.pack import pack
from carnelian._link.push import Subscription
from carnelian._link.replies import RETRIED, UNAVAILABLE, ExpiredError, LostError, ReplyError, UnreachableError
from carnelian._link.script import Script
from carnelian._link.target import Address, Event, Target
from carnelian._link.wire import unawaited
from carnelian.errors import DeadlineError, ServerError, UnavailableError

log = logging.getLogger("carnelian.link")

_LOADS = 3
"""How often a script that the server does not know is loaded in one call."""

_ASKING = pack(("ASKING",))
_FAILURES = (ReplyError, ExpiredError, LostError, UnreachableError)


class Trial:
    """One call that did not succeed at once."""

    def __init__(self, name: str, expires: float) -> None:
        self.name = name
        self.expires = expires
        self.failures = 0


class Front(ABC):
    """A `Link` over whatever `_route` leads to."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self._timing = target.timing
        self._dialer = Dialer.to_servers(target)
        self._active = 0
        self._closed = False
        self._quiet = asyncio.Event()
        self._subscriptions: WeakSet[Subscription] = WeakSet()

    @abstractmethod
    def _route(self, args: Sequence[Arg]) -> Node | None:
        """The node to send this to, if that is known without asking."""

    @abstractmethod
    async def _find(self, args: Sequence[Arg], expires: float) -> Node:
        """The node to send this to. Raises `UnreachableError` when there is none by `expires`."""

    @abstractmethod
    def _suspect(self, node: Node | None, *, lost: bool) -> None:
        """A connection to `node` was lost or could not be made, or it is slow: look again where things are."""

    @abstractmethod
    def _refused(self, node: Node, error: ReplyError) -> Node | None:
        """A reply said that this node is the wrong one, or not ready; returns a node to ask just once."""

    @abstractmethod
    async def _close(self) -> None:
        """End every connection."""

    async def execute(
        self, *args: Arg, deadline: float | None = None, durability: DurabilityName = Durability.ASYNC
    ) -> Any:
        """See `Link.execute`."""
        check_stateless(args)
        return await self._run(args, pack(args), self._expiry(deadline), durability)

    async def eval(
        self,
        script: Script,
        keys: Sequence[str | bytes],
        args: Sequence[Arg],
        *,
        deadline: float | None = None,
        durability: DurabilityName = Durability.ASYNC,
    ) -> Any:
        """See `Link.eval`."""
        command = ("EVALSHA", script.sha, len(keys), *keys, *args)
        packed = pack(command)
        expires = self._expiry(deadline)
        prefix: tuple[bytes, ...] = ()
        for _ in range(_LOADS + 1):
            try:
                return await self._run(command, packed, expires, durability, prefix)
            except ServerError as error:
                if error.code != "NOSCRIPT":
                    raise
            # Not carried out, so it may be sent again, right behind the source; a flush in between starts over.
            prefix = (pack(("SCRIPT", "LOAD", script.source)),)
        who = f"user {self.target.username!r}" if self.target.username else "the default user"
        raise ServerError(f"script {script.name} cannot be loaded: allow {who} SCRIPT LOAD (+script|load)", "NOSCRIPT")

    async def blocking(self, *args: Arg, timeout: float) -> Any:
        """See `Link.blocking`."""
        check_stateless(args)
        packed = pack(args)
        trial: Trial | None = None
        once: Node | None = None
        limit = timeout + self._timing.deadline if timeout else inf
        self._enter()
        try:
            while True:
                node = None
                now = asyncio.get_running_loop().time()
                try:
                    node = once or self._route(args) or await self._find(args, now + self._timing.deadline)
                    return await node.block(packed, now + limit, (_ASKING,) if once else ())
                except _FAILURES as error:
                    trial = trial or Trial(name_of(args), now + self._timing.deadline)
                    once = await self._recover(trial, node, error)
        finally:
            self._leave()

    def subscribe(self, *channels: str) -> AbstractAsyncContextManager[AsyncIterator[Message | None]]:
        """See `Link.subscribe`."""
        subscription = Subscription(self._listen, channels, self._timing)
        self._subscriptions.add(subscription)
        return subscription

    async def aclose(self) -> None:
        """See `Link.aclose`."""
        self._closed = True
        try:
            for subscription in list(self._subscriptions):
                await subscription.end()
            if self._active:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._timing.deadline):
                        await self._quiet.wait()
        finally:
            await self._close()  # also when the caller does not wait for the rest

    async def _run(
        self,
        args: Sequence[Arg],
        packed: bytes,
        expires: float,
        durability: DurabilityName,
        prefix: tuple[bytes, ...] = (),
    ) -> Any:
        """Send `packed`, right behind the commands of `prefix`, until it is answered or may not be sent again."""
        trial: Trial | None = None
        once: Node | None = None
        durable = durability is not Durability.ASYNC and Durability(durability) is Durability.REPLICATED
        self._enter()
        try:
            while True:
                node = None
                try:
                    node = once or self._route(args) or await self._find(args, expires)
                    before = (*prefix, _ASKING) if once else prefix
                    if durable:
                        return await node.durable.write(packed, expires, before)
                    wire = node.lane.wire or await node.lane.connected(expires)
                    for command in before:
                        wire.send(command, expires).add_done_callback(unawaited)
                    return await wire.send(packed, expires)
                except _FAILURES as error:
                    trial = trial or Trial(name_of(args), expires)
                    once = await self._recover(trial, node, error)
        finally:
            self._leave()

    async def _recover(self, trial: Trial, node: Node | None, error: Exception) -> Node | None:
        """Return when the call is to be sent again (with the node to ask once), else raise what the caller sees."""
        where = f"{trial.name} at {node.address}" if node else trial.name
        once: Node | None = None
        redirected = False
        match error:
            case ReplyError() if node is not None:
                if error.code not in UNAVAILABLE:
                    raise ServerError(f"{where}: {error}", error.code) from None
                once = self._refused(node, error)
                redirected = error.code in ("MOVED", "ASK")
                if not redirected and error.code not in RETRIED:
                    raise UnavailableError(f"{where}: {error}") from None
            case ExpiredError():
                self._suspect(node, lost=False)
                raise DeadlineError(f"{where}: no answer in time; it may or may not have been carried out") from None
            case LostError(sent=True) if not may_repeat(trial.name):
                self._suspect(node, lost=True)
                raise UnavailableError(f"{where}: {error}; it may or may not have been carried out") from None
            case _:
                self._suspect(node, lost=True)
        trial.failures += 1
        wait = 0.0 if redirected and trial.failures <= 3 else pause(self._timing, trial.failures)
        if asyncio.get_running_loop().time() + wait >= trial.expires:
            raise UnavailableError(f"{where}: not carried out before its deadline: {error}") from None
        await asyncio.sleep(wait)
        return once

    async def _listen(self) -> Node:
        """The node to subscribe at."""
        args = ("PING",)
        return self._route(args) or await self._find(args, self._expiry(None))

    def _expiry(self, deadline: float | None) -> float:
        return asyncio.get_running_loop().time() + (self._timing.deadline if deadline is None else deadline)

    def _enter(self) -> None:
        if self._closed:
            raise UnavailableError("this link is closed; make another one")
        self._active += 1

    def _leave(self) -> None:
        self._active -= 1
        if self._closed and not self._active:
            self._quiet.set()

    def _node(self, address: Address) -> Node:
        return Node(address, self._dialer, self._notify)

    def _notify(self, event: Event) -> None:
        if self.target.on_event is None:
            return
        try:
            self.target.on_event(event)
        except Exception:
            log.exception("the hook for connection events failed on %s", event)
