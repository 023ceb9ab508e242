"""Restarts pods that run an old template: one at a time, replicas first, the primary last and only after a handover."""

from collections.abc import Iterable
from dataclasses import dataclass

from carnelian_operator.api.rediscluster import PendingRestart
from carnelian_operator.engines.server_conf import DATA_PORT
from carnelian_operator.rediscluster.plan.actions import (
    Action,
    Follow,
    Handover,
    KillClients,
    RecordPrimary,
    RestartPod,
    WatchPrimary,
)
from carnelian_operator.rediscluster.plan.topology import Topology, in_step, record
from carnelian_operator.rediscluster.snapshot import Pod, Snapshot


@dataclass(frozen=True, slots=True)
class Roll:
    """What the roller wants next."""

    pending: tuple[PendingRestart, ...] = ()
    """Pods that still have to restart, and why."""
    actions: tuple[Action, ...] = ()
    blocked: str | None = None
    """Why the next step is not taken yet."""


def plan_roll(snapshot: Snapshot, topology: Topology) -> Roll:
    """The next step of a roll; none when every pod runs the current template."""
    data = _outdated(snapshot.pods.values(), snapshot.data_revision)
    sentinels = _outdated(snapshot.sentinel_pods.values(), snapshot.sentinel_revision)
    pending = tuple(_pending(snapshot, pod) for pod in [*sentinels, *data])
    surplus = topology.primary is not None and _surplus(snapshot, topology.primary)
    if not pending and not surplus:
        return Roll()
    if not snapshot.instance.replicated:
        pod = data[0]
        blocked = f"{pod.name} is terminating" if pod.terminating else None
        return Roll(pending, () if blocked else (_restart(snapshot, pod),), blocked)
    broken = [pod for pod in [*sentinels, *data] if _is_broken(snapshot, pod, topology)]
    if broken:
        return Roll(pending, (_restart(snapshot, broken[0]),))
    obstacle = _obstacle(snapshot, topology)
    if sentinels and obstacle is None:
        return Roll(pending, (_restart(snapshot, sentinels[0]),))
    return _roll_data(snapshot, topology, pending, data, obstacle)


def _roll_data(
    snapshot: Snapshot, topology: Topology, pending: tuple[PendingRestart, ...], data: list[Pod], obstacle: str | None
) -> Roll:
    if obstacle is not None or topology.primary is None:
        return Roll(pending, blocked=obstacle)
    replicas = [pod for pod in data if pod.name != topology.primary]
    if replicas:
        return Roll(pending, (_restart(snapshot, max(replicas, key=lambda pod: pod.ordinal)),))
    if snapshot.handover_rests:
        return Roll(pending, blocked=f"{topology.primary} could not hand over a moment ago")
    heir = _heir(snapshot, topology.primary)
    if heir is None:
        return Roll(pending, blocked=f"{topology.primary} is the primary and no replica can take over from it")
    return Roll(pending, hand_over(snapshot, topology.primary, heir))


def hand_over(snapshot: Snapshot, old: str, new: str) -> tuple[Action, ...]:
    """All steps of a planned move of the primary's role. The record comes first: it outlives a crash between steps."""
    others = [pod for pod in sorted(snapshot.servers) if pod not in {old, new}]
    return (
        RecordPrimary(record(snapshot, new)),
        Handover(old, new),
        *(Follow(pod, new) for pod in others),
        *(WatchPrimary(sentinel, new) for sentinel in sorted(snapshot.sentinels)),
        KillClients(old),
    )


def _obstacle(snapshot: Snapshot, topology: Topology) -> str | None:
    """Why no healthy pod may be restarted now; None: one may."""
    if not topology.settled or topology.primary is None:
        return topology.waiting or "the servers are being repaired"
    instance = snapshot.instance
    pods = {**snapshot.pods, **snapshot.sentinel_pods}
    for name in [*instance.data_pods, *instance.sentinel_pods]:
        pod = pods.get(name)
        if pod is None or pod.terminating or not pod.ready:
            return f"{name} is not ready"
    primary = snapshot.servers[topology.primary]
    for name in instance.data_pods:
        server = snapshot.servers.get(name)
        if server is None:
            return f"{name} does not answer"
        if name != topology.primary and not in_step(primary, instance.data_host(name), server):
            return f"{name} is not in step with the primary {topology.primary}"
    return _ignorant_sentinel(snapshot)


def _ignorant_sentinel(snapshot: Snapshot) -> str | None:
    """The Sentinels have to be able to fail over, should the next step go wrong."""
    instance = snapshot.instance
    for name in instance.sentinel_pods:
        state = snapshot.sentinels.get(name)
        if state is None or state.watched is None or state.watched.other_sentinels < instance.sentinel_count - 1:
            return f"{name} does not know all other Sentinels yet"
        if len(state.watched.replicas) < instance.spec.replica_count:
            return f"{name} does not know all replicas yet"
    return None


def _heir(snapshot: Snapshot, old: str) -> str | None:
    """The replica to hand over to: up to date in template and data, the furthest in the history."""
    instance, primary = snapshot.instance, snapshot.servers[old]
    fit = [
        name
        for name in instance.data_pods
        if name != old
        and snapshot.pods[name].revision == snapshot.data_revision
        and snapshot.servers[name].follows(instance.data_host(old), DATA_PORT)
        and in_step(primary, instance.data_host(name), snapshot.servers[name])
    ]
    return max(fit, key=lambda name: (snapshot.servers[name].offset, -snapshot.pods[name].ordinal), default=None)


def _surplus(snapshot: Snapshot, pod: str) -> bool:
    """The instance shrinks and this pod will go."""
    return pod not in snapshot.instance.data_pods


def _is_broken(snapshot: Snapshot, pod: Pod, topology: Topology) -> bool:
    """It serves nothing and the old template will not heal it: restarting it costs nothing."""
    answers = pod.name in snapshot.servers or pod.name in snapshot.sentinels
    needed = pod.name == snapshot.recorded and topology.primary is None
    return pod.trouble is not None and not answers and not pod.terminating and not needed


def _outdated(pods: Iterable[Pod], revision: str | None) -> list[Pod]:
    if revision is None:
        return []
    return sorted((pod for pod in pods if pod.revision != revision), key=lambda pod: pod.ordinal)


def _pending(snapshot: Snapshot, pod: Pod) -> PendingRestart:
    return PendingRestart(pod=pod.name, reason=_why(snapshot, pod))


def _restart(snapshot: Snapshot, pod: Pod) -> RestartPod:
    return RestartPod(pod.name, pod.uid, _why(snapshot, pod))


def _why(snapshot: Snapshot, pod: Pod) -> str:
    if pod.restarted_at != snapshot.instance.restarted_at:
        return "a restart was asked for"
    return "the pod's template changed"
