"""The body of a `RateLimitRule`: which requests count against which limits."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from carnelian.policies._base import Attribute, Duration, Name, PolicyModel, Text
from carnelian.policies._shared import Staged
from carnelian.policies.cel import ListMap, cel


class Algorithm(StrEnum):
    """How a limit is counted."""

    TOKEN_BUCKET = "TokenBucket"
    SLIDING_WINDOW = "SlidingWindow"
    FIXED_WINDOW = "FixedWindow"


class OnUnavailable(StrEnum):
    """What a check answers when the data plane cannot be asked in time."""

    ALLOW = "Allow"
    DENY = "Deny"


class Match(PolicyModel):
    """A condition on one attribute of a request."""

    attribute: Attribute
    """The attribute's name, as the application passes it to `check`."""
    values: Annotated[list[Text], Field(min_length=1, max_length=64)]
    """The rule applies when the attribute has one of these values."""


@cel(
    "!has(self.burst) || self.algorithm == 'TokenBucket'",
    "burst is only for algorithm TokenBucket: remove burst, or set algorithm to TokenBucket",
    field=".burst",
    reason="FieldValueForbidden",
)
class Rule(PolicyModel):
    """One limit. All rules of a resource that apply to a request are decided together, in one round trip."""

    name: Name
    """Names the rule in verdicts, headers and metrics; unique within the resource."""
    algorithm: Algorithm = Algorithm.TOKEN_BUCKET
    """TokenBucket allows bursts and refills evenly; SlidingWindow weighs the previous window into the
    current one; FixedWindow counts per aligned window and lets up to twice the limit through at an edge."""
    limit: Annotated[int, Field(ge=1, le=1_000_000_000)]
    """Units (requests, unless a check states another cost) allowed in each period."""
    period: Duration = "1s"
    """The span that `limit` refers to, for example 1s, 1m or 1h."""
    burst: Annotated[int | None, Field(ge=1, le=1_000_000_000)] = None
    """Capacity of the bucket; only for TokenBucket. Defaults to `limit`."""
    key: Annotated[list[Attribute], Field(max_length=8)] = []
    """Attributes that tell the callers apart, for example [user] or [org, user]. Empty: one limit for all."""
    match: Annotated[list[Match], Field(max_length=8)] = []
    """The rule applies only when every condition holds. Empty: it applies to every request."""

    @model_validator(mode="after")
    def _burst_needs_a_bucket(self) -> Self:
        if self.burst is not None and self.algorithm is not Algorithm.TOKEN_BUCKET:
            raise ValueError(f"rule {self.name!r}: burst is only for TokenBucket; remove burst or change algorithm")
        return self


class RateLimitPolicy(Staged):
    """What a library process needs in order to decide a check of one limiter; its effect is to refuse."""

    on_unavailable: OnUnavailable = OnUnavailable.ALLOW
    """The answer while the data plane cannot be reached: Allow keeps serving, Deny protects what is behind."""
    rules: Annotated[list[Rule], Field(min_length=1, max_length=16), ListMap("name")]
    """The limits; the first that refuses decides, and nothing is taken from the others."""

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        names = [rule.name for rule in self.rules]
        if len(set(names)) != len(names):
            raise ValueError(f"rules: names must be unique, got {', '.join(names)}")
        return self
