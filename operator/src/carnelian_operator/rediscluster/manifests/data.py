"""StatefulSet of the data nodes. Pods are replaced only by the roller, which knows who is the primary."""

from typing import Any

from carnelian_operator.api.rediscluster import DeletionPolicy
from carnelian_operator.engines.server_conf import DATA_FOLDER, render, restart_settings
from carnelian_operator.rediscluster.instance import DATA, Instance
from carnelian_operator.rediscluster.manifests.pods import (
    config_volume,
    container,
    credentials_volume,
    pod_metadata,
    pod_spec,
)


def data_set(instance: Instance, claimed_size: str | None = None) -> dict[str, Any]:
    """The StatefulSet.

    Args:
        instance: What was asked for.
        claimed_size: Size in the live StatefulSet's volume template. The template cannot change; volumes are grown
            one by one instead.
    """
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": instance.metadata(instance.name, DATA),
        "spec": {
            "replicas": instance.data_count,
            "serviceName": instance.nodes_name,
            # Servers wait for each other in neither order, and a lost pod must not keep others from starting.
            "podManagementPolicy": "Parallel",
            "updateStrategy": {"type": "OnDelete"},
            "selector": {"matchLabels": instance.selector(DATA)},
            "template": _template(instance),
            **_claims(instance, claimed_size),
        },
    }


def _template(instance: Instance) -> dict[str, Any]:
    replicated = instance.replicated
    env = {
        "CARNELIAN_PROGRAM": instance.release.program,
        "CARNELIAN_MODE": instance.spec.mode.value,
        "CARNELIAN_HOST": instance.data_host("$(POD_NAME)"),
    }
    if replicated:
        env["CARNELIAN_MASTER_NAME"] = instance.master_name
    volumes = [
        config_volume(instance, ["server.conf", "start.sh", *(["sentinels"] if replicated else [])]),
        credentials_volume(instance, ["users.acl", "server-auth.conf", "replication-password"]),
        {"name": "run", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
    ]
    if instance.spec.storage is None:
        volumes.append({"name": "data", "emptyDir": {}})
    server = container(
        instance,
        DATA,
        script="start.sh",
        resources=instance.spec.resources.requirements(),
        env=env,
        mounts={
            "data": DATA_FOLDER,
            "run": "/run/carnelian",
            "config": "/etc/carnelian/config",
            "credentials": "/etc/carnelian/credentials",
        },
    )
    return {
        "metadata": pod_metadata(instance, DATA, render(restart_settings(instance.settings))),
        "spec": pod_spec(instance, DATA, server, volumes),
    }


def _claims(instance: Instance, claimed_size: str | None) -> dict[str, Any]:
    storage = instance.spec.storage
    if storage is None:
        return {}
    spec: dict[str, Any] = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": claimed_size or storage.size}},
    }
    if storage.class_name is not None:
        spec["storageClassName"] = storage.class_name
    keep = instance.spec.deletion_policy is DeletionPolicy.RETAIN
    return {
        "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain" if keep else "Delete", "whenScaled": "Retain"},
        "volumeClaimTemplates": [
            {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "metadata": {"name": "data", "labels": instance.labels(DATA)},
                "spec": spec,
            }
        ],
    }
