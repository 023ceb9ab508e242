"""`RateLimit-Policy` and `RateLimit` as structured fields (draft-ietf-httpapi-ratelimit-headers), and `Retry-After`.

Rule names are DNS labels, so they need no escaping inside a structured field's string.
"""

import math
from collections.abc import Iterable

LARGEST = 999_999_999_999_999
"""The largest integer that a structured field may hold."""


def policy_item(name: str, quota: int, window: int) -> str:
    """One quota policy; `window` in microseconds is left out when it is no whole number of seconds."""
    item = f'"{name}";q={quota}'
    return f"{item};w={window // 1_000_000}" if window % 1_000_000 == 0 else item


def limit_headers(
    policies: Iterable[str], rule: str, remaining: int, *, allowed: bool, retry_after: float, reset_after: float
) -> dict[str, str]:
    """The fields of one response; times in seconds, rounded up, so that a client who obeys is not refused again.

    On a refusal ``t`` and ``Retry-After`` are the same moment, as the draft asks.
    """
    wait = reset_after if allowed else retry_after
    headers = {"RateLimit-Policy": ", ".join(policies), "RateLimit": f'"{rule}";r={remaining}'}
    if math.isfinite(wait):
        after = min(math.ceil(wait), LARGEST)
        headers["RateLimit"] += f";t={after}"
        if not allowed:
            headers["Retry-After"] = str(after)
    return headers
