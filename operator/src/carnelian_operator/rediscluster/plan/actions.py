"""Everything that a plan can ask for. Each action can be carried out twice without harm."""

from collections.abc import Mapping
from dataclasses import dataclass

from carnelian_operator.api.rediscluster import PrimaryStatus
from carnelian_operator.runtime.api import Kind, Object


@dataclass(frozen=True, slots=True)
class CreateCredentials:
    """Make passwords, unless somebody just did."""


@dataclass(frozen=True, slots=True)
class Apply:
    """Apply an object's complete intent."""

    kind: Kind
    manifest: Object


@dataclass(frozen=True, slots=True)
class RecordPrimary:
    """Write down who becomes the primary, before it does."""

    primary: PrimaryStatus


@dataclass(frozen=True, slots=True)
class Promote:
    """Make a server the primary where there is none."""

    pod: str


@dataclass(frozen=True, slots=True)
class Handover:
    """Move the primary's role from a live primary to a replica in step with it."""

    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Follow:
    """Make a server a replica of the primary."""

    pod: str
    primary: str


@dataclass(frozen=True, slots=True)
class KillClients:
    """Send the clients of a former primary away."""

    pod: str


@dataclass(frozen=True, slots=True)
class WatchPrimary:
    """Point a Sentinel at the primary."""

    sentinel: str
    primary: str


@dataclass(frozen=True, slots=True)
class Unwatch:
    """Have a Sentinel forget a name that is not ours."""

    sentinel: str
    master_name: str


@dataclass(frozen=True, slots=True)
class SetConfig:
    """Change live directives of a server."""

    pod: str
    values: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class LabelRole:
    """Set a pod's role label, or take it away."""

    pod: str
    uid: str
    role: str | None


@dataclass(frozen=True, slots=True)
class RestartPod:
    """Delete a pod so that its StatefulSet makes it anew from the current template."""

    pod: str
    uid: str
    why: str


Action = (
    CreateCredentials
    | Apply
    | RecordPrimary
    | Promote
    | Handover
    | Follow
    | KillClients
    | WatchPrimary
    | Unwatch
    | SetConfig
    | LabelRole
    | RestartPod
)
DISRUPTIVE = (Promote, Handover, RestartPod)
"""At most one of these in a plan; each re-checks on fresh data that it is still right."""
