"""Carnelian's service library: rate limits on Redis or Valkey, by policies that the Carnelian operator delivers.

Names are loaded on first use, so that `carnelian.policies` alone (which the operator imports) brings no client along.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from carnelian._client import Carnelian
    from carnelian._link.api import Durability
    from carnelian.errors import (
        AuthError,
        CarnelianError,
        ConfigurationError,
        DeadlineError,
        DurabilityError,
        PolicyError,
        RateLimitedError,
        ServerError,
        UnavailableError,
    )
    from carnelian.limits import Limiter, Verdict

__version__ = "0.1.0"

_HOMES = {
    "Carnelian": "carnelian._client",
    "Durability": "carnelian._link.api",
    "Limiter": "carnelian.limits",
    "Verdict": "carnelian.limits",
}

__all__ = [
    "AuthError",
    "Carnelian",
    "CarnelianError",
    "ConfigurationError",
    "DeadlineError",
    "Durability",
    "DurabilityError",
    "Limiter",
    "PolicyError",
    "RateLimitedError",
    "ServerError",
    "UnavailableError",
    "Verdict",
    "__version__",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'carnelian' has no attribute {name!r}")
    value = getattr(import_module(_HOMES.get(name, "carnelian.errors")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
