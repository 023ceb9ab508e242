"""One reading of everything that a decision about an instance needs. Immutable; planners see nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from carnelian_operator.api.conditions import Reason
from carnelian_operator.api.rediscluster import PoliciesStatus, RedisClusterStatus
from carnelian_operator.dataplane.state import Sentinel, Server
from carnelian_operator.rediscluster.instance import Instance
from carnelian_operator.runtime.api import Kind, Object


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that does not go away by waiting."""

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod of the instance."""

    name: str
    uid: str
    revision: str = ""
    """Revision of the StatefulSet's template that it was made from."""
    ip: str | None = None
    node: str | None = None
    zone: str | None = None
    ready: bool = False
    terminating: bool = False
    role: str | None = None
    """Value of its role label."""
    restarted_at: str | None = None
    trouble: Trouble | None = None

    @property
    def ordinal(self) -> int:
        """Its number in the StatefulSet."""
        return int(self.name.rpartition("-")[2])


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is, as of `now`."""

    now: datetime
    instance: Instance
    status: RedisClusterStatus
    """As recorded before this pass."""
    passwords: Mapping[str, str] | None = None
    """Password by user; None: there is no usable credentials Secret."""
    credentials_problem: str | None = None
    """What is wrong with the credentials Secret, when it exists."""
    live: Mapping[tuple[Kind, str], Object] = field(default_factory=dict)
    """Objects of the names that the instance needs, and its volume claims, by kind and name."""
    pods: Mapping[str, Pod] = field(default_factory=dict)
    """Data pods by name; may hold some more than asked for while the instance shrinks."""
    sentinel_pods: Mapping[str, Pod] = field(default_factory=dict)
    data_revision: str | None = None
    """Revision that data pods should have; None while the StatefulSet's controller has not caught up."""
    sentinel_revision: str | None = None
    servers: Mapping[str, Server] = field(default_factory=dict)
    """State of every data node that answers, by pod."""
    sentinels: Mapping[str, Sentinel] = field(default_factory=dict)
    """State of every Sentinel that answers, by pod."""
    policies: PoliciesStatus | None = None
    handover_rests: bool = False
    """A handover failed a moment ago. Each attempt pauses writes, so the next one has to wait."""
    undecided_seconds: float = 0.0
    """For how long this process has seen no agreed primary."""

    @property
    def recorded(self) -> str | None:
        """The pod that the status names as primary."""
        return self.status.primary.name if self.status.primary else None
