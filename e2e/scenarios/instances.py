"""Manifests of instances for scenarios, and what they own."""

from typing import Any

from e2e.kubectl import Kubectl, Manifest

OWNED_KINDS = "statefulsets,services,configmaps,secrets,persistentvolumeclaims,poddisruptionbudgets,pods"


def rediscluster(name: str, **spec: Any) -> Manifest:
    """A RedisCluster with this spec."""
    return {
        "apiVersion": "carnelian.dev/v1alpha1",
        "kind": "RedisCluster",
        "metadata": {"name": name},
        "spec": spec,
    }


def ratelimitrule(name: str, cluster: str, limit: int = 10) -> Manifest:
    """A rule of one token bucket."""
    return {
        "apiVersion": "carnelian.dev/v1alpha1",
        "kind": "RateLimitRule",
        "metadata": {"name": name},
        "spec": {"clusterRef": {"name": cluster}, "rules": [{"name": "all", "limit": limit}]},
    }


def versions_of(kubectl: Kubectl, *kinds: str) -> dict[str, str]:
    """``kind/name`` of every object in the namespace to its resourceVersion."""
    items = kubectl.list(",".join(kinds))
    return {f"{item['kind']}/{item['metadata']['name']}": item["metadata"]["resourceVersion"] for item in items}
