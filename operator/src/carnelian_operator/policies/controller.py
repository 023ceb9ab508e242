"""Reconciles `RateLimitRule`: publishes it, and says who enforces it."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from carnelian_operator.api.conditions import ConditionType
from carnelian_operator.api.ratelimitrule import RateLimitRuleStatus
from carnelian_operator.dataplane.client import RefusedError, UnreachableError
from carnelian_operator.policies.desired import cluster_of, desired_documents, field_of
from carnelian_operator.policies.kinds import RATE_LIMIT_RULE
from carnelian_operator.policies.plan import RuleSnapshot, changed, plan_rule
from carnelian_operator.policies.sync import PolicySync
from carnelian_operator.rediscluster.kinds import REDIS_CLUSTER
from carnelian_operator.runtime.api import Cache, Key, Kind, Kube, Object, Result, Wake


class RateLimitRuleController:
    """Keeps rules published and their status true.

    Args:
        cache: The watched objects.
        kube: Writes statuses.
        wake: For the instance of a rule that was deleted: it knows which documents should be left.
        policies: Brings policies into the data plane.
    """

    primary: Kind = RATE_LIMIT_RULE
    owned: Iterable[Kind] = ()

    def __init__(self, cache: Cache, kube: Kube, wake: Wake, policies: PolicySync) -> None:
        self._cache = cache
        self._kube = kube
        self._wake = wake
        self._policies = policies
        self._clusters: dict[Key, str] = {}

    def keys_of(self, kind: Kind, obj: Object) -> Iterable[Key]:
        """A rule itself, or all rules of an instance."""
        meta = obj["metadata"]
        if kind == RATE_LIMIT_RULE:
            return [self._key(obj)]
        if kind == REDIS_CLUSTER:
            return self.rules_of(meta["namespace"], meta["name"])
        return []

    def rules_of(self, namespace: str, cluster: str) -> list[Key]:
        """The keys of all rules of an instance."""
        rules = self._cache.list(RATE_LIMIT_RULE, namespace)
        return [self._key(rule) for rule in rules if cluster_of(rule) == cluster]

    async def reconcile(self, key: Key) -> Result:
        """Observe, publish, say how far it has come."""
        rule = self._cache.get(RATE_LIMIT_RULE, key.namespace, key.name)
        if rule is None or "deletionTimestamp" in rule["metadata"]:
            cluster = self._clusters.pop(key, None)
            if cluster is not None:
                self._wake(Key(REDIS_CLUSTER.kind, key.namespace, cluster))
            return Result()
        cluster = self._clusters[key] = cluster_of(rule) or ""
        previous = RateLimitRuleStatus.model_validate(rule.get("status") or {})
        snapshot = RuleSnapshot(
            now=datetime.now(UTC),
            field=field_of(rule),
            generation=rule["metadata"]["generation"],
            previous=previous,
            **await self._observe(rule, cluster),
        )
        decision = plan_rule(snapshot)
        await self._write(rule, previous, decision.status)
        return Result(decision.requeue_after)

    async def aclose(self) -> None:
        """Nothing to close."""

    async def _observe(self, rule: Object, cluster: str) -> dict[str, Any]:
        namespace = rule["metadata"]["namespace"]
        problem = desired_documents([rule], cluster).problems.get(field_of(rule))
        if problem is not None:
            return {"invalid": problem}
        owner = self._cache.get(REDIS_CLUSTER, namespace, cluster)
        if owner is None or "deletionTimestamp" in owner["metadata"]:
            return {"cluster_missing": cluster}
        primary = ((owner.get("status") or {}).get("primary") or {}).get("name")
        if primary is None:
            return {"cluster_problem": f"RedisCluster {cluster} has no primary yet"}
        try:
            held = await self._policies.bring(namespace, cluster, primary)
        except (UnreachableError, RefusedError) as error:
            return {"cluster_problem": f"RedisCluster {cluster} cannot be written to: {error}"}
        if held.counts().dump() != owner["status"].get("policies"):
            self._wake(Key(REDIS_CLUSTER.kind, namespace, cluster))
        return {"document": held.documents.get(field_of(rule)), "clients": held.clients}

    async def _write(self, rule: Object, old: RateLimitRuleStatus, new: RateLimitRuleStatus) -> None:
        if new.dump() == old.dump() and rule.get("status"):
            return
        meta = rule["metadata"]
        await self._kube.patch_status(RATE_LIMIT_RULE, meta["namespace"], meta["name"], new.dump(), meta["uid"])
        told = changed(old.conditions, new.conditions, ConditionType.ENFORCED)
        if told is not None:
            reason = "Enforced" if told.status == "True" else told.reason
            await self._kube.event(rule, reason=reason, note=told.message, action="Publish")

    @staticmethod
    def _key(rule: Object) -> Key:
        return Key(RATE_LIMIT_RULE.kind, rule["metadata"]["namespace"], rule["metadata"]["name"])
