"""Writes that count as done when a replica has them: `WAIT` behind the writes of a tick, on the same connection."""

import asyncio
from typing import Any

from carnelian._link.lane import Lane
from carnelian._link.pack import pack
from carnelian._link.replies import ExpiredError, LostError, ReplyError
from carnelian._link.wire import Reply, Wire, unawaited
from carnelian.errors import DurabilityError

_MARGIN = 0.05
"""`WAIT` ends this much (seconds) before the deadline, so that its count arrives in time."""


class DurableLane:
    """A lane of its own, since `WAIT` holds up whatever is behind it.

    All writes of one tick share one `WAIT`, which covers them all.
    """

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        self._confirmations: list[Reply] = []
        self._expires = 0.0

    async def write(self, packed: bytes, expires: float, prefix: tuple[bytes, ...] = ()) -> Any:
        """The reply of a write that a replica has confirmed; the commands of `prefix` are sent right before it.

        Raises:
            DurabilityError: the primary carried it out, and no replica confirmed it in time.
        """
        wire = await self.lane.connected(expires)
        loop = asyncio.get_running_loop()
        confirmation: Reply = loop.create_future()
        if not self._confirmations:
            self._expires = 0.0
            loop.call_soon(self._wait, wire)  # before the wire's own flush, so in the same batch
        self._confirmations.append(confirmation)
        self._expires = max(self._expires, expires)
        for command in prefix:
            wire.send(command, expires).add_done_callback(unawaited)
        try:
            value = await wire.send(packed, expires)
        except BaseException:
            confirmation.cancel()
            raise
        await self._confirmed(confirmation, expires)
        return value

    async def _confirmed(self, confirmation: Reply, expires: float) -> None:
        where = self.lane.address
        try:
            async with asyncio.timeout_at(expires):
                replicas = await confirmation
        except (ExpiredError, TimeoutError):
            raise DurabilityError(f"{where} carried the write out; no replica confirmed it in time") from None
        except (LostError, ReplyError) as error:
            raise DurabilityError(f"{where} carried the write out; no replica is known to have it: {error}") from error
        if not replicas:
            raise DurabilityError(f"{where} carried the write out; no replica confirmed it: are they connected?")

    def _wait(self, wire: Wire) -> None:
        confirmations, self._confirmations = self._confirmations, []
        # A connection that is silent for longer counts as dead, and takes those who wait behind with it.
        left = min(self._expires - asyncio.get_running_loop().time(), wire.silence) - _MARGIN
        command = pack(("WAIT", 1, max(1, int(left * 1000))))

        def share(reply: Reply) -> None:
            error = reply.exception()
            for confirmation in confirmations:
                if confirmation.done():
                    continue
                if error is None:
                    confirmation.set_result(reply.result())
                else:
                    confirmation.set_exception(error)

        wire.send(command, self._expires).add_done_callback(share)
