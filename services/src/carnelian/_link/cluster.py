"""A cluster: every key has a slot, every slot a primary."""

import asyncio
import random
from collections.abc import Sequence
from typing import Any

from carnelian._link.api import Arg
from carnelian._link.backoff import pause
from carnelian._link.commands import first_key, name_of
from carnelian._link.front import Front
from carnelian._link.node import Node
from carnelian._link.pack import pack
from carnelian._link.replies import ExpiredError, LostError, ReplyError, UnreachableError
from carnelian._link.shared import outcome
from carnelian._link.slots import SLOTS, ranges, slot_of
from carnelian._link.target import Address, Event, Target
from carnelian.errors import AuthError

_MAP = pack(("CLUSTER", "SLOTS"))
_FAILURES = (ExpiredError, LostError, ReplyError, UnreachableError)


class ClusterLink(Front):
    """A `Link` that sends each command to the primary of its key's slot.

    Commands without a key go to any primary. Whatever shows that the slot map is stale starts one refresh,
    from a node chosen at random so that a fleet does not ask the same one.
    """

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self._nodes: dict[Address, Node] = {}
        self._slots: list[Node | None] = [None] * SLOTS
        self._primaries: list[Node] = []
        self._positions: dict[str, int] = {}
        self._refresh: asyncio.Task[AuthError | None] | None = None
        self._stale = 0
        self._trouble = "not asked yet"

    def _route(self, args: Sequence[Arg]) -> Node | None:
        name = name_of(args)
        try:
            key = first_key(name, args)
        except KeyError:
            return None
        return self._slots[slot_of(key)] if key is not None else self._any()

    async def _find(self, args: Sequence[Arg], expires: float) -> Node:
        if not self._primaries:
            await self._mapped(expires)
        name = name_of(args)
        try:
            key = first_key(name, args)
        except KeyError:
            try:
                key = await self._ask_for_key(name, args, expires)
            except (ExpiredError, LostError) as error:  # of the question: the command itself was not sent
                reason = str(error) or "no answer"
                raise UnreachableError(f"no server said where its key is: {reason}") from error
        node = self._slots[slot_of(key)] if key is not None else self._any()
        if node is None:
            slot = "" if key is None else f" slot {slot_of(key)}"
            raise UnreachableError(f"no known node serves{slot or ' any slot'}: {self._trouble}")
        return node

    def _suspect(self, node: Node | None, *, lost: bool) -> None:
        if not self._closed:
            self._refreshing()

    def _refused(self, node: Node, error: ReplyError) -> Node | None:
        if error.code in ("MOVED", "ASK"):
            _, slot, where = str(error).split(" ")[:3]
            host, _, port = where.rpartition(":")
            named = self._at(Address(host or node.address.host, int(port)))
            if error.code == "ASK":
                return named
            self._slots[int(slot)] = named
        if error.code != "TRYAGAIN":
            self._refreshing()
        return None

    async def _close(self) -> None:
        if self._refresh is not None:
            self._refresh.cancel()
        for node in self._nodes.values():
            node.close()

    def _any(self) -> Node | None:
        return random.choice(self._primaries) if self._primaries else None  # noqa: S311  (spreads load)

    def _at(self, address: Address) -> Node:
        if address not in self._nodes:
            self._nodes[address] = self._node(address)
        return self._nodes[address]

    async def _mapped(self, expires: float) -> None:
        try:
            while not self._primaries:
                if refusal := await outcome(self._refreshing(), expires):
                    raise refusal
        except TimeoutError:
            raise UnreachableError(f"no node gave the slot map: {self._trouble}") from None

    def _refreshing(self) -> asyncio.Task[AuthError | None]:
        if self._refresh is None:
            self._refresh = asyncio.create_task(self._renew(), name="carnelian slot map")
        return self._refresh

    async def _renew(self) -> AuthError | None:
        """Take the slot map from the first node that gives it; refreshes that change nothing are spaced."""
        refusal: AuthError | None = None
        try:
            if self._stale:
                await asyncio.sleep(pause(self._timing, self._stale))
            known = list(dict.fromkeys([*self._nodes, *self.target.addresses]))
            random.shuffle(known)
            known.sort(key=lambda address: address not in self._nodes or self._nodes[address].lane.wire is None)
            for address in known:
                try:
                    reply = await self._ask(self._at(address), _MAP)
                except AuthError as error:
                    refusal = error
                except _FAILURES as error:
                    self._trouble = f"{address}: {str(error) or 'no answer'}"
                else:
                    self._take(reply, address)
                    return None
            self._stale += 1
            return refusal
        finally:
            self._refresh = None

    def _take(self, reply: list[Any], asked: Address) -> None:
        slots: list[Node | None] = [None] * SLOTS
        for span, address in ranges(reply, asked):
            slots[span.start : span.stop] = [self._at(address)] * len(span)
        self._stale = self._stale + 1 if slots == self._slots else 1
        if slots != self._slots:
            self._notify(Event("slots", asked))
        self._slots = slots
        self._primaries = list({id(node): node for node in slots if node is not None}.values())
        if self._primaries:
            for node in [one for one in self._nodes.values() if one not in self._primaries and not one.owed]:
                del self._nodes[node.address]
                node.close("it serves no slots")

    async def _ask(self, node: Node, packed: bytes) -> Any:
        expires = asyncio.get_running_loop().time() + self._timing.ask
        wire = await node.lane.connected(expires)
        return await wire.send(packed, expires)

    async def _ask_for_key(self, name: str, args: Sequence[Arg], expires: float) -> Arg | None:
        """The first key of a command that this version of the library does not know, by asking a server."""
        node = self._any()
        if node is None:
            raise UnreachableError(f"no known node serves any slot: {self._trouble}")
        if name not in self._positions:
            info = (await self._ask(node, pack(("COMMAND", "INFO", name))))[0]
            # An unknown command gets its error from whichever node it goes to.
            movable = info is not None and any(flag in (b"movablekeys", "movablekeys") for flag in info[2])
            self._positions[name] = -1 if movable else info[3] if info else 0
        position = self._positions[name]
        if position > 0:
            return args[position]
        if position == 0:
            return None
        keys: list[bytes] = await self._ask(node, pack(("COMMAND", "GETKEYS", *args)))
        return keys[0] if keys else None
