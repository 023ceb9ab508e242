"""Role labels, by which Services find the primary and the replicas."""

from carnelian_operator.api.rediscluster import NodeRole
from carnelian_operator.engines.server_conf import DATA_PORT
from carnelian_operator.rediscluster.plan.actions import LabelRole
from carnelian_operator.rediscluster.snapshot import Snapshot


def plan_roles(snapshot: Snapshot, primary: str | None) -> list[LabelRole]:
    """Labels that have to change so that only `primary` is called one, and only linked replicas are called replicas.

    While no primary is known, nothing is touched: a Service that leads to the last known one is no worse than none.
    """
    if primary is None:
        return []
    changes = [
        LabelRole(pod.name, pod.uid, role)
        for pod in snapshot.pods.values()
        if not pod.terminating and pod.role != (role := _role(snapshot, pod.name, primary))
    ]
    # First away from the old primary, then to the new one: never two at a time behind one Service.
    return sorted(changes, key=lambda change: (change.role == NodeRole.PRIMARY.value, change.pod))


def _role(snapshot: Snapshot, pod: str, primary: str) -> str | None:
    if pod == primary:
        return NodeRole.PRIMARY.value
    server = snapshot.servers.get(pod)
    linked = server is not None and server.link_up and server.follows(snapshot.instance.data_host(primary), DATA_PORT)
    return NodeRole.REPLICA.value if linked else None
