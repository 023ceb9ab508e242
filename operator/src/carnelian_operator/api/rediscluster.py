"""`RedisCluster`: an instance of Valkey or Redis that keeps itself writable."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Annotated, Final, Self

from pydantic import Field, model_validator

from carnelian.policies import Size
from carnelian.policies.cel import IMMUTABLE, Cel, cel, literal, matches
from carnelian_operator.api.base import ResourceStatus, SpecModel, StatusModel
from carnelian_operator.api.pods import NodeSelector, Resources, Toleration

NAME_MAX = 40
"""Longest name of an instance; leaves room for what is derived from it, in labels, host names and claims."""


class Engine(StrEnum):
    """The server software."""

    VALKEY = "Valkey"
    REDIS = "Redis"


class Mode(StrEnum):
    """How the servers of an instance work together."""

    STANDALONE = "Standalone"
    REPLICATION = "Replication"


class Profile(StrEnum):
    """What the data is worth."""

    DURABLE = "Durable"
    CACHE = "Cache"


class DeletionPolicy(StrEnum):
    """What happens to the data when the resource is deleted."""

    RETAIN = "Retain"
    DELETE = "Delete"


class ImagePullPolicy(StrEnum):
    """When a node pulls an image."""

    IF_NOT_PRESENT = "IfNotPresent"
    ALWAYS = "Always"
    NEVER = "Never"


VERSIONS: Final[Mapping[Engine, tuple[str, ...]]] = {
    Engine.VALKEY: ("8.0", "8.1", "9.0", "9.1"),
    Engine.REDIS: ("7.2", "7.4", "8.0"),
}
"""The versions that are supported, oldest first; the last one is the default."""


def _by_engine(render: Callable[[tuple[str, ...]], str]) -> str:
    """A CEL expression that yields `render` of the engine's versions."""
    return f"(self.engine == 'Redis' ? {render(VERSIONS[Engine.REDIS])} : {render(VERSIONS[Engine.VALKEY])})"


def _cel_list(versions: tuple[str, ...]) -> str:
    return "[" + ", ".join(map(literal, versions)) + "]"


def _cel_text(versions: tuple[str, ...]) -> str:
    return literal(", ".join(versions))


IMAGE = r"^[a-z0-9][A-Za-z0-9._:/@-]*$"
_STORAGE_CLASS = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"
_FIXED_CLASS = (
    "has(self.className) == has(oldSelf.className) && (!has(self.className) || self.className == oldSelf.className)"
)


@cel(
    _FIXED_CLASS,
    "className cannot be changed: create a new RedisCluster with the other class and move the data",
    field=".className",
    reason="FieldValueForbidden",
)
@cel(
    "quantity(string(self.size)).compareTo(quantity(string(oldSelf.size))) >= 0",
    "size cannot shrink: volumes only grow; keep the size, or create a new RedisCluster and move the data",
    message_expression="'size cannot shrink from ' + string(oldSelf.size) + ' to ' + string(self.size) + "
    "': volumes only grow; keep the size, or create a new RedisCluster and move the data'",
    field=".size",
    reason="FieldValueForbidden",
)
class Storage(SpecModel):
    """A volume for every data node."""

    size: Size
    """Size of each node's volume, for example 10Gi. May grow (where the storage class allows it), never shrink."""
    class_name: Annotated[
        str | None,
        Field(pattern=_STORAGE_CLASS, max_length=253),
        matches(_STORAGE_CLASS, "must be the name of a StorageClass: lower-case letters, digits, '-' and '.'"),
    ] = None
    """The StorageClass; the cluster's default class when absent. Cannot be changed."""


class Sentinel(SpecModel):
    """The Sentinels that detect the loss of a primary and promote a replica."""

    replicas: Annotated[
        int,
        Field(ge=3, le=9),
        Cel(
            "self % 2 == 1",
            "the number of Sentinels must be odd, so that a majority can always decide: use 3, 5, 7 or 9",
        ),
    ] = 3
    """How many Sentinels; odd, so that a majority can always decide."""
    detection_milliseconds: Annotated[int, Field(ge=500, le=60_000)] = 2000
    """How long a primary may stay silent before Sentinel takes it for lost, in milliseconds."""
    resources: Resources = Resources.model_validate(
        {"requests": {"cpu": "20m", "memory": "32Mi"}, "limits": {"memory": "64Mi"}}
    )
    """CPU and memory of each Sentinel."""


@cel(
    f"!has(self.version) || self.version in {_by_engine(_cel_list)}",
    f"version is not supported: use one of {', '.join(VERSIONS[Engine.VALKEY])} with engine Valkey, "
    f"or {', '.join(VERSIONS[Engine.REDIS])} with engine Redis",
    message_expression="'version ' + self.version + ' is not supported for engine ' + self.engine + ': use one of ' + "
    + _by_engine(_cel_text),
    field=".version",
)
@cel(
    "self.mode != 'Standalone' || !has(self.replicas) || self.replicas == 0",
    "replicas must be 0 in mode Standalone: remove replicas, or set mode Replication",
    field=".replicas",
)
@cel(
    "self.mode != 'Replication' || !has(self.replicas) || self.replicas >= 1",
    "replicas must be at least 1 in mode Replication: remove replicas for the default of 2, or set mode Standalone",
    field=".replicas",
)
@cel(
    "!has(self.sentinel) || self.mode == 'Replication'",
    "sentinel is only for mode Replication: remove sentinel, or set mode Replication",
    field=".sentinel",
    reason="FieldValueForbidden",
)
@cel(
    "has(self.storage) == has(oldSelf.storage)",
    "storage cannot be added or removed later: create a new RedisCluster and move the data",
    field=".storage",
    reason="FieldValueForbidden",
)
class RedisClusterSpec(SpecModel):
    """What an instance should be."""

    engine: Annotated[
        Engine,
        Cel(
            IMMUTABLE,
            "engine cannot be changed: create a new RedisCluster with the other engine and move the data",
            reason="FieldValueForbidden",
        ),
    ] = Engine.VALKEY
    """The server software. Cannot be changed."""
    version: Annotated[
        str | None,
        Field(pattern=r"^[0-9]{1,2}\.[0-9]{1,2}$", max_length=32),
        matches(r"^[0-9]{1,2}\.[0-9]{1,2}$", "version must be a major and a minor number, like 9.1"),
    ] = None
    """Version of the engine, for example 9.1; the newest supported one when absent."""
    image: Annotated[
        str | None,
        Field(pattern=IMAGE, max_length=255),
        matches(IMAGE, "image must be an image reference like docker.io/valkey/valkey:9.1, without spaces or quotes"),
    ] = None
    """Image to run instead of the official one; it must contain the stated version of the engine."""
    image_pull_policy: ImagePullPolicy = ImagePullPolicy.IF_NOT_PRESENT
    """When nodes pull the image."""
    mode: Annotated[
        Mode,
        Cel(
            IMMUTABLE,
            "mode cannot be changed: create a new RedisCluster in the other mode and move the data",
            reason="FieldValueForbidden",
        ),
    ] = Mode.STANDALONE
    """Standalone: one server. Replication: a primary with replicas, and Sentinels that fail over. Cannot be changed."""
    replicas: Annotated[int | None, Field(ge=0, le=10)] = None
    """Replicas of the primary. Replication: 1 or more, 2 when absent. Standalone: 0."""
    sentinel: Sentinel | None = None
    """The Sentinels of mode Replication; three when absent."""
    profile: Profile = Profile.DURABLE
    """Durable: append-only file flushed every second, writes refused when memory is full or, with two or more
    replicas, when no replica follows. Cache: no persistence, the least recently used keys make room."""
    storage: Storage | None = None
    """A volume for every node. Absent: node-local scratch space that ends with the pod. Cannot be added or removed."""
    resources: Resources = Resources.model_validate(
        {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "256Mi"}}
    )
    """CPU and memory of each data node. The memory limit also sets the server's `maxmemory`."""
    deletion_policy: DeletionPolicy = DeletionPolicy.RETAIN
    """Retain: volumes and credentials stay when the resource is deleted. Delete: they go with it."""
    node_selector: NodeSelector = {}
    """Labels that a Kubernetes node must have to run the instance's pods."""
    tolerations: Annotated[list[Toleration], Field(max_length=16)] = []
    """Taints of Kubernetes nodes that the instance's pods put up with."""

    @property
    def engine_version(self) -> str:
        """The stated version, or the newest supported one."""
        return self.version or VERSIONS[self.engine][-1]

    @property
    def replica_count(self) -> int:
        """Replicas of the primary: as stated, or the default of the mode."""
        if self.replicas is not None:
            return self.replicas
        return 2 if self.mode is Mode.REPLICATION else 0

    @property
    def sentinels(self) -> Sentinel | None:
        """The Sentinels' settings, stated or default; None where the mode has no Sentinels."""
        return (self.sentinel or Sentinel()) if self.mode is Mode.REPLICATION else None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.engine_version not in VERSIONS[self.engine]:
            known = ", ".join(VERSIONS[self.engine])
            raise ValueError(f"version {self.version} is not supported for engine {self.engine}: use one of {known}")
        if (self.mode is Mode.STANDALONE) != (self.replica_count == 0):
            raise ValueError(
                f"replicas {self.replicas} does not fit mode {self.mode}: 0 for Standalone, else at least 1"
            )
        if self.sentinel is not None and self.sentinel.replicas % 2 == 0:
            raise ValueError(f"sentinel.replicas {self.sentinel.replicas} is even: use 3, 5, 7 or 9")
        return self


class NodeRole(StrEnum):
    """What a data node is at the moment; also the value of the pod's label ``carnelian.dev/role``."""

    PRIMARY = "primary"
    REPLICA = "replica"
    UNKNOWN = "unknown"


class PrimaryStatus(StatusModel):
    """The node that accepts writes, as recorded before it was promoted."""

    name: Annotated[str, Field(max_length=63)]
    """The pod's name."""
    epoch: Annotated[int, Field(ge=1)]
    """Counts the changes of primary; a higher epoch always wins."""
    since: Annotated[str, Field(max_length=32, json_schema_extra={"format": "date-time"})]
    """When it became the primary."""


class NodeStatus(StatusModel):
    """One data node."""

    name: Annotated[str, Field(max_length=63)]
    """The pod's name."""
    role: NodeRole = NodeRole.UNKNOWN
    """primary, replica, or unknown while the server does not answer."""
    ready: bool = False
    """Whether the pod is ready."""
    link_up: bool | None = None
    """Whether a replica is connected to its primary."""
    offset: int | None = None
    """The node's replication offset, in bytes."""
    lag_bytes: int | None = None
    """How far a replica's offset is behind the primary's."""
    zone: Annotated[str | None, Field(max_length=63)] = None
    """The zone of the Kubernetes node (label topology.kubernetes.io/zone)."""
    node: Annotated[str | None, Field(max_length=253)] = None
    """The Kubernetes node that runs the pod."""


class Binding(StatusModel):
    """What the Service Binding specification calls a provisioned service's binding."""

    name: Annotated[str, Field(max_length=253)]
    """The Secret with everything that an application needs in order to connect."""


class Endpoints(StatusModel):
    """Where the instance listens, as host:port inside the Kubernetes cluster."""

    primary: Annotated[str | None, Field(max_length=253)] = None
    """Reads and writes."""
    replicas: Annotated[str | None, Field(max_length=253)] = None
    """Reads that may be a little behind."""
    sentinel: Annotated[str | None, Field(max_length=253)] = None
    """The Sentinels, for clients that ask them for the primary."""


class SentinelStatus(StatusModel):
    """The Sentinels of the instance."""

    master_name: Annotated[str, Field(max_length=253)]
    """The name under which Sentinels know the instance; clients need it."""
    quorum: int
    """How many Sentinels must agree that the primary is lost."""
    ready: Annotated[str | None, Field(max_length=16)] = None
    """Sentinels that answer, of those asked for, as in 3/3."""


class PoliciesStatus(StatusModel):
    """The policies that this instance delivers to library processes."""

    epoch: int
    """Number of the last change of any policy."""
    documents: int
    """How many policies are published."""
    clients: int
    """How many processes of the library are alive."""


class PendingRestart(StatusModel):
    """A pod that would be, or is waiting to be, restarted."""

    pod: Annotated[str, Field(max_length=63)]
    """The pod's name."""
    reason: Annotated[str, Field(max_length=253)]
    """What it still runs with that the spec has changed."""


class RedisClusterStatus(ResourceStatus):
    """What an instance is."""

    primary: PrimaryStatus | None = None
    """The node that accepts writes."""
    nodes: Annotated[list[NodeStatus], Field(max_length=64)] = []
    """Every data node as last seen."""
    ready: Annotated[str | None, Field(max_length=16)] = None
    """Data nodes that are ready, of those asked for, as in 3/3."""
    version: Annotated[str | None, Field(max_length=16)] = None
    """Version of the engine that the instance runs or is moving to."""
    image: Annotated[str | None, Field(max_length=255)] = None
    """The image of the data nodes."""
    binding: Binding | None = None
    """The Secret for applications, by the Service Binding specification."""
    endpoints: Endpoints | None = None
    """Where the instance listens."""
    sentinel: SentinelStatus | None = None
    """The Sentinels; only in mode Replication."""
    policies: PoliciesStatus | None = None
    """The policies that this instance delivers."""
    pending_restarts: Annotated[list[PendingRestart], Field(max_length=64)] = []
    """Pods that have to restart before they run the current spec, and why."""
