"""Reconciles `RedisCluster`."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, replace

import structlog
from pydantic import ValidationError

from carnelian_operator.api.conditions import ConditionType, Reason, carry_over, condition
from carnelian_operator.api.rediscluster import RedisClusterStatus
from carnelian_operator.dataplane.client import RefusedError, UnreachableError
from carnelian_operator.dataplane.monitor import Monitor
from carnelian_operator.engines.acl import OPERATOR
from carnelian_operator.engines.sentinel_conf import SENTINEL_PORT
from carnelian_operator.engines.server_conf import DATA_PORT
from carnelian_operator.policies.sync import PolicySync
from carnelian_operator.rediscluster.act import Actor
from carnelian_operator.rediscluster.instance import CLUSTER_LABEL, Instance
from carnelian_operator.rediscluster.kinds import OWNED, REDIS_CLUSTER
from carnelian_operator.rediscluster.observe import addresses, observe
from carnelian_operator.rediscluster.plan import Decision, decide
from carnelian_operator.rediscluster.plan.actions import DISRUPTIVE, Action, Handover
from carnelian_operator.rediscluster.plan.events import notices
from carnelian_operator.rediscluster.snapshot import Snapshot
from carnelian_operator.runtime.api import Cache, Key, Kind, Kube, Object, Result

_log = structlog.get_logger(__name__)
_AFTER_ACTING_SECONDS = 0.25
"""Until the next look when something was just done; servers need a moment to show it."""
_TIRED_SECONDS = 10.0
"""The longest pause between attempts at the very same actions, when they change nothing or fail."""
_HANDOVER_RESTS = (10.0, 300.0)
"""Seconds between failed handovers, first and longest: each of them pauses writes."""


@dataclass(slots=True)
class _Memory:
    """What this process remembers of an instance. Losing it costs time, never correctness."""

    uid: str
    undecided_since: float | None = None
    """When we first found no agreed primary; seconds of a monotonic clock. None: there is one."""
    actions: tuple[Action, ...] = ()
    """What the last pass did."""
    repeats: int = 0
    """How many passes before it did exactly the same."""
    failed_handovers: int = 0
    handover_after: float = 0.0
    """No handover before that; seconds of a monotonic clock."""
    seen_version: str = ""
    """Resource version of the object when we last wrote its status."""
    written: RedisClusterStatus | None = None
    """That status: the truth until the cache shows a newer object."""


class RedisClusterController:
    """Keeps instances as their specs say, and writable.

    Args:
        cache: The watched objects.
        kube: Writes to the API server.
        monitor: Listens to the servers.
        policies: Brings policies into the data plane.
    """

    primary: Kind = REDIS_CLUSTER
    owned: Iterable[Kind] = OWNED

    def __init__(self, cache: Cache, kube: Kube, monitor: Monitor, policies: PolicySync) -> None:
        self._cache = cache
        self._kube = kube
        self._monitor = monitor
        self._policies = policies
        self._memories: dict[Key, _Memory] = {}

    def keys_of(self, kind: Kind, obj: Object) -> Iterable[Key]:
        """The instance itself, or the one whose label an owned object carries."""
        meta = obj["metadata"]
        if kind == REDIS_CLUSTER:
            return [Key(REDIS_CLUSTER.kind, meta["namespace"], meta["name"])]
        name = (meta.get("labels") or {}).get(CLUSTER_LABEL)
        return [Key(REDIS_CLUSTER.kind, meta["namespace"], name)] if name and kind in OWNED else []

    async def reconcile(self, key: Key) -> Result:
        """Observe, plan, act, once."""
        resource = self._cache.get(REDIS_CLUSTER, key.namespace, key.name)
        if resource is None or "deletionTimestamp" in resource["metadata"]:
            self._memories.pop(key, None)
            self._monitor.forget(key)
            self._policies.forget(key.namespace, key.name)
            return Result()
        memory = self._remember(key, resource)
        old = self._status(resource, memory)
        try:
            instance = Instance.of(resource)
        except (ValidationError, ValueError) as error:
            await self._write_status(resource, memory, old, _invalid(resource, old, error))
            return Result()
        now = time.monotonic()
        undecided = now - (memory.undecided_since or now)
        snapshot = await observe(self._cache, self._kube, instance, old, undecided)
        snapshot = replace(snapshot, handover_rests=now < memory.handover_after)
        self._listen(key, snapshot)
        decision = decide(snapshot)
        memory.undecided_since = None if decision.primary else memory.undecided_since or now
        complete = await Actor(self._kube, resource, snapshot).carry_out(decision.actions)
        status = await self._with_policies(key, decision)
        await self._write_status(resource, memory, old, status)
        return Result(_look_again(memory, decision, complete=complete))

    async def aclose(self) -> None:
        """Stop listening."""
        await self._monitor.aclose()

    def _remember(self, key: Key, resource: Object) -> _Memory:
        uid = resource["metadata"]["uid"]
        memory = self._memories.get(key)
        if memory is None or memory.uid != uid:
            memory = self._memories[key] = _Memory(uid)
        return memory

    def _status(self, resource: Object, memory: _Memory) -> RedisClusterStatus:
        if memory.written is not None and memory.seen_version == resource["metadata"]["resourceVersion"]:
            return memory.written
        return RedisClusterStatus.model_validate(resource.get("status") or {})

    def _listen(self, key: Key, snapshot: Snapshot) -> None:
        password = (snapshot.passwords or {}).get(OPERATOR, "")
        self._monitor.listen(
            key,
            addresses(snapshot.pods, DATA_PORT, password),
            addresses(snapshot.sentinel_pods, SENTINEL_PORT, password),
        )

    async def _with_policies(self, key: Key, decision: Decision) -> RedisClusterStatus:
        """The status with what the data plane holds; documents that are missing there are written on the way."""
        if decision.primary is None or any(isinstance(action, DISRUPTIVE) for action in decision.actions):
            return decision.status  # the next pass knows who takes writes
        try:
            held = await self._policies.bring(key.namespace, key.name, decision.primary)
        except (UnreachableError, RefusedError) as error:
            _log.warning("policies were not brought", error=str(error))
            return decision.status
        return decision.status.model_copy(update={"policies": held.counts()})

    async def _write_status(
        self, resource: Object, memory: _Memory, old: RedisClusterStatus, new: RedisClusterStatus
    ) -> None:
        if new.dump() == old.dump() and resource.get("status"):
            return
        meta = resource["metadata"]
        await self._kube.patch_status(REDIS_CLUSTER, meta["namespace"], meta["name"], new.dump(), meta["uid"])
        memory.seen_version, memory.written = meta["resourceVersion"], new
        for notice in notices(old, new):
            reason = notice.happening.value
            await self._kube.event(
                resource, reason=reason, note=notice.note, action="Reconcile", warning=notice.warning
            )


def _look_again(memory: _Memory, decision: Decision, *, complete: bool) -> float | None:
    """Seconds until the next pass. What is tried over and over is tried less and less often."""
    same = decision.actions == memory.actions
    memory.repeats, memory.actions = memory.repeats + 1 if same else 0, decision.actions
    if any(isinstance(action, Handover) for action in decision.actions):
        memory.failed_handovers = 0 if complete else memory.failed_handovers + 1
        first, longest = _HANDOVER_RESTS
        rest = 0.0 if complete else min(longest, first * 2.0 ** min(memory.failed_handovers - 1, 10))
        memory.handover_after = time.monotonic() + rest
    again = decision.requeue_after
    if not decision.actions or again is None:
        return again
    pause = _AFTER_ACTING_SECONDS if complete else again
    return min(max(again, _TIRED_SECONDS), pause * 2.0 ** min(memory.repeats, 10))


def _invalid(resource: Object, old: RedisClusterStatus, error: Exception) -> RedisClusterStatus:
    """The status of a resource whose spec the API server let through although we cannot read it."""
    generation, message = resource["metadata"]["generation"], str(error)
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    conditions = [
        condition(ConditionType.READY, False, Reason.INVALID_SPEC, message, generation=generation, now=now),
        condition(ConditionType.STALLED, True, Reason.INVALID_SPEC, message, generation=generation, now=now),
    ]
    return old.model_copy(
        update={"observed_generation": generation, "conditions": carry_over(old.conditions, conditions)}
    )
