"""What people are told about, as Events on the resource: the differences between two statuses that matter to them."""

from dataclasses import dataclass

from carnelian_operator.api.conditions import ConditionType, Documented, Reason
from carnelian_operator.api.rediscluster import RedisClusterStatus


class Happening(Documented):
    """Reasons of Events."""

    CREATED = "Created", "The operator saw the resource for the first time."
    READY = "Ready", "The instance is ready, for the first time or again."
    PRIMARY_CHANGED = "PrimaryChanged", "Another node is the primary now."
    ROLLING_OUT = "RollingOut", "A pod is restarted to take on the current template."
    UNAVAILABLE = "Unavailable", "The instance stopped taking writes; the note says why."
    STALLED = "Stalled", "The operator cannot go on; the note says what has to change."


@dataclass(frozen=True, slots=True)
class Notice:
    """One Event to post."""

    happening: Happening
    note: str
    warning: bool = False


def notices(old: RedisClusterStatus, new: RedisClusterStatus) -> tuple[Notice, ...]:
    """What happened between two statuses."""
    told: list[Notice] = []
    if old.primary and new.primary and old.primary.name != new.primary.name:
        note = f"{new.primary.name} is the primary now, after {old.primary.name} (epoch {new.primary.epoch})"
        told.append(Notice(Happening.PRIMARY_CHANGED, note))
    if old.observed_generation < 0:
        told.append(Notice(Happening.CREATED, "creating the objects of the instance"))
    was_ready, is_ready = _holds(old, ConditionType.READY), _holds(new, ConditionType.READY)
    if is_ready and not was_ready:
        told.append(Notice(Happening.READY, "the primary accepts writes and every node is ready"))
    if was_ready and not is_ready and _outage(new):
        told.append(Notice(Happening.UNAVAILABLE, _message(new, ConditionType.READY), warning=True))
    if _holds(new, ConditionType.STALLED) and _message(old, ConditionType.STALLED) != _message(
        new, ConditionType.STALLED
    ):
        told.append(Notice(Happening.STALLED, _message(new, ConditionType.STALLED), warning=True))
    return tuple(told)


def _outage(status: RedisClusterStatus) -> bool:
    """Not ready, and not merely with less redundancy or on the way to a newer spec."""
    ready = status.condition(ConditionType.READY)
    return ready is not None and ready.reason != Reason.UPDATING.value and not _holds(status, ConditionType.DEGRADED)


def _holds(status: RedisClusterStatus, kind: ConditionType) -> bool:
    found = status.condition(kind)
    return found is not None and found.status == "True"


def _message(status: RedisClusterStatus, kind: ConditionType) -> str:
    found = status.condition(kind)
    return found.message if found else ""
