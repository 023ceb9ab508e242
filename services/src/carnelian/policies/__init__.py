"""The policy models and the wire contract: all that the operator and the library share."""

from carnelian.policies._base import Attribute, Duration, Name, PolicyModel, seconds
from carnelian.policies.ratelimit import Algorithm, Match, OnUnavailable, RateLimitPolicy, Rule, Stage

__all__ = [
    "Algorithm",
    "Attribute",
    "Duration",
    "Match",
    "Name",
    "OnUnavailable",
    "PolicyModel",
    "RateLimitPolicy",
    "Rule",
    "Stage",
    "seconds",
]
