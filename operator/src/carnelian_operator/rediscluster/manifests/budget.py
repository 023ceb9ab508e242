"""Disruption budgets: a drain takes one pod at a time. A single server has none, or it could never be drained."""

from typing import Any

from carnelian_operator.rediscluster.instance import DATA, SENTINEL, Instance


def budgets(instance: Instance) -> list[dict[str, Any]]:
    """The budgets of the data pods and of the Sentinels."""
    if not instance.replicated:
        return []
    return [_budget(instance, instance.name, DATA), _budget(instance, instance.sentinel_name, SENTINEL)]


def _budget(instance: Instance, name: str, component: str) -> dict[str, Any]:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": instance.metadata(name, component),
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": instance.selector(component)}},
    }
