"""Keeps a process's policies at the data plane's, and acknowledges what is enforced."""

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from carnelian import __version__
from carnelian._link.api import Link
from carnelian._link.script import load_script
from carnelian._policy.identity import Identity
from carnelian._policy.snapshot import Kinds, Snapshot
from carnelian.errors import AuthError, CarnelianError, PolicyError, UnavailableError
from carnelian.policies import wire

_log = logging.getLogger("carnelian.policy")

RETRY_FIRST, RETRY_MOST = 0.05, 1.0
"""Pauses before a failed refresh or acknowledgement is tried again, in seconds; jittered."""
LEAVE_SECONDS = 1.0
"""How long a closing process tries to take its acknowledgement back."""


class PolicyWatcher:
    """Holds the snapshot; replaces it as soon as the data plane announces a change, or a heartbeat finds one.

    While the data plane is away the last snapshot stays. A policy is handed out as one immutable object, so no check
    sees half of a change.

    Args:
        link: the connection to the data plane.
        kinds: how documents are made ready.
        identity: who acknowledges.
        start: what is enforced until the data plane answers.
        settle: waits for the decisions under way, which a former snapshot made; only then is the new one acknowledged.
        patience: how long after the start an unknown policy is waited for, in seconds.
    """

    def __init__(
        self,
        link: Link,
        kinds: Kinds,
        identity: Identity,
        start: Snapshot,
        settle: Callable[[], Awaitable[None]],
        *,
        patience: float,
    ) -> None:
        self.snapshot = start
        self._link = link
        self._kinds = kinds
        self._identity = identity
        self._settle = settle
        self._deadline = time.monotonic() + patience
        self._stale = asyncio.Event()
        self._replaced = asyncio.Event()
        self._acknowledge = load_script("carnelian._policy", "acknowledge")
        self._leave = load_script("carnelian._policy", "leave")
        self._stale.set()
        self._tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._follow())]

    async def awaited(self, field: str) -> Any:
        """The policy of a document's field; shortly after the start, waits for it.

        Raises:
            PolicyError: it is not known.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._deadline - time.monotonic()):
                while field not in self.snapshot.held:
                    await self._replaced.wait()
        held = self.snapshot.held.get(field)
        if held is None:
            raise PolicyError(self._missing(field))
        return held.policy

    def stop(self) -> None:
        """Stop following; the snapshot stays."""
        for task in self._tasks:
            task.cancel()

    async def aclose(self) -> None:
        """Stop following, and take the acknowledgement back if the data plane can be reached."""
        self.stop()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        keys, args = (wire.CLIENTS, wire.SEEN), (self._identity.client, wire.ACKS)
        with contextlib.suppress(CarnelianError):
            await self._link.eval(self._leave, keys, args, deadline=LEAVE_SECONDS)

    async def _listen(self) -> None:
        """Notice announcements; whenever some may have been missed, assume one."""
        pause = RETRY_FIRST
        while True:
            try:
                async with self._link.subscribe(wire.CHANGED) as messages:
                    async for message in messages:
                        pause = RETRY_FIRST
                        if message is None or message.data != str(self.snapshot.epoch).encode():
                            self._stale.set()
            except CarnelianError as error:
                _log.debug("policy announcements are not received: %s", error)
            await asyncio.sleep(_jittered(pause))
            pause = min(pause * 2, RETRY_MOST)

    async def _follow(self) -> None:
        """Refresh when the snapshot may be stale; else say in each heartbeat that it is enforced."""
        pause = RETRY_FIRST
        while True:
            try:
                await self._step()
            except (CarnelianError, ValueError) as error:
                # That the data plane is away passes; that it refuses does not, so it is said, once in a row.
                passing = isinstance(error, UnavailableError) and not isinstance(error, AuthError)
                level = logging.DEBUG if passing or pause > RETRY_FIRST else logging.WARNING
                _log.log(level, "policies stay at epoch %d: %s", self.snapshot.epoch, error)
                self._stale.set()  # an answer may have been missed, so read again
                await asyncio.sleep(_jittered(pause))
                pause = min(pause * 2, RETRY_MOST)
            else:
                pause = RETRY_FIRST

    async def _step(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_jittered(wire.HEARTBEAT_SECONDS)):
                await self._stale.wait()
        if self._stale.is_set():
            self._stale.clear()
            self._replace(self.snapshot.renewed(await self._link.execute("HGETALL", wire.DOCUMENTS), self._kinds))
            await self._settle()
        epoch = await self._acknowledged()
        if epoch is not None and epoch != self.snapshot.epoch:
            self._stale.set()

    def _replace(self, snapshot: Snapshot) -> None:
        for field, reason in snapshot.rejected.items():
            if self.snapshot.rejected.get(field) != reason:
                kept = "the last good one stays" if field in snapshot.held else "there is none to fall back on"
                _log.error("policy %s cannot be read, %s: %s", field, kept, reason)
        self.snapshot = snapshot
        self._replaced.set()
        self._replaced = asyncio.Event()

    async def _acknowledged(self) -> int | None:
        """Acknowledge the snapshot; the epoch that the data plane has."""
        acknowledgement = wire.Acknowledgement(
            client=self._identity.client,
            epoch=self.snapshot.epoch,
            pod=self._identity.pod,
            namespace=self._identity.namespace,
            version=__version__,
            rejected=dict(self.snapshot.rejected),
        )
        epoch = await self._link.eval(
            self._acknowledge,
            (wire.CLIENTS, wire.SEEN, wire.DOCUMENTS),
            (
                self._identity.client,
                msgspec.json.encode(acknowledgement, order="sorted"),
                wire.ACKS,
                int(wire.CLIENT_TTL_SECONDS * 1000),
            ),
        )
        return None if epoch is None else int(epoch)

    def _missing(self, field: str) -> str:
        kind, _, name = field.partition("/")
        if field in self.snapshot.rejected:
            return f"{kind} {name!r} cannot be read by carnelian {__version__}: {self.snapshot.rejected[field]}"
        known = ", ".join(self.snapshot.names(kind)) or "none"
        remedy = (
            f"apply a {kind} with this name for the instance, or put it into the file that CARNELIAN_POLICIES names"
        )
        if self.snapshot.epoch == 0:
            return f"no {kind} {name!r} is known, and none was received from the data plane (known: {known}); {remedy}"
        return f"no {kind} {name!r} is known (known: {known}); {remedy}"


def _jittered(seconds: float) -> float:
    """A little less, so that processes do not act in step."""
    return seconds * random.uniform(0.75, 1.0)  # noqa: S311  # nothing is to be guessed here
