"""The policy models and the wire contract: all that the operator and the library share."""

from carnelian.policies._base import DNS_LABEL, Attribute, Duration, Name, PolicyModel, Text, seconds
from carnelian.policies._quantity import Cpu, Size, size_bytes
from carnelian.policies._shared import Durability, Encryption, Stage, Staged
from carnelian.policies.cache import CachePolicy
from carnelian.policies.queue import QueuePolicy
from carnelian.policies.ratelimit import Algorithm, Match, OnUnavailable, RateLimitPolicy, Rule
from carnelian.policies.sessions import SessionPolicy

__all__ = [
    "DNS_LABEL",
    "Algorithm",
    "Attribute",
    "CachePolicy",
    "Cpu",
    "Durability",
    "Duration",
    "Encryption",
    "Match",
    "Name",
    "OnUnavailable",
    "PolicyModel",
    "QueuePolicy",
    "RateLimitPolicy",
    "Rule",
    "SessionPolicy",
    "Size",
    "Stage",
    "Staged",
    "Text",
    "seconds",
    "size_bytes",
]
