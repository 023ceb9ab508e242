"""Rate limits: all rules that apply to a request decided in one round trip, by the numbers of a `RateLimitRule`."""

from carnelian.limits._limiter import Limiter
from carnelian.limits._rules import Value
from carnelian.limits._verdict import Verdict

__all__ = ["Limiter", "Value", "Verdict"]
