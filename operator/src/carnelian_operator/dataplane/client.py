"""One short conversation with one server: connect, log in, ask everything at once, hang up.

Nothing is retried and nothing waits longer than the deadline: a slow server must not delay another instance, and
the next reconcile is the retry.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from redis.asyncio.connection import Connection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

Command = tuple[str | int, ...]
DEADLINE = 1.0
"""Seconds for a whole conversation, connecting included."""


class UnreachableError(Exception):
    """The server did not answer in time, or refused the connection or the login."""


class RefusedError(Exception):
    """The server answered a command with an error."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where and as whom to connect."""

    host: str
    port: int
    username: str
    password: str = field(repr=False)

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def connection(address: Address, *, protocol: int = 2, timeout: float = DEADLINE) -> Connection:
    """A connection, not yet opened, that retries nothing and announces nothing."""
    return Connection(
        host=address.host,
        port=address.port,
        username=address.username,
        password=address.password,
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        retry=Retry(NoBackoff(), 0),
        protocol=protocol,
        driver_info=None,
        client_name="carnelian-operator",
        decode_responses=True,
        encoding_errors="replace",
    )


async def ask(address: Address, commands: Sequence[Command], *, deadline: float = DEADLINE) -> list[Any]:
    """Send all commands in one go.

    Returns:
        One reply a command; an error that the server answered is returned in its place as `ResponseError`.

    Raises:
        UnreachableError: no complete answer within `deadline` seconds.
    """
    link = connection(address, timeout=deadline)
    try:
        async with asyncio.timeout(deadline):
            await link.connect()  # type: ignore[no-untyped-call]
            await link.send_packed_command(link.pack_commands(commands), check_health=False)
            return [await _reply(link) for _ in commands]
    except (TimeoutError, OSError, RedisError) as error:
        raise UnreachableError(f"{address}: {error or type(error).__name__}") from error
    finally:
        await link.disconnect(nowait=True)


async def tell(address: Address, commands: Sequence[Command], *, deadline: float = DEADLINE) -> list[Any]:
    """Like `ask`, where every command must succeed.

    Raises:
        RefusedError: the server answered a command with an error; the later ones were carried out all the same.
        UnreachableError: no complete answer within `deadline` seconds.
    """
    replies = await ask(address, commands, deadline=deadline)
    for command, reply in zip(commands, replies, strict=True):
        if isinstance(reply, ResponseError):
            raise RefusedError(f"{address} refused {command[0]}: {reply}")
    return replies


async def _reply(link: Connection) -> Any:
    try:
        return await link.read_response()
    except ResponseError as error:
        return error
