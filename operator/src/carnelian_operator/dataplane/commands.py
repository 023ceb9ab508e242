"""What the operator tells servers. Each is idempotent: said twice, it changes nothing the second time."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from redis.exceptions import ResponseError

from carnelian_operator.dataplane.client import Address, RefusedError, UnreachableError, ask, tell
from carnelian_operator.dataplane.probe import probe_server

_POLL_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Watch:
    """What a Sentinel is told to watch."""

    master_name: str
    host: str
    port: int
    quorum: int
    down_after: int
    """Milliseconds of silence until the primary counts as down."""

    @property
    def failover_timeout(self) -> int:
        """Milliseconds after which an attempt is given up; the next starts after twice as long."""
        return max(10_000, 5 * self.down_after)


async def promote(server: Address) -> None:
    """Make it a primary."""
    await tell(server, [("REPLICAOF", "NO", "ONE")])


async def follow(server: Address, host: str, port: int) -> None:
    """Make it a replica of that address. Clients of what was a primary are sent away, so that they look anew."""
    await tell(server, [("REPLICAOF", host, port), ("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")])


async def kill_clients(server: Address) -> None:
    """Close the connections of ordinary clients; those of replicas and Sentinels stay."""
    await tell(server, [("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")])


async def set_config(server: Address, values: Mapping[str, str]) -> None:
    """Change live directives."""
    words = [word for pair in values.items() for word in pair]
    await tell(server, [("CONFIG", "SET", *words)])


async def failover_to(primary: Address, host: str, port: int, *, seconds: float) -> None:
    """Hand the primary's role to a replica without losing a write, and wait until it is done.

    Writes pause until the replica has everything. On failure the server stays the primary.

    Raises:
        RefusedError: the replica did not catch up in time, or the server does not know it.
        UnreachableError: the server stopped answering; who is the primary must be observed anew.
    """
    await tell(primary, [("FAILOVER", "TO", host, port, "TIMEOUT", int(seconds * 1000))])
    try:
        async with asyncio.timeout(seconds + 2):
            state = await probe_server(primary, ())
            while state.failover != "no-failover":
                await asyncio.sleep(_POLL_SECONDS)
                state = await probe_server(primary, ())
    except TimeoutError as error:
        raise UnreachableError(f"{primary}: the handover to {host} did not end in {seconds + 2:g} s") from error
    if state.is_primary:
        raise RefusedError(f"{primary} stayed the primary: {host} did not catch up in {seconds:g} s")


async def watch(sentinel: Address, target: Watch, password: str) -> None:
    """Have a Sentinel watch exactly this primary, whatever it watched under the name before.

    Raises:
        RefusedError: it could not resolve the host name, for example because the pod has no address yet.
    """
    await ask(sentinel, [("SENTINEL", "REMOVE", target.master_name)])
    settings: tuple[str | int, ...] = (
        *("auth-user", "sentinel", "auth-pass", password),
        *("down-after-milliseconds", target.down_after, "failover-timeout", target.failover_timeout),
        *("parallel-syncs", 1),
    )
    await tell(
        sentinel,
        [
            ("SENTINEL", "MONITOR", target.master_name, target.host, target.port, target.quorum),
            ("SENTINEL", "SET", target.master_name, *settings),
        ],
    )


async def unwatch(sentinel: Address, master_name: str) -> None:
    """Have a Sentinel forget a primary; not knowing it is fine."""
    (reply,) = await ask(sentinel, [("SENTINEL", "REMOVE", master_name)])
    if isinstance(reply, ResponseError) and "No such master" not in str(reply):
        raise RefusedError(f"{sentinel} refused SENTINEL REMOVE: {reply}")
