"""One instance: its spec, and every name that is derived from it. Names are functions of the resource alone."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from carnelian_operator.api.rediscluster import Mode, RedisClusterSpec
from carnelian_operator.engines.releases import Release, find_release
from carnelian_operator.engines.sentinel_conf import SENTINEL_PORT, quorum
from carnelian_operator.engines.server_conf import DATA_PORT, ServerSettings
from carnelian_operator.rediscluster.kinds import REDIS_CLUSTER
from carnelian_operator.rediscluster.quantity import parse_quantity
from carnelian_operator.runtime.api import Object

MANAGED_BY = {"app.kubernetes.io/managed-by": "carnelian"}
CLUSTER_LABEL = "carnelian.dev/cluster"
ROLE_LABEL = "carnelian.dev/role"
COMPONENT_LABEL = "app.kubernetes.io/component"
RESTARTED_AT = "carnelian.dev/restartedAt"
APPLIED = "carnelian.dev/applied"
DATA, SENTINEL = "data", "sentinel"


@dataclass(frozen=True)
class Instance:
    """What the user asked for, and what it is called."""

    namespace: str
    name: str
    uid: str
    generation: int
    spec: RedisClusterSpec
    restarted_at: str | None = None

    @classmethod
    def of(cls, resource: Object) -> "Instance":
        """The instance that a `RedisCluster` object describes.

        Raises:
            ValueError: the spec breaks a rule.
        """
        meta = resource["metadata"]
        return cls(
            namespace=meta["namespace"],
            name=meta["name"],
            uid=meta["uid"],
            generation=meta["generation"],
            spec=RedisClusterSpec.model_validate(resource["spec"]),
            restarted_at=(meta.get("annotations") or {}).get(RESTARTED_AT),
        )

    @property
    def replicated(self) -> bool:
        """It has replicas and Sentinels."""
        return self.spec.mode is Mode.REPLICATION

    @cached_property
    def release(self) -> Release:
        """The engine's version."""
        return find_release(self.spec.engine, self.spec.engine_version)

    @property
    def image(self) -> str:
        """What all pods run."""
        return self.spec.image or self.release.image

    @cached_property
    def settings(self) -> ServerSettings:
        """What the servers' configuration depends on."""
        limits = self.spec.resources.limits
        memory = limits.memory if limits else None
        return ServerSettings(
            release=self.release,
            profile=self.spec.profile,
            replicas=self.spec.replica_count,
            memory_limit=None if memory is None else int(parse_quantity(memory)),
        )

    # Pods and hosts.

    @property
    def data_count(self) -> int:
        """How many data nodes there should be."""
        return 1 + self.spec.replica_count

    @property
    def sentinel_count(self) -> int:
        """How many Sentinels there should be."""
        return self.spec.sentinels.replicas if self.spec.sentinels else 0

    @property
    def data_pods(self) -> tuple[str, ...]:
        """Names of the data pods."""
        return tuple(f"{self.name}-{ordinal}" for ordinal in range(self.data_count))

    @property
    def sentinel_pods(self) -> tuple[str, ...]:
        """Names of the Sentinels' pods."""
        return tuple(f"{self.sentinel_name}-{ordinal}" for ordinal in range(self.sentinel_count))

    def data_host(self, pod: str) -> str:
        """The host name that servers and Sentinels know a data pod by; it survives the pod's address."""
        return f"{pod}.{self.nodes_name}.{self.namespace}.svc"

    def sentinel_host(self, pod: str) -> str:
        """The host name of a Sentinel's pod."""
        return f"{pod}.{self.sentinel_name}.{self.namespace}.svc"

    def pod_of_host(self, host: str) -> str | None:
        """The data pod that has this host name, or None."""
        pod, _, rest = host.partition(".")
        return pod if pod.startswith(f"{self.name}-") and rest == f"{self.nodes_name}.{self.namespace}.svc" else None

    # Objects.

    @property
    def nodes_name(self) -> str:
        """Headless Service of all data pods."""
        return f"{self.name}-nodes"

    @property
    def primary_name(self) -> str:
        """Service of the primary."""
        return f"{self.name}-primary"

    @property
    def replicas_name(self) -> str:
        """Service of the replicas."""
        return f"{self.name}-replicas"

    @property
    def sentinel_name(self) -> str:
        """StatefulSet and Service of the Sentinels."""
        return f"{self.name}-sentinel"

    @property
    def config_name(self) -> str:
        """ConfigMap with configuration and scripts."""
        return f"{self.name}-config"

    @property
    def credentials_name(self) -> str:
        """Secret with the passwords of all users; the operator's own."""
        return f"{self.name}-credentials"

    @property
    def binding_name(self) -> str:
        """Secret for applications."""
        return f"{self.name}-binding"

    def service_host(self, service: str) -> str:
        """The host name of one of the instance's Services."""
        return f"{service}.{self.namespace}.svc"

    # Sentinel.

    @property
    def master_name(self) -> str:
        """What the Sentinels call the instance; unique, so that Sentinels of two instances never merge."""
        return f"{self.namespace}.{self.name}.{self.uid[:8]}"

    @property
    def quorum(self) -> int:
        """How many Sentinels must agree that the primary is down."""
        return quorum(self.sentinel_count)

    # Metadata.

    def labels(self, component: str | None = None) -> dict[str, str]:
        """Labels of an owned object."""
        labels = {
            **MANAGED_BY,
            "app.kubernetes.io/name": "sentinel" if component == SENTINEL else "redis",
            "app.kubernetes.io/instance": self.name,
            CLUSTER_LABEL: self.name,
        }
        return labels | ({COMPONENT_LABEL: component} if component else {})

    def selector(self, component: str) -> dict[str, str]:
        """Labels that select the pods of a component."""
        return {CLUSTER_LABEL: self.name, COMPONENT_LABEL: component}

    def owner_reference(self) -> dict[str, Any]:
        """Ties an object's life to the resource's."""
        return {
            "apiVersion": REDIS_CLUSTER.api_version,
            "kind": REDIS_CLUSTER.kind,
            "name": self.name,
            "uid": self.uid,
            "controller": True,
            "blockOwnerDeletion": True,
        }

    def metadata(self, name: str, component: str | None = None, *, owned: bool = True) -> dict[str, Any]:
        """``metadata`` of an owned object."""
        metadata: dict[str, Any] = {"name": name, "namespace": self.namespace, "labels": self.labels(component)}
        return metadata | ({"ownerReferences": [self.owner_reference()]} if owned else {})


PORTS = {DATA: DATA_PORT, SENTINEL: SENTINEL_PORT}
