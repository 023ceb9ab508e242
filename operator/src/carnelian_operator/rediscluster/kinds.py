"""The kinds of Kubernetes objects that instances are made of."""

from carnelian_operator.api.resources import REDIS_CLUSTER
from carnelian_operator.runtime.api import Kind

STATEFUL_SET = Kind("apps", "v1", "StatefulSet", "statefulsets")
POD = Kind("", "v1", "Pod", "pods")
SERVICE = Kind("", "v1", "Service", "services")
SECRET = Kind("", "v1", "Secret", "secrets")
CONFIG_MAP = Kind("", "v1", "ConfigMap", "configmaps")
VOLUME_CLAIM = Kind("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims")
DISRUPTION_BUDGET = Kind("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets")

OWNED = (STATEFUL_SET, POD, SERVICE, SECRET, CONFIG_MAP, VOLUME_CLAIM, DISRUPTION_BUDGET)

__all__ = [
    "CONFIG_MAP",
    "DISRUPTION_BUDGET",
    "OWNED",
    "POD",
    "REDIS_CLUSTER",
    "SECRET",
    "SERVICE",
    "STATEFUL_SET",
    "VOLUME_CLAIM",
]
