"""Listens to every server of every instance, so that a change wakes its reconcile at once instead of at the next poll.

One connection and one task a server. The end of a connection is noticed when it happens; a change of role or of
links, which servers announce to nobody, within a heartbeat; Sentinel's announcements and the acknowledgements of
library processes as they are published.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from redis.asyncio.connection import Connection
from redis.exceptions import RedisError

from carnelian.policies.wire import ACKS
from carnelian_operator.dataplane.client import DEADLINE, Address, connection
from carnelian_operator.runtime.api import Key

HEARTBEAT_SECONDS = 3.0
_RETRY_SECONDS = 1.0
_SWITCHED = "+switch-master"
_PUSHES = {"message", "subscribe"}


@dataclass(frozen=True, slots=True)
class _Target:
    """One server to listen to."""

    pod: str
    address: Address
    channel: str


class Monitor:
    """All listeners of this process.

    Args:
        changed: called with an instance's key when something about its servers changed.
        acknowledged: called with an instance's key when a library process acknowledged something.
    """

    def __init__(self, changed: Callable[[Key], None], acknowledged: Callable[[Key], None]) -> None:
        self._changed = changed
        self._acknowledged = acknowledged
        self._tasks: dict[Key, dict[_Target, asyncio.Task[None]]] = {}

    def listen(self, key: Key, servers: Mapping[str, Address], sentinels: Mapping[str, Address]) -> None:
        """Listen to exactly these servers of an instance; those already listened to are left alone."""
        wanted = {_Target(pod, address, ACKS) for pod, address in servers.items()}
        wanted |= {_Target(pod, address, _SWITCHED) for pod, address in sentinels.items()}
        running = self._tasks.setdefault(key, {})
        for target in [target for target in running if target not in wanted]:
            running.pop(target).cancel()
        for target in wanted - running.keys():
            running[target] = asyncio.create_task(self._keep_listening(key, target), name=f"monitor {target.address}")

    def forget(self, key: Key) -> None:
        """Stop listening to an instance."""
        for task in self._tasks.pop(key, {}).values():
            task.cancel()

    async def aclose(self) -> None:
        """Stop listening to everything."""
        tasks = [task for running in self._tasks.values() for task in running.values()]
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _keep_listening(self, key: Key, target: _Target) -> None:
        while True:
            link = connection(target.address, protocol=3)
            heard = False
            try:
                async with asyncio.timeout(DEADLINE):
                    await link.connect()  # type: ignore[no-untyped-call]
                    await link.send_command("SUBSCRIBE", target.channel)
                heard = True
                await self._listen(key, target, link)
            except (TimeoutError, OSError, RedisError):
                # Only a loss is news; that a server which is away stays away is not.
                if heard:
                    self._changed(key)
            finally:
                await link.disconnect(nowait=True)
            await asyncio.sleep(_RETRY_SECONDS)

    async def _listen(self, key: Key, target: _Target, link: Connection) -> None:
        """Until the connection ends."""
        known: Any = None
        while True:
            await link.send_command("ROLE", check_health=False)
            role = await self._reply(key, target, link)
            if role != known:
                known = role
                self._changed(key)
            await self._idle(key, target, link)

    async def _reply(self, key: Key, target: _Target, link: Connection) -> Any:
        async with asyncio.timeout(DEADLINE):
            while True:
                answer = await link.read_response(push_request=True)
                if not self._is_push(key, target, answer):
                    return summary(answer)

    async def _idle(self, key: Key, target: _Target, link: Connection) -> None:
        """Take what is pushed until the next heartbeat is due."""
        loop = asyncio.get_running_loop()
        due = loop.time() + HEARTBEAT_SECONDS
        while (left := due - loop.time()) > 0:
            answer = await link.read_response(timeout=left, push_request=True)
            if answer is not None:
                self._is_push(key, target, answer)

    def _is_push(self, key: Key, target: _Target, answer: Any) -> bool:
        if not isinstance(answer, list) or not answer or answer[0] not in _PUSHES:
            return False
        if answer[0] == "message":
            (self._acknowledged if target.channel == ACKS else self._changed)(key)
        return True


def summary(role: Sequence[Any]) -> tuple[Any, ...]:
    """What matters of an answer to ``ROLE``: everything but the offsets, which move all the time."""
    if role[0] == "master":
        return ("master", tuple(sorted((host, port) for host, port, _ in role[2])))
    if role[0] == "slave":
        return ("slave", *role[1:4])
    return (role[0], tuple(role[1]))
