"""What the services ask of a connection to the data plane, whichever topology is behind it."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from enum import StrEnum
from typing import Any, Literal, NamedTuple, Protocol

from carnelian._link.script import Script

Arg = str | bytes | int | float


class Durability(StrEnum):
    """How sure a write is when it is acknowledged to the caller."""

    ASYNC = "async"
    """The primary has it."""
    REPLICATED = "replicated"
    """At least one replica has it too (`WAIT`, counted); `DurabilityError` when that is not known in time."""


DurabilityName = Durability | Literal["async", "replicated"]


class Message(NamedTuple):
    """One push message of a channel."""

    channel: str
    data: bytes


class Link(Protocol):
    """One logical connection to an instance.

    Replies are what the server sent, over RESP3: ``bytes`` for strings, ``int``, ``float``, ``list``, ``dict`` or
    ``None``.
    All methods raise `UnavailableError` (of which `DeadlineError` is one) when the data plane cannot be
    reached in time, and `ServerError` when the server refused the command.
    """

    async def execute(
        self, *args: Arg, deadline: float | None = None, durability: DurabilityName = Durability.ASYNC
    ) -> Any:
        """Send one command in this tick's batch and await its reply; `deadline` is in seconds.

        A cancelled or timed-out call costs no connection. A command that the server did not see is sent
        again after a failover until the deadline ends; one that may have been carried out is sent again only
        when it is read-only. Commands that change the connection (``MULTI``, ``SELECT``, ``SUBSCRIBE`` …) raise
        ``ValueError``.
        """
        ...

    async def eval(
        self,
        script: Script,
        keys: Sequence[str | bytes],
        args: Sequence[Arg],
        *,
        deadline: float | None = None,
        durability: DurabilityName = Durability.ASYNC,
    ) -> Any:
        """Run a Lua script by its digest, loading it where a server does not know it. All keys in one slot."""
        ...

    async def blocking(self, *args: Arg, timeout: float) -> Any:
        """Send one blocking command on a connection of its own; `timeout` is the command's own, in seconds."""
        ...

    def subscribe(self, *channels: str) -> AbstractAsyncContextManager[AsyncIterator[Message | None]]:
        """Receive push messages on a connection of its own.

        Yields ``None`` whenever the subscription was (re-)established, first of all at the start: whatever was
        sent before may have been missed, so the reader refreshes.
        """
        ...

    async def aclose(self) -> None:
        """Finish what was accepted, then close every connection."""
        ...
