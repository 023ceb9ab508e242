"""The three algorithms: what `decide.lua` needs to know of a limit, and what its report means.

All arithmetic is on integers (microseconds, units, and fractions in lowest terms), so nothing drifts.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, NamedTuple, Protocol

EXACT = 2**51
"""Products in the script stay below this, where a double still holds every integer (with room for a sum)."""

Report = tuple[int, int, int]
"""Three integers a limit, as `decide.lua` reports them after the decision."""


class Reading(NamedTuple):
    """What a report means to a caller; times in seconds."""

    remaining: int
    retry_after: float
    """Until the same check could be allowed, if nobody else asks; 0 when this limit allows it; infinite when the cost
    is beyond what the limit ever allows."""
    reset_after: float
    """Until the limit is untouched again, if nobody asks."""


class Algorithm(Protocol):
    """One limit under one algorithm."""

    tag: ClassVar[str]
    """Part of the state's key: the algorithm and the schema of its state, so that no other state is ever met."""

    @property
    def quota(self) -> tuple[int, int]:
        """Units, and the microseconds in which they come back: what clients are told."""
        ...

    def demand(self, cost: int) -> tuple[int, ...]:
        """The limit and what is asked of it, as the script takes it."""
        ...

    def read(self, report: Report, cost: int) -> Reading:
        """The meaning of the script's report on a check of `cost` units."""
        ...


@dataclass(frozen=True)
class TokenBucket:
    """`burst` units at once, refilled evenly by `limit` in each `period` (microseconds)."""

    limit: int
    period: int
    burst: int
    tag: ClassVar[str] = "bucket1"

    def __post_init__(self) -> None:
        if self.burst * self.period // self.limit > EXACT:
            raise ValueError(f"a burst of {self.burst} takes more than 70 years to refill; lower burst or raise limit")

    @cached_property
    def rate(self) -> int:
        """Numerator of units per microsecond, in lowest terms."""
        return self.limit // math.gcd(self.limit, self.period)

    @cached_property
    def span(self) -> int:
        """Denominator of units per microsecond: one unit costs `span / rate` microseconds."""
        return self.period // math.gcd(self.limit, self.period)

    @property
    def quota(self) -> tuple[int, int]:
        """The whole bucket, and how long it takes to fill."""
        return self.burst, -(-self.burst * self.span // self.rate)

    def demand(self, cost: int) -> tuple[int, ...]:
        """Most debt before the cost is taken, the cost, and the capacity; each whole and part of a microsecond."""
        capacity = divmod(self.burst * self.span, self.rate)
        if cost > self.burst:
            return (1, -1, 0, 0, 0, *capacity, self.rate, self.span)
        room = divmod((self.burst - cost) * self.span, self.rate)
        return (1, *room, *divmod(cost * self.span, self.rate), *capacity, self.rate, self.span)

    def read(self, report: Report, cost: int) -> Reading:
        """The debt tells all three."""
        debt = report[0] * self.rate + report[1]  # in parts of a microsecond: one unit is `span` of them
        capacity = self.burst * self.span
        excess = debt + cost * self.span - capacity
        wait = 0.0 if excess <= 0 else math.inf if cost > self.burst else excess / (self.rate * 1_000_000)
        return Reading((capacity - debt) // self.span, wait, debt / (self.rate * 1_000_000))


@dataclass(frozen=True)
class FixedWindow:
    """`limit` units in each window of `period` microseconds, aligned to the server's clock."""

    limit: int
    period: int
    tag: ClassVar[str] = "fixed1"

    @property
    def quota(self) -> tuple[int, int]:
        """The limit and its period."""
        return self.limit, self.period

    def demand(self, cost: int) -> tuple[int, ...]:
        """A cost beyond the limit is refused whatever its size, so it is cut to fit the script's numbers."""
        return (2, min(cost, self.limit + 1), self.limit, self.period)

    def read(self, report: Report, cost: int) -> Reading:
        """Everything comes back when the window ends."""
        count, elapsed, _ = report
        end = (self.period - elapsed) / 1_000_000
        wait = 0.0 if count + cost <= self.limit else end if cost <= self.limit else math.inf
        return Reading(max(0, self.limit - count), wait, end if count else 0.0)


@dataclass(frozen=True)
class SlidingWindow:
    """`limit` units in any `period` microseconds, estimated from the counts of two aligned windows."""

    limit: int
    period: int
    tag: ClassVar[str] = "sliding1"

    @cached_property
    def tick(self) -> int:
        """Microseconds in which the overlap with the previous window is counted: 1 unless that would be inexact."""
        return -(-self.limit * self.period // EXACT)

    @cached_property
    def ticks(self) -> int:
        """Ticks in a period."""
        return -(-self.period // self.tick)

    @property
    def quota(self) -> tuple[int, int]:
        """The limit and its period."""
        return self.limit, self.period

    def demand(self, cost: int) -> tuple[int, ...]:
        """A cost beyond the limit is refused whatever its size, so it is cut to fit the script's numbers."""
        return (3, min(cost, self.limit + 1), self.limit, self.period, self.tick, self.ticks)

    def read(self, report: Report, cost: int) -> Reading:
        """The previous window weighs by its overlap with one that ends now."""
        count, before, elapsed = report
        end = self.period - elapsed
        used = before * -(-end // self.tick) + count * self.ticks
        free = (self.limit * self.ticks - used) // self.ticks
        reset = end + self.period if count else end if before else 0
        return Reading(max(0, free), self._wait(count, before, end, cost, free), reset / 1_000_000)

    def _wait(self, count: int, before: int, end: int, cost: int, free: int) -> float:
        if cost <= free:
            return 0.0
        if cost > self.limit:
            return math.inf
        if count + cost <= self.limit:  # enough of the previous window slides out while this one lasts
            overlap = (self.limit - count - cost) * self.ticks // before
            return (end - overlap * self.tick) / 1_000_000
        overlap = (self.limit - cost) * self.ticks // count  # this window is the previous one by then
        return (end + self.period - overlap * self.tick) / 1_000_000
