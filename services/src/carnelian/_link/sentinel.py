"""A primary that Sentinels watch and replace."""

import asyncio
from collections.abc import Sequence

from carnelian._link.api import Arg
from carnelian._link.backoff import pause
from carnelian._link.front import Front
from carnelian._link.node import Node
from carnelian._link.pack import pack
from carnelian._link.replies import ExpiredError, LostError, ReplyError, UnreachableError
from carnelian._link.sentinels import Sentinels
from carnelian._link.shared import outcome
from carnelian._link.target import Address, Event, Target
from carnelian.errors import AuthError

_ROLE = pack(("HELLO",))  # says the role too, and unlike ROLE is open to every user


class SentinelLink(Front):
    """A `Link` to the primary of the moment.

    However many calls fail, one search for the primary is under way; calls wait for it until their deadline.
    A server counts as the primary when a Sentinel names it and it says so itself.
    """

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self._sentinels = Sentinels(target, self._notify, self._heard)
        self._primary: Node | None = None
        self._last: Node | None = None
        self._search: asyncio.Task[AuthError | None] | None = None
        self._announced: Address | None = None
        self._news = asyncio.Event()
        self._asked = 0.0
        self._trouble = "not asked yet"

    def _route(self, args: Sequence[Arg]) -> Node | None:
        return self._primary

    async def _find(self, args: Sequence[Arg], expires: float) -> Node:
        try:
            while self._primary is None:
                if refusal := await outcome(self._searching(), expires):
                    raise refusal
        except TimeoutError:
            raise UnreachableError(f"no primary of {self.target.master_name!r}: {self._trouble}") from None
        return self._primary

    def _suspect(self, node: Node | None, *, lost: bool) -> None:
        now = asyncio.get_running_loop().time()
        if node is not self._primary or self._closed:
            return
        if lost:
            self._primary = None
            self._searching()
        elif now - self._asked > self._timing.ask:
            # Slow or frozen: stay with it unless the Sentinels have another one.
            self._searching()

    def _refused(self, node: Node, error: ReplyError) -> Node | None:
        if error.code in ("READONLY", "MASTERDOWN"):
            self._suspect(node, lost=True)
        return None

    async def _close(self) -> None:
        if self._search is not None:
            self._search.cancel()
        await self._sentinels.close()
        if self._last is not None:
            self._last.close()

    def _heard(self, announced: Address | None) -> None:
        """News from a Sentinel: look at once, or once more."""
        self._announced = announced or self._announced
        self._news.set()
        self._searching()

    def _searching(self) -> asyncio.Task[AuthError | None]:
        if self._search is None:
            self._search = asyncio.create_task(self._look(), name="carnelian search for the primary")
        return self._search

    async def _look(self) -> AuthError | None:
        """Search until there is a primary; returns an error when it is there and refuses our password."""
        self._sentinels.follow()
        failures = 0
        try:
            while True:
                self._news.clear()
                try:
                    found = await self._look_once()
                except AuthError as refusal:
                    return refusal
                if self._news.is_set():
                    continue
                if found:
                    return None
                failures += 1
                try:
                    async with asyncio.timeout(pause(self._timing, failures)):
                        await self._news.wait()
                except TimeoutError:
                    pass
        finally:
            self._search = None

    async def _look_once(self) -> bool:
        self._asked = asyncio.get_running_loop().time()
        named = await self._sentinels.named()
        if self._announced in named[:1]:
            self._announced = None  # the others have heard it too
        if self._primary is not None and named[:1] == [self._primary.address] and self._announced is None:
            return True
        troubles = [self._sentinels.trouble] if self._sentinels.trouble else []
        # A Sentinel that announces a change knows it before the others do, which for a while name the old one.
        for address in dict.fromkeys([self._announced, *named] if self._announced else named):
            node = self._last if self._last is not None and self._last.address == address else self._node(address)
            try:
                problem = await self._problem(node)
                if problem is None:
                    self._install(node)
                    return True
            finally:
                if node is not self._last:
                    node.close()  # also when the search is cancelled
            troubles.append(f"{address} is named, but {problem}")
            if address == self._announced:
                self._announced = None
        self._trouble = "; ".join(troubles) or "no Sentinel names one"
        return self._primary is not None

    async def _problem(self, node: Node) -> str | None:
        """Why this server cannot be taken for the primary."""
        expires = asyncio.get_running_loop().time() + self._timing.ask
        try:
            wire = await node.lane.connected(expires)
            role: bytes = (await wire.send(_ROLE, expires))[b"role"]
        except (UnreachableError, LostError, ReplyError) as error:
            return str(error)
        except ExpiredError:
            return "it does not answer"
        return None if role == b"master" else f"it is a {role.decode()}"

    def _install(self, node: Node) -> None:
        if self._last is not node:
            if self._last is not None:
                self._last.close(f"{node.address} is the primary now")
            self._last = node
            self._notify(Event("primary", node.address))
        self._primary = node

    def _node(self, address: Address) -> Node:
        node = Node(address, self._dialer, self._notify, on_lost=lambda: self._suspect(node, lost=True))
        return node
