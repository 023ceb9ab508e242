"""What a check answers."""

import math

import msgspec

from carnelian.limits._headers import limit_headers
from carnelian.policies import Stage


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """The decision on one check; true when the request may go on.

    `rule`, `limit`, `remaining` and `reset_after` are about the rule that decided: the first that refused, or else the
    one with the least remaining. They are None or 0 when no rule was evaluated.
    """

    allowed: bool
    limiter: str
    stage: Stage
    generation: int
    """``metadata.generation`` of the resource that decided; 0 when it came from a file."""
    rule: str | None = None
    limit: int | None = None
    """Units that the rule allows in its period."""
    remaining: int | None = None
    """Units that the rule would still allow at once."""
    retry_after: float = 0.0
    """Seconds until every rule can allow the same check, if nobody else asks; infinite if its cost is too large."""
    reset_after: float = 0.0
    """Seconds until the rule is untouched again, if nobody asks."""
    shadowed: bool = False
    """The rules refused, but the policy's stage gave that no effect."""
    degraded: bool = False
    """The rules could not be asked (no data plane, mostly), so the policy's `onUnavailable` answered."""
    policies: tuple[str, ...] = ()
    """The rules that applied, as items of ``RateLimit-Policy``; empty while the stage hides them from clients."""

    def __bool__(self) -> bool:
        return self.allowed

    def __str__(self) -> str:
        if self.allowed:
            return f"limiter {self.limiter!r} allowed"
        if self.rule is None:
            return f"limiter {self.limiter!r} refused, because the data plane cannot be asked"
        return f"limiter {self.limiter!r} refused by rule {self.rule!r}: retry after {self.retry_after:.3f} s"

    def headers(self) -> dict[str, str]:
        """HTTP response fields: `RateLimit-Policy`, `RateLimit`, and `Retry-After` on a refusal.

        Nothing of a rule that is not enforced for this caller.
        """
        if self.rule is None or self.remaining is None:
            return {} if self.allowed else {"Retry-After": str(math.ceil(self.retry_after))}
        if not self.policies:
            return {}
        return limit_headers(
            self.policies,
            self.rule,
            self.remaining,
            allowed=self.allowed,
            retry_after=self.retry_after,
            reset_after=self.reset_after,
        )
