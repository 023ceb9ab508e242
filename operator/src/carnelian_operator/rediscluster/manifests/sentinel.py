"""StatefulSet of the Sentinels."""

from typing import Any

from carnelian_operator.engines.sentinel_conf import SENTINEL_FOLDER, sentinel_conf
from carnelian_operator.rediscluster.instance import SENTINEL, Instance
from carnelian_operator.rediscluster.manifests.pods import (
    config_volume,
    container,
    credentials_volume,
    pod_metadata,
    pod_spec,
)


def sentinel_set(instance: Instance) -> dict[str, Any]:
    """The StatefulSet; only for instances in mode Replication."""
    sentinels = instance.spec.sentinels
    if sentinels is None:
        raise ValueError(f"{instance.name} is in mode {instance.spec.mode} and has no Sentinels")
    server = container(
        instance,
        SENTINEL,
        script="start-sentinel.sh",
        resources=sentinels.resources.requirements(),
        env={
            "CARNELIAN_PROGRAM": instance.release.program,
            "CARNELIAN_HOST": instance.sentinel_host("$(POD_NAME)"),
            "CARNELIAN_UID": instance.uid,
        },
        mounts={
            "data": SENTINEL_FOLDER,
            "config": "/etc/carnelian/config",
            "credentials": "/etc/carnelian/credentials",
        },
    )
    volumes = [
        config_volume(instance, ["sentinel.conf", "start-sentinel.sh"]),
        credentials_volume(instance, ["sentinel-users.acl", "sentinel-auth.conf"]),
        {"name": "data", "emptyDir": {}},
    ]
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": instance.metadata(instance.sentinel_name, SENTINEL),
        "spec": {
            "replicas": instance.sentinel_count,
            "serviceName": instance.sentinel_name,
            "podManagementPolicy": "Parallel",
            "updateStrategy": {"type": "OnDelete"},
            "selector": {"matchLabels": instance.selector(SENTINEL)},
            "template": {
                "metadata": pod_metadata(instance, SENTINEL, sentinel_conf()),
                "spec": pod_spec(instance, SENTINEL, server, volumes),
            },
        },
    }
