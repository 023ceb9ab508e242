"""The status, by the rules of kstatus: Ready only when a write works and everything asked for is there."""

from dataclasses import dataclass
from datetime import UTC

from carnelian_operator.api.conditions import Condition, ConditionType, Reason, carry_over, condition
from carnelian_operator.api.rediscluster import (
    Binding,
    Endpoints,
    NodeRole,
    NodeStatus,
    RedisClusterStatus,
    SentinelStatus,
)
from carnelian_operator.engines.sentinel_conf import SENTINEL_PORT
from carnelian_operator.engines.server_conf import DATA_PORT
from carnelian_operator.rediscluster.plan.actions import LabelRole
from carnelian_operator.rediscluster.plan.children import Children
from carnelian_operator.rediscluster.plan.roller import Roll
from carnelian_operator.rediscluster.plan.topology import Topology, in_step, named_by_majority
from carnelian_operator.rediscluster.snapshot import Pod, Snapshot, Trouble

_MEBIBYTE = 1 << 20


@dataclass(frozen=True, slots=True)
class Outlook:
    """What the parts of the plan found."""

    children: Children
    topology: Topology
    roll: Roll
    labels: tuple[LabelRole, ...]


def plan_status(snapshot: Snapshot, outlook: Outlook) -> RedisClusterStatus:
    """The status that describes `snapshot`."""
    instance, topology = snapshot.instance, outlook.topology
    return RedisClusterStatus(
        observed_generation=instance.generation,
        conditions=carry_over(snapshot.status.conditions, _conditions(snapshot, outlook)),
        primary=topology.record or snapshot.status.primary,
        nodes=[_node(snapshot, pod, topology.primary) for pod in sorted(snapshot.pods.values(), key=_by_ordinal)],
        ready=f"{sum(_is_ready(snapshot.pods.get(name)) for name in instance.data_pods)}/{instance.data_count}",
        version=instance.release.version,
        image=instance.image,
        binding=Binding(name=instance.binding_name),
        endpoints=_endpoints(snapshot),
        sentinel=_sentinel(snapshot),
        policies=snapshot.policies or snapshot.status.policies,
        pending_restarts=list(outlook.roll.pending),
    )


def _conditions(snapshot: Snapshot, outlook: Outlook) -> list[Condition]:
    now = snapshot.now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    generation = snapshot.instance.generation

    def make(kind: ConditionType, holds: bool, reason: Reason, message: str) -> Condition:
        return condition(kind, holds, reason, message, generation=generation, now=now)

    stalled = _stalled(snapshot, outlook)
    outage = _outage(snapshot, outlook)
    lack = outage or _lack(snapshot, outlook)
    conditions = [
        make(ConditionType.READY, False, lack.reason, lack.message)
        if lack
        else make(ConditionType.READY, True, Reason.AVAILABLE, "the primary accepts writes and every node is ready")
    ]
    if lack and not stalled:
        conditions.append(make(ConditionType.RECONCILING, True, lack.reason, lack.message))
    if stalled:
        conditions.append(make(ConditionType.STALLED, True, stalled.reason, stalled.message))
    if lack and not outage and lack.reason is not Reason.UPDATING:
        conditions.append(make(ConditionType.DEGRADED, True, lack.reason, lack.message))
    else:
        whole = lack or Trouble(Reason.AVAILABLE, "nothing is missing")
        conditions.append(make(ConditionType.DEGRADED, False, whole.reason, whole.message))
    return conditions


def _stalled(snapshot: Snapshot, outlook: Outlook) -> Trouble | None:
    """What somebody else has to mend."""
    troubles = [pod.trouble for pod in [*snapshot.pods.values(), *snapshot.sentinel_pods.values()] if pod.trouble]
    return outlook.children.trouble or outlook.topology.blocked or (troubles[0] if troubles else None)


def _outage(snapshot: Snapshot, outlook: Outlook) -> Trouble | None:
    """Why a write may fail now; None: it works."""
    topology = outlook.topology
    stalled = _stalled(snapshot, outlook)
    server = snapshot.servers.get(topology.primary) if topology.primary else None
    if topology.primary is None or server is None or not server.is_primary:
        creating = snapshot.status.primary is None
        found = Trouble(
            Reason.CREATING if creating else Reason.NO_PRIMARY, topology.waiting or "no server accepts writes yet"
        )
        return stalled or found
    pod = snapshot.pods.get(topology.primary)
    if pod is None or not pod.ready or pod.terminating:
        return Trouble(Reason.PODS_NOT_READY, f"the primary's pod {topology.primary} is not ready")
    if pod.role != NodeRole.PRIMARY.value:
        return Trouble(Reason.UPDATING, f"the Service of the primary does not lead to {topology.primary} yet")
    if server.write_failed:
        message = f"{topology.primary} refuses writes: it cannot write to its volume, which is probably full"
        return Trouble(
            Reason.BLOCKED, f"{message}; raise spec.storage.size" if snapshot.instance.spec.storage else message
        )
    needed = int(server.config.get("min-replicas-to-write") or 0)
    if len(server.replicas) < needed:
        return Trouble(Reason.REPLICATION_BROKEN, f"{topology.primary} refuses writes: it has no replica in step")
    return None


def _lack(snapshot: Snapshot, outlook: Outlook) -> Trouble | None:
    """What is missing although writes work."""
    checks = (_unwritten, _missing_pods, _broken_links, _sentinels_disagree, _unfinished)
    return next((lack for check in checks if (lack := check(snapshot, outlook))), None)


def _unwritten(snapshot: Snapshot, outlook: Outlook) -> Trouble | None:
    trouble = outlook.children.trouble or outlook.topology.blocked
    if trouble is None and (outlook.children.actions or snapshot.data_revision is None):
        return Trouble(Reason.UPDATING, "objects are being brought to the current generation")
    return trouble


def _unfinished(_: Snapshot, outlook: Outlook) -> Trouble | None:
    if outlook.roll.pending:
        pods = ", ".join(pending.pod for pending in outlook.roll.pending)
        blocked = outlook.roll.blocked
        message = f"still to restart: {pods}" + (f"; waiting because {blocked}" if blocked else "")
        return Trouble(Reason.ROLLING, message)
    if outlook.topology.actions or outlook.labels:
        return Trouble(Reason.UPDATING, "servers are being brought to the recorded topology")
    return None


def _missing_pods(snapshot: Snapshot, outlook: Outlook) -> Trouble | None:
    instance = snapshot.instance
    pods = {**snapshot.pods, **snapshot.sentinel_pods}
    for name in [*instance.data_pods, *instance.sentinel_pods]:
        pod = pods.get(name)
        if _is_ready(pod):
            continue
        if pod is not None and pod.trouble:
            return pod.trouble
        if outlook.roll.pending:
            return Trouble(Reason.ROLLING, f"{name} is restarting")
        return Trouble(Reason.PODS_NOT_READY, f"{name} is not ready")
    surplus = sorted(set(snapshot.pods) - set(instance.data_pods))
    return Trouble(Reason.UPDATING, f"{', '.join(surplus)} is leaving") if surplus else None


def _broken_links(snapshot: Snapshot, outlook: Outlook) -> Trouble | None:
    instance, primary = snapshot.instance, outlook.topology.primary
    if primary is None:
        return None
    for name in instance.data_pods:
        server = snapshot.servers.get(name)
        if server is None:
            return Trouble(Reason.UNREACHABLE, f"{name} does not answer the operator")
        if name != primary and not in_step(snapshot.servers[primary], instance.data_host(name), server):
            return Trouble(Reason.REPLICATION_BROKEN, f"{name} is not in step with the primary {primary}")
    return None


def _sentinels_disagree(snapshot: Snapshot, outlook: Outlook) -> Trouble | None:
    instance = snapshot.instance
    if not instance.replicated:
        return None
    if named_by_majority(snapshot) != outlook.topology.primary:
        return Trouble(Reason.SENTINEL_QUORUM_LOST, "no majority of the Sentinels watches the primary")
    silent = [name for name in instance.sentinel_pods if name not in snapshot.sentinels]
    if silent:
        return Trouble(Reason.UNREACHABLE, f"{', '.join(silent)} does not answer the operator")
    for name, sentinel in sorted(snapshot.sentinels.items()):
        watched = sentinel.watched
        if watched is None or watched.other_sentinels < instance.sentinel_count - 1:
            return Trouble(Reason.SENTINEL_QUORUM_LOST, f"{name} does not know all other Sentinels yet")
        if len(watched.replicas) < instance.spec.replica_count:
            return Trouble(Reason.SENTINEL_QUORUM_LOST, f"{name} does not know all replicas yet")
    return None


def _node(snapshot: Snapshot, pod: Pod, primary: str | None) -> NodeStatus:
    server = snapshot.servers.get(pod.name)
    role, link, lag = NodeRole.UNKNOWN, None, None
    if server is not None:
        role = NodeRole.PRIMARY if server.is_primary else NodeRole.REPLICA
        link = None if server.is_primary else server.link_up
    source = snapshot.servers.get(primary) if primary else None
    if server is not None and source is not None and not server.is_primary:
        # Whole mebibytes, and nothing below one: traffic alone must not change the status.
        behind = (source.offset - server.offset) // _MEBIBYTE
        lag = behind * _MEBIBYTE if behind > 0 and server.shares_history(source) else None
    # Offsets matter to people only while there is no primary.
    offset = server.offset if server is not None and primary is None else None
    return NodeStatus(
        name=pod.name,
        role=role,
        ready=pod.ready,
        link_up=link,
        offset=offset,
        lag_bytes=lag,
        zone=pod.zone,
        node=pod.node,
    )


def _endpoints(snapshot: Snapshot) -> Endpoints:
    instance = snapshot.instance
    primary = f"{instance.service_host(instance.primary_name)}:{DATA_PORT}"
    if not instance.replicated:
        return Endpoints(primary=primary)
    return Endpoints(
        primary=primary,
        replicas=f"{instance.service_host(instance.replicas_name)}:{DATA_PORT}",
        sentinel=f"{instance.service_host(instance.sentinel_name)}:{SENTINEL_PORT}",
    )


def _sentinel(snapshot: Snapshot) -> SentinelStatus | None:
    instance = snapshot.instance
    if not instance.replicated:
        return None
    ready = sum(_is_ready(snapshot.sentinel_pods.get(name)) for name in instance.sentinel_pods)
    return SentinelStatus(
        master_name=instance.master_name, quorum=instance.quorum, ready=f"{ready}/{instance.sentinel_count}"
    )


def _is_ready(pod: Pod | None) -> bool:
    return pod is not None and pod.ready and not pod.terminating


def _by_ordinal(pod: Pod) -> int:
    return pod.ordinal
