"""Carries checks to the data plane: those of one event-loop tick travel in one script call, in order."""

import asyncio

import msgspec

from carnelian._link.api import Link
from carnelian._link.script import load_script
from carnelian.errors import CarnelianError, ServerError, UnavailableError
from carnelian.limits._rules import Demands

MOST_KEYS = 256
"""Limits in one script call: the server does nothing else meanwhile, and this takes it well under a millisecond."""

Answer = list[int]
"""The position (from 1) of the limit that refused or 0, and three integers a limit."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[int]).decode


class _Batch:
    """The checks that will travel together."""

    __slots__ = ("demands", "keys", "plan", "steps", "waiters")

    def __init__(self) -> None:
        self.keys: list[str] = []
        self.demands: list[tuple[int, ...]] = []
        self.steps: dict[int, tuple[Demands, list[int]]] = {}
        """By identity, which most checks of a policy share: their demands, and their step in the plan."""
        self.plan: list[int] = []
        self.waiters: list[asyncio.Future[Answer]] = []

    def add(self, keys: list[str], demands: Demands, waiter: asyncio.Future[Answer]) -> None:
        known = self.steps.get(id(demands))
        if known is None:
            first = len(self.demands) + 1
            self.demands += demands
            known = self.steps[id(demands)] = demands, [len(demands), *range(first, first + len(demands))]
        self.plan += known[1]
        self.keys += keys
        self.waiters.append(waiter)

    def payload(self) -> bytes:
        return _encode((self.demands, self.plan))

    def resolve(self, answers: list[int]) -> None:
        """Hand every check its part of the flat answer."""
        step = start = 0
        for waiter in self.waiters:
            count = self.plan[step]
            end = start + 1 + 3 * count
            if not waiter.done():
                waiter.set_result(answers[start:end])
            step += 1 + count
            start = end

    def reject(self, error: CarnelianError) -> None:
        for waiter in self.waiters:
            if not waiter.done():
                waiter.set_exception(error)


class Decider:
    """Decides checks through a link.

    While the data plane does not answer, one batch at a time finds out whether it is back; all other checks fail at
    once instead of waiting for the same deadline.

    Args:
        link: the connection to the data plane.
        deadline: how long a decision may take, in seconds.
        per_slot: whether only keys of one hash tag may travel together, as a Cluster wants it.
    """

    def __init__(self, link: Link, *, deadline: float, per_slot: bool) -> None:
        self._link = link
        self._deadline = deadline
        self._per_slot = per_slot
        self._script = load_script("carnelian.limits", "decide")
        self._batches: dict[str, _Batch] = {}
        self._sending: set[asyncio.Task[None]] = set()
        self._silent: CarnelianError | None = None

    def decide(self, tag: str, keys: list[str], demands: Demands) -> asyncio.Future[Answer]:
        """Decide one check: `keys` of the limits' states, all with hash tag `tag`, and what is asked of each.

        Raises (from the future or at once):
            CarnelianError: the data plane did not decide.
        """
        if self._silent is not None and self._sending:
            raise UnavailableError(f"the data plane did not answer the last check either: {self._silent}")
        loop = asyncio.get_running_loop()
        if not self._batches:
            loop.call_soon(self._flush)
        group = tag if self._per_slot else ""
        batch = self._batches.get(group)
        if batch is None:
            batch = self._batches[group] = _Batch()
        elif len(batch.keys) + len(keys) > MOST_KEYS:
            self._start(batch)
            batch = self._batches[group] = _Batch()
        waiter: asyncio.Future[Answer] = loop.create_future()
        batch.add(keys, demands, waiter)
        return waiter

    def _flush(self) -> None:
        batches, self._batches = self._batches, {}
        for batch in batches.values():
            self._start(batch)

    def _start(self, batch: _Batch) -> None:
        task = asyncio.ensure_future(self._send(batch))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _send(self, batch: _Batch) -> None:
        try:
            reply = await self._link.eval(self._script, batch.keys, (batch.payload(),), deadline=self._deadline)
        except CarnelianError as error:
            self._silent = error if isinstance(error, UnavailableError) else None
            batch.reject(error)
        except BaseException as error:
            batch.reject(UnavailableError(f"the check was given up: {error!r}"))
            raise
        else:
            self._silent = None
            try:
                batch.resolve(_decode(reply))
            except (msgspec.DecodeError, TypeError) as error:
                batch.reject(ServerError(f"the decision cannot be read: {error}"))

    async def settle(self) -> None:
        """Wait for the decisions that were asked for until now; each ends within its deadline."""
        self._flush()
        if self._sending:
            await asyncio.wait(self._sending)  # unlike gather, ends no decision when this is cancelled


def reports(answer: Answer) -> list[tuple[int, int, int]]:
    """The answer's part for each limit."""
    numbers = iter(answer[1:])
    return list(zip(numbers, numbers, numbers, strict=True))
