"""What data pods and Sentinel pods have in common."""

import hashlib
from typing import Any

from carnelian_operator.rediscluster.instance import PORTS, RESTARTED_AT, Instance

USER = 999
"""The user and group of the official images of both engines."""
_CONFIG_ANNOTATION = "carnelian.dev/config"


def pod_metadata(instance: Instance, component: str, configuration: str) -> dict[str, Any]:
    """Metadata of the template; a changed configuration or restart request makes another revision of it."""
    annotations = {_CONFIG_ANNOTATION: hashlib.sha256(configuration.encode()).hexdigest()[:16]}
    if instance.restarted_at is not None:
        annotations[RESTARTED_AT] = instance.restarted_at
    return {"labels": instance.labels(component), "annotations": annotations}


def pod_spec(
    instance: Instance, component: str, container: dict[str, Any], volumes: list[dict[str, Any]]
) -> dict[str, Any]:
    """Specification of a pod under the restricted Pod Security Standard."""
    spec: dict[str, Any] = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        # The server finishes its log and waits up to 10 s for replicas to have everything.
        "terminationGracePeriodSeconds": 30,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "topologySpreadConstraints": [
            _spread(instance, component, "kubernetes.io/hostname"),
            _spread(instance, component, "topology.kubernetes.io/zone"),
        ],
        "containers": [container],
        "volumes": volumes,
    }
    if instance.spec.node_selector:
        spec["nodeSelector"] = dict(instance.spec.node_selector)
    if instance.spec.tolerations:
        spec["tolerations"] = [
            toleration.model_dump(mode="json", by_alias=True, exclude_none=True)
            for toleration in instance.spec.tolerations
        ]
    return spec


def container(
    instance: Instance,
    component: str,
    *,
    script: str,
    resources: dict[str, Any],
    env: dict[str, str],
    mounts: dict[str, str],
) -> dict[str, Any]:
    """The one container: a start script that becomes the server."""
    port_name = "redis" if component == "data" else "sentinel"
    listens = {"tcpSocket": {"port": port_name}}
    return {
        "name": port_name,
        "image": instance.image,
        "imagePullPolicy": instance.spec.image_pull_policy.value,
        "command": ["/bin/sh", f"/etc/carnelian/config/{script}"],
        "env": [
            {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            *({"name": name, "value": value} for name, value in env.items()),
        ],
        "ports": [{"name": port_name, "containerPort": PORTS[component], "protocol": "TCP"}],
        "resources": resources,
        # Connecting costs nothing, also on a busy node: a probe that starts a process is an outage of its own making.
        "readinessProbe": {**listens, "periodSeconds": 2, "timeoutSeconds": 2, "failureThreshold": 3},
        "livenessProbe": {
            **listens,
            "initialDelaySeconds": 30,
            "periodSeconds": 10,
            "timeoutSeconds": 5,
            "failureThreshold": 6,
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": volume, "mountPath": path, **({"readOnly": True} if volume in {"config", "credentials"} else {})}
            for volume, path in mounts.items()
        ],
    }


def config_volume(instance: Instance, files: list[str]) -> dict[str, Any]:
    """The files of the ConfigMap that a pod needs."""
    items = [{"key": name, "path": name} for name in files]
    return {"name": "config", "configMap": {"name": instance.config_name, "items": items}}


def credentials_volume(instance: Instance, files: list[str]) -> dict[str, Any]:
    """The files of the Secret that a pod needs, and no other."""
    items = [{"key": name, "path": name} for name in files]
    return {
        "name": "credentials",
        "secret": {"secretName": instance.credentials_name, "items": items, "defaultMode": 0o440},
    }


def _spread(instance: Instance, component: str, key: str) -> dict[str, Any]:
    return {
        "maxSkew": 1,
        "topologyKey": key,
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": instance.selector(component)},
    }
