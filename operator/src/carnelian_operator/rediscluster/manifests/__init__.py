"""Every object of an instance, built from its spec alone: the same spec gives the same bytes."""

from collections.abc import Mapping

from carnelian_operator.rediscluster.instance import Instance
from carnelian_operator.rediscluster.kinds import CONFIG_MAP, DISRUPTION_BUDGET, SECRET, SERVICE, STATEFUL_SET
from carnelian_operator.rediscluster.manifests.budget import budgets
from carnelian_operator.rediscluster.manifests.config import config_map
from carnelian_operator.rediscluster.manifests.data import data_set
from carnelian_operator.rediscluster.manifests.secrets import binding, credentials
from carnelian_operator.rediscluster.manifests.sentinel import sentinel_set
from carnelian_operator.rediscluster.manifests.services import services
from carnelian_operator.runtime.api import Kind, Object


def all_manifests(
    instance: Instance, passwords: Mapping[str, str], claimed_size: str | None
) -> list[tuple[Kind, Object]]:
    """Everything the instance owns, in the order in which it is applied: what a pod needs before the pods.

    Args:
        instance: What was asked for.
        passwords: Password by user.
        claimed_size: The size in the live StatefulSet's volume template, which can never change; None: there is none.
    """
    manifests: list[tuple[Kind, Object]] = [
        (SECRET, credentials(instance, passwords)),
        (CONFIG_MAP, config_map(instance)),
        *((SERVICE, service) for service in services(instance)),
        (STATEFUL_SET, data_set(instance, claimed_size)),
    ]
    if instance.replicated:
        manifests.append((STATEFUL_SET, sentinel_set(instance)))
    manifests.append((SECRET, binding(instance, passwords)))
    manifests += ((DISRUPTION_BUDGET, budget) for budget in budgets(instance))
    return manifests
