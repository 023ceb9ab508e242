"""Opening a connection: TCP, then one round trip of handshake."""

import asyncio
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import carnelian
from carnelian._link.pack import pack
from carnelian._link.replies import UNAUTHENTICATED, ExpiredError, LostError, ReplyError, UnreachableError
from carnelian._link.target import Address, Target, Timing
from carnelian._link.wire import Wire
from carnelian.errors import AuthError


@dataclass(frozen=True, slots=True)
class Dialer:
    """Opens connections to servers that share credentials."""

    username: str
    password: str = field(repr=False)
    db: int
    client_name: str
    timing: Timing

    @classmethod
    def to_servers(cls, target: Target) -> "Dialer":
        """For the data servers of `target`."""
        return cls(target.username, target.password, target.db, target.client_name, target.timing)

    @classmethod
    def to_sentinels(cls, target: Target) -> "Dialer":
        """For the Sentinels of `target`."""
        return cls(target.sentinel_username, target.sentinel_password, 0, target.client_name, target.timing)

    async def dial(
        self,
        address: Address,
        *,
        watched: bool = True,
        on_lost: Callable[[Wire, str], None] | None = None,
        on_push: Callable[[list[Any]], None] | None = None,
    ) -> Wire:
        """A connection that speaks RESP3, is authenticated and named.

        Raises:
            AuthError: the server refused the user or the password.
            UnreachableError: nothing listens there, or it did not answer in time.
        """
        loop = asyncio.get_running_loop()
        wire = Wire(address, self.timing, watched=watched, on_push=on_push)
        expires = loop.time() + self.timing.connect
        try:
            async with asyncio.timeout_at(expires):
                transport, _ = await loop.create_connection(lambda: wire, address.host, address.port)
            _keep_alive(transport)
            await self._greet(wire, expires)
        except (OSError, LostError, ExpiredError) as error:
            wire.abort("not established")
            raise UnreachableError(_said(error, self.timing.connect)) from error
        except BaseException:
            wire.abort("not established")
            raise
        if wire.lost:
            raise UnreachableError("it closed the connection at once")
        wire.on_lost = on_lost
        return wire

    async def _greet(self, wire: Wire, expires: float) -> None:
        hello: list[str | int] = ["HELLO", 3]
        if self.password:
            hello += ["AUTH", self.username or "default", self.password]
        commands: list[tuple[str | int, ...]] = [
            (*hello, "SETNAME", self.client_name),
            ("CLIENT", "SETINFO", "LIB-NAME", "carnelian"),
            ("CLIENT", "SETINFO", "LIB-VER", carnelian.__version__),
        ]
        if self.db:
            commands.append(("SELECT", self.db))
        replies = [wire.send(pack(command), expires) for command in commands]
        outcomes = await asyncio.gather(*replies, return_exceptions=True)
        # Servers before 7.2 know no SETINFO, and an ACL may forbid it: a name is not worth a connection.
        for outcome in (outcomes[0], *outcomes[3:]):
            if isinstance(outcome, ReplyError):
                raise self._refusal(wire.address, outcome)
            if isinstance(outcome, BaseException):
                raise outcome

    def _refusal(self, address: Address, error: ReplyError) -> Exception:
        if error.code not in UNAUTHENTICATED:
            return UnreachableError(str(error))
        who = f"user {self.username!r}" if self.username else "the default user"
        have = "its password" if self.password else "no password"
        return AuthError(f"{address} refused {who} with {have} ({error.code}): compare them with the server's ACL")


def _keep_alive(transport: asyncio.BaseTransport) -> None:
    """Let the kernel notice a dead peer, also where a silent server is in order (blocking commands)."""
    sock = transport.get_extra_info("socket")
    for level, option, value in (
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
        (socket.IPPROTO_TCP, getattr(socket, "TCP_KEEPIDLE", None), 15),
        (socket.IPPROTO_TCP, getattr(socket, "TCP_KEEPINTVL", None), 5),
        (socket.IPPROTO_TCP, getattr(socket, "TCP_KEEPCNT", None), 3),
    ):
        if option is not None:
            sock.setsockopt(level, option, value)


def _said(error: Exception, limit: float) -> str:
    if isinstance(error, TimeoutError | ExpiredError):
        return f"no answer within {limit:g} s"
    if isinstance(error, OSError) and error.errno and error.errno > 0:
        return os.strerror(error.errno)
    return str(error)
