"""The kinds that the operator defines, with what their definitions say beside the schema."""

from dataclasses import dataclass, field, replace
from typing import Final, Literal

from carnelian.policies import DNS_LABEL, PolicyModel
from carnelian.policies.cel import Cel, literal
from carnelian_operator.api.base import GROUP, VERSION, ResourceStatus
from carnelian_operator.api.cachepolicy import CachePolicySpec, CachePolicyStatus
from carnelian_operator.api.jobqueue import JobQueueSpec, JobQueueStatus
from carnelian_operator.api.ratelimitrule import RateLimitRuleSpec, RateLimitRuleStatus
from carnelian_operator.api.rediscluster import NAME_MAX, RedisClusterSpec, RedisClusterStatus
from carnelian_operator.api.sessionstore import SessionStoreSpec, SessionStoreStatus
from carnelian_operator.runtime.api import Kind

REDIS_CLUSTER: Final = Kind(GROUP, VERSION, "RedisCluster", "redisclusters")
CACHE_POLICY: Final = Kind(GROUP, VERSION, "CachePolicy", "cachepolicies")
RATE_LIMIT_RULE: Final = Kind(GROUP, VERSION, "RateLimitRule", "ratelimitrules")
JOB_QUEUE: Final = Kind(GROUP, VERSION, "JobQueue", "jobqueues")
SESSION_STORE: Final = Kind(GROUP, VERSION, "SessionStore", "sessionstores")

CATEGORY = "carnelian"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of ``kubectl get``; `wide` ones appear with ``-o wide`` only."""

    name: str
    path: str
    description: str
    type: Literal["string", "integer", "date"] = "string"
    wide: bool = False


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind: its models, its names, its columns and the rules on its metadata."""

    kind: Kind
    short_name: str
    spec: type[PolicyModel]
    status: type[ResourceStatus]
    summary: str
    columns: tuple[Column, ...]
    rules: tuple[Cel, ...] = field(default=())


def _condition(kind: str, part: str) -> str:
    return f'.status.conditions[?(@.type=="{kind}")].{part}'


_AGE = Column("Age", ".metadata.creationTimestamp", "When the resource was created.", "date")
_HEALTHY = Column("Healthy", _condition("Ready", "status"), "Condition Ready.")
_HEALTHY_WIDE = replace(_HEALTHY, wide=True)
_REASON = Column("Reason", _condition("Ready", "reason"), "Why it is Ready or not.", wide=True)
_CLUSTER = Column("Cluster", ".spec.clusterRef.name", "The RedisCluster that serves it.")
_CLIENTS = Column("Clients", ".status.clients", "Live processes of the library.", "integer")
_ENFORCED = Column("Enforced", _condition("Enforced", "status"), "Whether every live process enforces it.")


def _name_rule(longest: int, pattern: str, remedy: str) -> Cel:
    return Cel(
        f"size(self.metadata.name) <= {longest} && self.metadata.name.matches({literal(pattern)})",
        f"metadata.name must be at most {longest} characters: {remedy}",
        message_expression=f"'metadata.name ' + self.metadata.name + ' must be at most {longest} characters: ' + "
        + literal(remedy),
    )


_INSTANCE_NAME = _name_rule(
    NAME_MAX,
    r"^[a-z]([-a-z0-9]*[a-z0-9])?$",
    "lower-case letters, digits and '-', starting with a letter; host names are derived from it",
)
_POLICY_NAME = _name_rule(
    63, DNS_LABEL, "lower-case letters, digits and '-', without dots; applications ask for the policy by it"
)

RESOURCES: Final[tuple[Resource, ...]] = (
    Resource(
        kind=REDIS_CLUSTER,
        short_name="rdc",
        spec=RedisClusterSpec,
        status=RedisClusterStatus,
        summary="An instance of Valkey or Redis that stays writable through failures and upgrades.",
        columns=(
            Column("Ready", ".status.ready", "Data nodes that are ready, of those asked for."),
            _HEALTHY,
            Column("Primary", ".status.primary.name", "The pod that accepts writes."),
            Column("Version", ".status.version", "Version of the engine."),
            Column("Mode", ".spec.mode", "How the servers work together."),
            _AGE,
            Column("Engine", ".spec.engine", "The server software.", wide=True),
            _REASON,
        ),
        rules=(_INSTANCE_NAME,),
    ),
    Resource(
        kind=RATE_LIMIT_RULE,
        short_name="rlr",
        spec=RateLimitRuleSpec,
        status=RateLimitRuleStatus,
        summary="Limits that every process of an application asks by name before it serves a request.",
        columns=(
            _CLUSTER,
            Column("Stage", ".spec.stage", "How far its effect reaches."),
            _CLIENTS,
            _ENFORCED,
            _AGE,
            _HEALTHY_WIDE,
            _REASON,
        ),
        rules=(_POLICY_NAME,),
    ),
    Resource(
        kind=CACHE_POLICY,
        short_name="cpol",
        spec=CachePolicySpec,
        status=CachePolicyStatus,
        summary="How a named cache behaves: lifetimes, loading, near copies, encryption, behaviour under stress.",
        columns=(
            _CLUSTER,
            Column("Stage", ".spec.stage", "How far its effect reaches."),
            Column("TTL", ".spec.ttl", "How long a value is fresh."),
            _CLIENTS,
            _ENFORCED,
            _AGE,
            _HEALTHY_WIDE,
            _REASON,
        ),
        rules=(_POLICY_NAME,),
    ),
    Resource(
        kind=JOB_QUEUE,
        short_name="jq",
        spec=JobQueueSpec,
        status=JobQueueStatus,
        summary="A job queue: order, retries, dead letters, limits, schedules, and workers that scale with the work.",
        columns=(
            _CLUSTER,
            Column("State", ".spec.state", "Whether jobs are started."),
            Column("Depth", ".status.depth", "Jobs that could start now.", "integer"),
            Column("Running", ".status.inFlight", "Jobs that run.", "integer"),
            Column("Workers", ".status.workers.ready", "Workers that take jobs.", "integer"),
            _ENFORCED,
            _AGE,
            _HEALTHY_WIDE,
            _REASON,
        ),
        rules=(_POLICY_NAME,),
    ),
    Resource(
        kind=SESSION_STORE,
        short_name="ssn",
        spec=SessionStoreSpec,
        status=SessionStoreStatus,
        summary="Sessions of an application's users: lifetimes, caps, encryption, cookies.",
        columns=(
            _CLUSTER,
            Column("Idle", ".spec.idle", "Sessions not used for this long end."),
            Column("Absolute", ".spec.absolute", "Sessions end after this long."),
            Column("Active", ".status.active", "Sessions that are alive.", "integer"),
            _ENFORCED,
            _AGE,
            _HEALTHY_WIDE,
            _REASON,
        ),
        rules=(_POLICY_NAME,),
    ),
)
"""Every kind, in the order of the reference pages."""
