"""Everything that is open to one server: the shared lane, the durable lane, connections for blocking commands."""

from collections.abc import Callable
from typing import Any

from carnelian._link.dial import Dialer
from carnelian._link.durable import DurableLane
from carnelian._link.lane import Lane, Notify
from carnelian._link.replies import UnreachableError
from carnelian._link.target import Address
from carnelian._link.wire import Wire, unawaited

_IDLE_MOST = 4
"""Connections for blocking commands that are kept for the next one."""


class Node:
    """One server."""

    def __init__(
        self, address: Address, dialer: Dialer, notify: Notify, *, on_lost: Callable[[], None] | None = None
    ) -> None:
        """`on_lost` is called when the shared connection ends."""
        self.address = address
        self._dialer = dialer
        self.lane = Lane(address, dialer, notify, on_lost=on_lost)
        self.durable = DurableLane(Lane(address, dialer, notify))
        self._idle: list[Wire] = []
        self._busy: set[Wire] = set()
        self._closed = False

    @property
    def owed(self) -> int:
        """How many commands have no reply yet."""
        lanes = (self.lane.wire, self.durable.lane.wire)
        return sum(wire.owed for wire in (*lanes, *self._busy) if wire is not None)

    async def block(self, packed: bytes, expires: float, prefix: tuple[bytes, ...] = ()) -> Any:
        """The reply of a blocking command, sent behind `prefix` on a connection that nobody shares.

        A call that is cancelled or out of time ends its connection: the server would go on waiting for it.
        """
        wire = await self._own()
        self._busy.add(wire)
        try:
            for command in prefix:
                wire.send(command, expires).add_done_callback(unawaited)
            value = await wire.send(packed, expires)
        except BaseException:
            if wire.owed:
                wire.abort("the blocking call was given up")
            raise
        finally:
            self._busy.discard(wire)
            self._keep(wire)
        return value

    async def listen(self, on_push: Callable[[list[Any]], None], on_lost: Callable[[Wire, str], None]) -> Wire:
        """A connection for push messages; it ends when the node is closed or dropped."""

        def lost(wire: Wire, reason: str) -> None:
            self._busy.discard(wire)
            on_lost(wire, reason)

        wire = await self._dial(on_lost=lost, on_push=on_push)
        self._busy.add(wire)
        return wire

    def close(self, reason: str = "closed") -> None:
        """End every connection; calls in flight fail."""
        self._closed = True
        self.drop(reason)
        self.lane.close(reason)
        self.durable.lane.close(reason)

    def drop(self, reason: str) -> None:
        """End the connections that there are, since they lead to the wrong server."""
        self.lane.drop(reason)
        self.durable.lane.drop(reason)
        for wire in [*self._idle, *self._busy]:
            wire.abort(reason)
        self._idle.clear()

    async def _own(self) -> Wire:
        while self._idle:
            wire = self._idle.pop()
            if not wire.lost:
                return wire
        return await self._dial(watched=False)

    async def _dial(self, **how: Any) -> Wire:
        if not self._closed:
            wire = await self._dialer.dial(self.address, **how)
            if not self._closed:
                return wire
            wire.abort("closed meanwhile")
        raise UnreachableError(f"{self.address} is no longer used")

    def _keep(self, wire: Wire) -> None:
        if wire.lost:
            return
        if self._closed or len(self._idle) >= _IDLE_MOST:
            wire.abort("not needed")
        else:
            self._idle.append(wire)
