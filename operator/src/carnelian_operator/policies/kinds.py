"""The kinds of policies."""

from carnelian_operator.api.resources import CACHE_POLICY, JOB_QUEUE, RATE_LIMIT_RULE, SESSION_STORE

UNSERVED = (CACHE_POLICY, JOB_QUEUE, SESSION_STORE)

__all__ = ["RATE_LIMIT_RULE", "UNSERVED"]
