"""`RateLimitRule`: the limits that every process asks by name."""

from typing import Annotated

from pydantic import Field

from carnelian.policies import RateLimitPolicy
from carnelian_operator.api.base import OnCluster, ResourceStatus


class RateLimitRuleSpec(RateLimitPolicy, OnCluster):
    """What a limiter allows. Its name is the resource's name: ``svc.limits("<name>")``."""


class PolicyStatus(ResourceStatus):
    """How far a policy has come on its way into the processes that enforce it."""

    clients: Annotated[int, Field(ge=0)] = 0
    """Live processes of the library on the RedisCluster."""
    enforced: Annotated[int, Field(ge=0)] = 0
    """How many of them enforce the current generation of the policy."""
    epoch: int | None = None
    """The epoch at which the policy last changed in the data plane."""
    document_hash: Annotated[str | None, Field(max_length=64)] = None
    """SHA-256 of the policy as published."""


class RateLimitRuleStatus(PolicyStatus):
    """How far the rule has come."""
