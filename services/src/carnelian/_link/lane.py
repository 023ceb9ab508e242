"""A connection that is opened when it is needed and opened again when it was lost."""

import asyncio
from collections.abc import Callable
from typing import Any

from carnelian._link.backoff import pause
from carnelian._link.dial import Dialer
from carnelian._link.replies import UnreachableError
from carnelian._link.shared import outcome
from carnelian._link.target import Address, Event
from carnelian._link.wire import Wire
from carnelian.errors import AuthError

Notify = Callable[[Event], None]


class Lane:
    """One multiplexed connection to one server; `wire` is None while there is none.

    However many callers wait, one attempt to connect is under way, and attempts that fail are spaced.
    """

    def __init__(
        self,
        address: Address,
        dialer: Dialer,
        notify: Notify,
        *,
        on_push: Callable[[list[Any]], None] | None = None,
        on_lost: Callable[[], None] | None = None,
    ) -> None:
        self.address = address
        self.wire: Wire | None = None
        self._dialer = dialer
        self._notify = notify
        self._on_push = on_push
        self._on_lost = on_lost
        self._dialing: asyncio.Task[None] | None = None
        self._failures = 0
        self._not_before = 0.0
        self._trouble: AuthError | UnreachableError | None = None
        self._closed = False

    async def connected(self, expires: float) -> Wire:
        """The connection, once there is one.

        Raises:
            AuthError: the server refused the user or the password.
            UnreachableError: the attempt under way failed, or did not end by `expires`.
        """
        if self.wire is not None:
            return self.wire
        if self._closed:
            raise UnreachableError(f"{self.address} is no longer used")
        if self._dialing is None:
            self._dialing = asyncio.create_task(self._dial(), name=f"carnelian dial {self.address}")
        try:
            await outcome(self._dialing, expires)
        except TimeoutError:
            raise self._trouble or UnreachableError("still connecting") from None
        if self.wire is None:
            raise self._trouble or UnreachableError("connected, and lost it at once")
        return self.wire

    def close(self, reason: str = "closed") -> None:
        """End the connection; calls in flight fail. The lane cannot be used again."""
        self._closed = True
        if self._dialing is not None:
            self._dialing.cancel()
        self.drop(reason)

    def drop(self, reason: str) -> None:
        """End the connection that there is; the next call opens another."""
        if self.wire is not None:
            self.wire.abort(reason)

    async def _dial(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            await asyncio.sleep(self._not_before - loop.time())
            self.wire = await self._dialer.dial(self.address, on_lost=self._lost, on_push=self._on_push)
        except (AuthError, UnreachableError) as error:
            self._trouble = error
            self._failures += 1
            self._not_before = loop.time() + pause(self._dialer.timing, self._failures)
            self._notify(Event("unreachable", self.address, str(error)))
        else:
            self._trouble = None
            self._failures = 0
            self._notify(Event("connected", self.address))
        finally:
            self._dialing = None

    def _lost(self, _wire: Wire, reason: str) -> None:
        self.wire = None
        # A server that accepts and closes at once must not be dialled in a tight loop.
        self._not_before = asyncio.get_running_loop().time() + pause(self._dialer.timing, 1)
        self._notify(Event("lost", self.address, reason))
        if self._on_lost is not None:
            self._on_lost()
