"""Services: one name for the primary, one for the replicas, and names for every pod."""

from typing import Any

from carnelian_operator.api.rediscluster import NodeRole
from carnelian_operator.rediscluster.instance import DATA, PORTS, ROLE_LABEL, SENTINEL, Instance


def services(instance: Instance) -> list[dict[str, Any]]:
    """All Services of the instance."""
    made = [
        _service(instance, instance.nodes_name, DATA, headless=True),
        _service(instance, instance.primary_name, DATA, role=NodeRole.PRIMARY),
    ]
    if instance.replicated:
        made.append(_service(instance, instance.replicas_name, DATA, role=NodeRole.REPLICA))
        made.append(_service(instance, instance.sentinel_name, SENTINEL, headless=True))
    return made


def _service(
    instance: Instance, name: str, component: str, *, role: NodeRole | None = None, headless: bool = False
) -> dict[str, Any]:
    port_name = "redis" if component == DATA else "sentinel"
    spec: dict[str, Any] = {
        "selector": instance.selector(component) | ({ROLE_LABEL: role.value} if role else {}),
        "ports": [{"name": port_name, "port": PORTS[component], "targetPort": port_name, "protocol": "TCP"}],
    }
    if headless:
        # Servers must find each other while they start, before they are ready.
        spec |= {"clusterIP": "None", "publishNotReadyAddresses": True}
    return {"apiVersion": "v1", "kind": "Service", "metadata": instance.metadata(name, component), "spec": spec}
