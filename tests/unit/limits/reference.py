"""The algorithms as one would define them on paper: exact fractions, no state tricks. What the Lua is held to."""

from fractions import Fraction
from math import ceil, floor
from typing import Protocol

from carnelian.limits._algorithms import FixedWindow, SlidingWindow, TokenBucket


class Reference(Protocol):
    """One limit's state."""

    def room(self, now: int) -> int:
        """Units that would be allowed at `now`, in microseconds of the server's clock."""
        ...

    def take(self, now: int, cost: int) -> None:
        """Take units that there is room for."""
        ...


class Bucket:
    """Tokens that come back evenly, up to the burst."""

    def __init__(self, limit: TokenBucket) -> None:
        self.limit = limit
        self.tokens = Fraction(limit.burst)
        self.at = 0

    def level(self, now: int) -> Fraction:
        """Tokens in the bucket."""
        return min(
            Fraction(self.limit.burst), self.tokens + Fraction((now - self.at) * self.limit.limit, self.limit.period)
        )

    def room(self, now: int) -> int:
        return floor(self.level(now))

    def take(self, now: int, cost: int) -> None:
        self.tokens, self.at = self.level(now) - cost, now


class Fixed:
    """A count for each aligned window."""

    def __init__(self, limit: FixedWindow) -> None:
        self.limit = limit
        self.counts: dict[int, int] = {}

    def room(self, now: int) -> int:
        return self.limit.limit - self.counts.get(now // self.limit.period, 0)

    def take(self, now: int, cost: int) -> None:
        window = now // self.limit.period
        self.counts[window] = self.counts.get(window, 0) + cost


class Sliding:
    """This window's count, and the previous one's by its overlap with a window that ends now."""

    def __init__(self, limit: SlidingWindow) -> None:
        self.limit = limit
        self.counts: dict[int, int] = {}

    def room(self, now: int) -> int:
        window, elapsed = divmod(now, self.limit.period)
        overlap = Fraction(ceil(Fraction(self.limit.period - elapsed, self.limit.tick)), self.limit.ticks)
        used = self.counts.get(window - 1, 0) * overlap + self.counts.get(window, 0)
        return max(0, floor(self.limit.limit - used))

    def take(self, now: int, cost: int) -> None:
        window = now // self.limit.period
        self.counts[window] = self.counts.get(window, 0) + cost


def reference(limit: TokenBucket | FixedWindow | SlidingWindow) -> Reference:
    """The untouched state of a limit."""
    match limit:
        case TokenBucket():
            return Bucket(limit)
        case FixedWindow():
            return Fixed(limit)
        case SlidingWindow():
            return Sliding(limit)
