"""Parts that several policies have in common."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from carnelian.policies._base import Name, PolicyModel
from carnelian.policies.cel import cel


class Stage(StrEnum):
    """How far a policy's effect reaches."""

    OFF = "Off"
    SHADOW = "Shadow"
    CANARY = "Canary"
    ENFORCE = "Enforce"


@cel(
    "has(self.canaryPercent) == (self.stage == 'Canary')",
    "canaryPercent belongs to stage Canary: set both, or neither",
    field=".canaryPercent",
)
class Staged(PolicyModel):
    """A policy that can be tried before it takes effect for all."""

    stage: Stage = Stage.ENFORCE
    """Off: not evaluated. Shadow: evaluated and counted, without effect. Canary: takes effect for a sticky
    percentage of callers. Enforce: takes effect for all."""
    canary_percent: Annotated[int | None, Field(ge=1, le=99)] = None
    """Share of callers, by hash of their key, for whom a Canary takes effect."""

    @model_validator(mode="after")
    def _canary_has_a_share(self) -> Self:
        if (self.stage is Stage.CANARY) != (self.canary_percent is not None):
            raise ValueError("canaryPercent belongs to stage Canary: set both, or neither")
        return self


class Durability(StrEnum):
    """What a write has survived when it is acknowledged."""

    ASYNC = "Async"
    REPLICATED = "Replicated"
    FSYNC = "Fsync"


class Rewrap(StrEnum):
    """What happens to values under an old key."""

    LAZY = "Lazy"
    NEVER = "Never"


class Encryption(PolicyModel):
    """AES-256-GCM over values, with keys that the data plane never sees."""

    secret_name: Name
    """The Secret of the keys, in the same namespace: one entry a key id, 32 bytes each; `current` names the id
    that new values are written with."""
    rewrap: Rewrap = Rewrap.LAZY
    """Lazy: a value under an old key is written anew when it is next written or read. Never: it keeps its key."""
