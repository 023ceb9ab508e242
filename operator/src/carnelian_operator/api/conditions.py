"""Conditions by the rules of kstatus, their reasons, and what each reason means.

The reference page of conditions and reasons is generated from this module.
"""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from carnelian.policies.cel import ListMap

Truth = Literal["True", "False", "Unknown"]


class Documented(StrEnum):
    """A word of the API together with what it means: ``MEMBER = "Word", "What it means."``."""

    meaning: str

    def __new__(cls, word: str, meaning: str) -> Self:
        """Keep the meaning beside the word."""
        member = str.__new__(cls, word)
        member._value_ = word
        member.meaning = meaning
        return member


class ConditionType(Documented):
    """The types of conditions."""

    READY = "Ready", "The resource does what its spec asks for, as of the observed generation."
    RECONCILING = "Reconciling", "The operator is still working towards the spec. Absent when there is nothing to do."
    STALLED = (
        "Stalled",
        "The operator cannot go on by itself; the message names what has to change. Absent when all is well.",
    )
    DEGRADED = "Degraded", "The resource serves, but with less redundancy than its spec asks for."
    ENFORCED = "Enforced", "Every live process of the library enforces the current generation of the policy."


class Reason(Documented):
    """The reasons of conditions; every condition that the operator sets carries one of these."""

    # RedisCluster
    AVAILABLE = "Available", "The primary accepts writes and every node is ready."
    CREATING = "Creating", "The objects of the instance are being created, or its first nodes are starting."
    UPDATING = "Updating", "Objects or nodes are being brought to the current generation."
    ROLLING = "Rolling", "Nodes are being restarted one by one: replicas first, the primary last, after a handover."
    NO_PRIMARY = "NoPrimary", "No node accepts writes."
    PODS_NOT_READY = "PodsNotReady", "At least one pod of the instance is not ready; the message names it and why."
    UNSCHEDULABLE = "Unschedulable", "A pod finds no node to run on; the message carries the scheduler's reason."
    IMAGE_UNAVAILABLE = "ImageUnavailable", "A pod's image cannot be pulled; the message names the image."
    CRASH_LOOPING = "CrashLooping", "A container keeps failing; the message carries its last exit."
    REPLICATION_BROKEN = "ReplicationBroken", "A replica has no link to the primary, or has not caught up."
    SENTINEL_QUORUM_LOST = "SentinelQuorumLost", "Too few Sentinels answer to agree on a failover."
    SECRET_MISSING = "SecretMissing", "A Secret that is needed does not exist or lacks a key; the message names it."
    UNREACHABLE = "Unreachable", "The operator cannot reach the servers of the instance."
    BLOCKED = (
        "Blocked",
        "The next step would risk data or availability, so the operator waits; the message says for what.",
    )
    INVALID_SPEC = (
        "InvalidSpec",
        "The spec breaks a rule that the API server could not check; the message names the field.",
    )
    CONFLICT = "Conflict", "An object of a name that the instance needs exists and belongs to somebody else."

    # Policies
    PUBLISHED = "Published", "The policy is in the data plane, and processes receive it."
    PUBLISHING = "Publishing", "The policy is being written to the data plane."
    ALL_CLIENTS_ENFORCE = "AllClientsEnforce", "Every live process acknowledged the current generation."
    WAITING_FOR_CLIENTS = "WaitingForClients", "Some processes have not yet acknowledged the current generation."
    NO_CLIENTS = "NoClients", "No live process of the library uses this RedisCluster."
    REJECTED = "Rejected", "A process could not read the policy and keeps the last good one; the message says why."
    CLUSTER_NOT_FOUND = "ClusterNotFound", "spec.clusterRef names a RedisCluster that does not exist in the namespace."
    CLUSTER_NOT_READY = "ClusterNotReady", "The RedisCluster that should serve the policy is not ready."
    NOT_YET_SERVED = "NotYetServed", "This version of the operator knows the kind but does not serve it yet."


class Condition(BaseModel):
    """One thing that is true, false or unknown about a resource."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True, use_attribute_docstrings=True
    )

    type: Annotated[str, Field(pattern=r"^[A-Z][A-Za-z]*$", max_length=64)]
    """What it is about."""
    status: Truth
    """Whether it holds."""
    reason: Annotated[str, Field(pattern=r"^[A-Z][A-Za-z]*$", max_length=64)]
    """Why, in one word that programs can rely on."""
    message: Annotated[str, Field(max_length=1024)] = ""
    """Why, in a sentence for people."""
    last_transition_time: Annotated[str, Field(max_length=32, json_schema_extra={"format": "date-time"})]
    """When `status` last changed."""
    observed_generation: Annotated[int, Field(ge=0)] = 0
    """The `metadata.generation` that this condition was judged by."""


Conditions = Annotated[list[Condition], Field(max_length=16), ListMap("type")]


def condition(
    kind: ConditionType, holds: bool | None, reason: Reason, message: str = "", *, generation: int, now: str
) -> Condition:
    """A condition as of `now` (RFC 3339); `holds` None means Unknown. Long messages are cut."""
    status: Truth = "Unknown" if holds is None else "True" if holds else "False"
    return Condition(
        type=kind.value,
        status=status,
        reason=reason.value,
        message=message[:1024],
        last_transition_time=now,
        observed_generation=generation,
    )


def carry_over(previous: Iterable[Condition], current: Sequence[Condition]) -> list[Condition]:
    """`current`, where a condition whose status did not change keeps the time of its last transition."""
    since = {(old.type, old.status): old.last_transition_time for old in previous}
    return [
        new.model_copy(update={"last_transition_time": since.get((new.type, new.status), new.last_transition_time)})
        for new in current
    ]
