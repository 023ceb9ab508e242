"""Asking the Sentinels who the primary is, and hearing from them when that changes."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

from carnelian._link.backoff import pause
from carnelian._link.dial import Dialer
from carnelian._link.lane import Lane, Notify
from carnelian._link.pack import pack
from carnelian._link.replies import ExpiredError, LostError, ReplyError, UnreachableError
from carnelian._link.target import Address, Target
from carnelian.errors import AuthError

_FOLLOW = pack(("SUBSCRIBE", "+switch-master", "+monitor"))


class Sentinels:
    """One connection to each Sentinel, for questions and for news."""

    def __init__(self, target: Target, notify: Notify, on_news: Callable[[Address | None], None]) -> None:
        """`on_news` is called when the primary may have changed, with the new one where a Sentinel named it."""
        self._timing = target.timing
        self._name = target.master_name
        self._question = pack(("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._name))
        self._on_news = on_news
        dialer = Dialer.to_sentinels(target)
        self._lost = [asyncio.Event() for _ in target.addresses]
        self._lanes = [
            Lane(address, dialer, notify, on_push=self._pushed, on_lost=lost.set)
            for address, lost in zip(target.addresses, self._lost, strict=True)
        ]
        self._tasks: list[asyncio.Task[None]] = []
        self.trouble = ""

    def follow(self) -> None:
        """Begin to listen for news, once."""
        if not self._tasks:
            pairs = zip(self._lanes, self._lost, strict=True)
            self._tasks = [asyncio.create_task(self._watch(lane, lost)) for lane, lost in pairs]

    async def named(self) -> list[Address]:
        """Who the Sentinels say is the primary, most named first; ends early when most of them agree."""
        expires = asyncio.get_running_loop().time() + self._timing.ask
        tasks = [asyncio.create_task(self._ask(lane, expires)) for lane in self._lanes]
        votes: Counter[Address] = Counter()
        troubles: list[str] = []
        try:
            for answer in asyncio.as_completed(tasks):
                named = await answer
                if isinstance(named, str):
                    troubles.append(named)
                    continue
                votes[named] += 1
                if votes[named] * 2 > len(tasks):
                    break
        finally:
            for task in tasks:
                task.cancel()
        self.trouble = "; ".join(troubles)
        return [address for address, _ in votes.most_common()]

    async def close(self) -> None:
        """End every connection."""
        for task in self._tasks:
            task.cancel()
        for lane in self._lanes:
            lane.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _ask(self, lane: Lane, expires: float) -> Address | str:
        """The primary's address, or what is wrong."""
        who = f"Sentinel {lane.address}"
        try:
            wire = await lane.connected(expires)
            reply = await wire.send(self._question, expires)
        except (AuthError, UnreachableError, LostError, ReplyError) as error:
            return f"{who}: {error}"
        except ExpiredError:
            return f"{who}: no answer"
        if reply is None:
            return f"{who} knows no {self._name!r}"
        return Address(reply[0].decode(), int(reply[1]))

    async def _watch(self, lane: Lane, lost: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        failures = 0
        while True:
            lost.clear()
            try:
                wire = await lane.connected(loop.time() + self._timing.connect)
            except (AuthError, UnreachableError):
                failures += 1
                await asyncio.sleep(4 * pause(self._timing, failures))
                continue
            wire.post(_FOLLOW)
            if failures:
                self._on_news(None)  # whatever it said meanwhile was missed
            failures = 1
            await lost.wait()

    def _pushed(self, push: list[Any]) -> None:
        if push[0] != b"message":
            return
        words = push[2].decode().split()
        if push[1] == b"+switch-master" and words[0] == self._name:
            self._on_news(Address(words[3], int(words[4])))
        elif push[1] == b"+monitor" and words[1] == self._name:
            self._on_news(Address(words[2], int(words[3])))
