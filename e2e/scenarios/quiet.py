"""Instances that are left alone, and whether anything about them was written meanwhile."""

import time

from e2e.kubectl import Kubectl
from e2e.scenarios.instances import ratelimitrule, rediscluster, versions_of

WATCHED = (
    "rediscluster",
    "ratelimitrule",
    "statefulset",
    "service",
    "configmap",
    "secret",
    "pod",
    "pdb",
    "endpointslice",
)
STILL_SECONDS = 5


class LeftAlone:
    """A Standalone and a Replication instance and a rule, as they were once all was Ready and had come to rest."""

    def __init__(self, kubectl: Kubectl) -> None:
        self.kubectl = kubectl
        kubectl.ensure_namespace()
        kubectl.apply(rediscluster("one"), rediscluster("many", mode="Replication"), ratelimitrule("api", "many"))
        for name in ("one", "many"):
            kubectl.wait_condition("rediscluster", name, "Ready", seconds=120)
        kubectl.wait_condition("ratelimitrule", "api", "Ready", seconds=30)
        self.versions: dict[str, str] = kubectl.wait("no object changes", self._at_rest, seconds=90)
        self.since = time.monotonic()

    def _at_rest(self) -> dict[str, str] | None:
        before = self.now()
        time.sleep(STILL_SECONDS)
        return before if self.now() == before else None

    def now(self) -> dict[str, str]:
        """``kind/name`` to resourceVersion of every object in the namespace."""
        return versions_of(self.kubectl, *WATCHED)
