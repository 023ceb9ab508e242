"""Kinds that have a complete schema but are not served yet: they say so, rather than nothing."""

from collections.abc import Iterable
from datetime import UTC, datetime

from carnelian_operator.api.base import ResourceStatus
from carnelian_operator.api.conditions import ConditionType, Reason, carry_over, condition
from carnelian_operator.policies.plan import timestamp
from carnelian_operator.runtime.api import Cache, Key, Kind, Kube, Object, Result


class UnservedController:
    """Sets ``Ready=False, reason=NotYetServed`` on every resource of one kind."""

    owned: Iterable[Kind] = ()

    def __init__(self, kind: Kind, cache: Cache, kube: Kube) -> None:
        self.primary = kind
        self._cache = cache
        self._kube = kube

    def keys_of(self, kind: Kind, obj: Object) -> Iterable[Key]:
        """The resource itself."""
        return [Key(kind.kind, obj["metadata"]["namespace"], obj["metadata"]["name"])] if kind == self.primary else []

    async def reconcile(self, key: Key) -> Result:
        """Write the condition, once a generation."""
        resource = self._cache.get(self.primary, key.namespace, key.name)
        if resource is None or "deletionTimestamp" in resource["metadata"]:
            return Result()
        old = ResourceStatus.model_validate(resource.get("status") or {})
        new = not_served(resource, old, datetime.now(UTC))
        if new.dump() != old.dump():
            uid = resource["metadata"]["uid"]
            await self._kube.patch_status(self.primary, key.namespace, key.name, new.dump(), uid)
        return Result()

    async def aclose(self) -> None:
        """Nothing to close."""


def not_served(resource: Object, old: ResourceStatus, now: datetime) -> ResourceStatus:
    """The status of a resource of a kind that is not served yet."""
    generation = resource["metadata"]["generation"]
    message = f"this version of the operator knows {resource['kind']} but does not serve it yet; the resource is kept"
    conditions = [
        condition(kind, holds, Reason.NOT_YET_SERVED, message, generation=generation, now=timestamp(now))
        for kind, holds in ((ConditionType.READY, False), (ConditionType.STALLED, True))
    ]
    return ResourceStatus(observed_generation=generation, conditions=carry_over(old.conditions, conditions))
