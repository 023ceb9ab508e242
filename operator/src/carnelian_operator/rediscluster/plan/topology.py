"""Who is the primary, who follows it, and what the Sentinels must know.

Judgement, in this order: the primary that a majority of Sentinels names and that is live; the recorded one that is
live; the only live one. With none live, Sentinel gets its chance first; then the operator decides by the data.
"""

from dataclasses import dataclass

from carnelian_operator.api.conditions import Reason
from carnelian_operator.api.rediscluster import PrimaryStatus
from carnelian_operator.dataplane.state import Server
from carnelian_operator.engines.server_conf import DATA_PORT, ELECTABLE, live_settings
from carnelian_operator.rediscluster.plan.actions import (
    Action,
    Follow,
    Promote,
    RecordPrimary,
    SetConfig,
    Unwatch,
    WatchPrimary,
)
from carnelian_operator.rediscluster.plan.candidates import best_candidate, would_lose_data
from carnelian_operator.rediscluster.snapshot import Snapshot, Trouble

SENTINEL_PATIENCE = 15.0
"""Seconds that Sentinel has for a failover before the operator decides."""
PODS_PATIENCE = 60.0
"""Seconds to wait for pods that may hold newer data."""


@dataclass(frozen=True, slots=True)
class Topology:
    """The outcome."""

    primary: str | None = None
    """The pod that is, or by `actions` becomes, the primary."""
    actions: tuple[Action, ...] = ()
    record: PrimaryStatus | None = None
    """What the status should name."""
    waiting: str | None = None
    """What is waited for, for people."""
    blocked: Trouble | None = None

    @property
    def settled(self) -> bool:
        """Nothing is left to repair."""
        return self.primary is not None and not self.actions and not self.waiting and not self.blocked


def plan_topology(snapshot: Snapshot) -> Topology:
    """Decide roles from what servers and Sentinels say."""
    if snapshot.instance.replicated:
        return _replication(snapshot)
    (pod,) = snapshot.instance.data_pods
    server = snapshot.servers.get(pod)
    if server is None or server.loading or not server.is_primary:
        return Topology(record=snapshot.status.primary, waiting=f"{pod} does not serve yet")
    return Topology(pod, tuple(_configure(snapshot)), record(snapshot, pod))


def record(snapshot: Snapshot, pod: str) -> PrimaryStatus:
    """The record of a primary: the old one, or one with the next epoch."""
    old = snapshot.status.primary
    if old is not None and old.name == pod:
        return old
    return PrimaryStatus(name=pod, epoch=old.epoch + 1 if old else 1, since=snapshot.now.strftime("%Y-%m-%dT%H:%M:%SZ"))


def named_by_majority(snapshot: Snapshot) -> str | None:
    """The pod that more than half of all Sentinels, answering or not, watch as the primary."""
    votes: dict[str, int] = {}
    for sentinel in snapshot.sentinels.values():
        if sentinel.watched is not None:
            votes[sentinel.watched.host] = votes.get(sentinel.watched.host, 0) + 1
    for host, count in votes.items():
        if 2 * count > snapshot.instance.sentinel_count:
            return snapshot.instance.pod_of_host(host)
    return None


def _replication(snapshot: Snapshot) -> Topology:
    named = named_by_majority(snapshot)
    primaries = [pod for pod, server in snapshot.servers.items() if server.is_primary and not server.loading]
    if not primaries:
        return _elect(snapshot, named)
    if _sentinel_acts(snapshot) and (len(primaries) > 1 or named not in {None, primaries[0]}):
        return Topology(
            primary=named if named in primaries else None,
            record=snapshot.status.primary,
            waiting="Sentinel is failing over",
        )
    chosen = _choose(snapshot, primaries, named)
    if chosen is None:
        return Topology(record=snapshot.status.primary, waiting=f"Sentinels name {named}, which does not answer")
    return _attach(snapshot, chosen, record(snapshot, chosen), ())


def _choose(snapshot: Snapshot, primaries: list[str], named: str | None) -> str | None:
    """Which of the live primaries is the one; None: cannot be told yet."""
    successor = _successor(snapshot, primaries)
    if successor is not None:
        return successor
    if named in primaries:
        return named
    if snapshot.recorded in primaries:
        return snapshot.recorded
    if len(primaries) == 1 and named is not None and named not in snapshot.servers:
        # Sentinels may be about to follow this one, or it was cut off and they see a newer one that we do not.
        patient = snapshot.undecided_seconds <= SENTINEL_PATIENCE
        return None if patient or _may_live(snapshot, named) else primaries[0]
    return best_candidate({pod: snapshot.servers[pod] for pod in primaries}, [])


def _successor(snapshot: Snapshot, primaries: list[str]) -> str | None:
    """The primary that Sentinel just promoted over another that is still, or again, live.

    For a moment only the Sentinel that did it names the new one, under a higher epoch, and the majority still names
    the old one. Going by the majority then would make the new one, with its writes, a replica of the old one.
    """
    epochs: dict[str, int] = {}
    for sentinel in snapshot.sentinels.values():
        pod = snapshot.instance.pod_of_host(sentinel.watched.host) if sentinel.watched else None
        if sentinel.watched and pod in primaries:
            epochs[pod] = max(epochs.get(pod, 0), sentinel.watched.config_epoch)
    newest = max(epochs, key=lambda pod: epochs[pod], default=None)
    if newest is None:
        return None
    origin = snapshot.servers[newest].replid2
    old = [pod for pod in primaries if pod != newest and snapshot.servers[pod].replid == origin != ""]
    later = [pod for pod in old if epochs[newest] > epochs.get(pod, 0)]
    return newest if later and len(later) == len(primaries) - 1 else None


def _sentinel_acts(snapshot: Snapshot) -> bool:
    """A failover of Sentinel's is under way and has not taken too long."""
    under_way = any(state.watched and state.watched.failing_over for state in snapshot.sentinels.values())
    return under_way and snapshot.undecided_seconds <= SENTINEL_PATIENCE


def _may_live(snapshot: Snapshot, pod: str) -> bool:
    """Whether a primary that does not answer us may still take writes: we may be the ones who are cut off.

    Sentinels know best, as they decide by majority. Where they have no opinion, the kubelet's probe tells.
    """
    if pod in snapshot.servers:
        return False
    host = snapshot.instance.data_host(pod)
    watched = [state.watched for state in snapshot.sentinels.values() if state.watched and state.watched.host == host]
    if 2 * len(watched) > snapshot.instance.sentinel_count:
        return 2 * sum(opinion.down for opinion in watched) <= len(watched)
    return pod in snapshot.pods and snapshot.pods[pod].ready


def _elect(snapshot: Snapshot, named: str | None) -> Topology:
    """No server takes writes: wait for who may know better, then promote the newest data."""
    keep = snapshot.status.primary
    last = named or snapshot.recorded
    if last is not None and _may_live(snapshot, last):
        return Topology(record=keep, waiting=f"{last} may be alive, but the operator cannot reach it")
    waited = snapshot.undecided_seconds
    ready = {pod: server for pod, server in snapshot.servers.items() if not server.loading}
    missing = [pod for pod in snapshot.instance.data_pods if pod not in ready]
    following = [pod for pod, server in ready.items() if not server.fenced]
    if _sentinel_acts(snapshot) or (named in missing and following and waited <= SENTINEL_PATIENCE):
        return Topology(record=keep, waiting=f"Sentinel is failing over from {named}")
    # Servers that still follow the lost primary have what it had; fenced ones have only what was on their disk.
    patience = SENTINEL_PATIENCE if following else PODS_PATIENCE
    if missing and waited <= patience:
        return Topology(record=keep, waiting=f"waiting for {', '.join(missing)} before a primary is chosen")
    standing = {pod: ready[pod] for pod in ready if pod in snapshot.pods and not snapshot.pods[pod].terminating}
    preferred = [pod for pod in (named, snapshot.recorded) if pod is not None]
    candidate = best_candidate(standing, preferred)
    if candidate is None:
        return Topology(record=keep, waiting="no server answers")
    if standing[candidate].keys == 0 and missing and keep is not None and snapshot.instance.spec.storage is not None:
        message = (
            f"every server that answers is empty, but {', '.join(missing)} may hold data on its volume; "
            "bring it back, or delete its PersistentVolumeClaim and pod to give the data up"
        )
        return Topology(record=keep, blocked=Trouble(Reason.BLOCKED, message))
    new = record(snapshot, candidate)
    written = () if new == keep else (RecordPrimary(new),)
    return _attach(snapshot, candidate, new, (*written, Promote(candidate)))


def _attach(snapshot: Snapshot, primary: str, new: PrimaryStatus, first: tuple[Action, ...]) -> Topology:
    """Everyone else follows the primary, and every Sentinel watches it."""
    source = snapshot.servers[primary]
    actions: list[Action] = list(first)
    unsafe: list[str] = []
    host = snapshot.instance.data_host(primary)
    for pod, server in sorted(snapshot.servers.items()):
        if pod == primary or server.loading or server.follows(host, DATA_PORT):
            continue
        if would_lose_data(source, server):
            unsafe.append(pod)
        else:
            actions.append(Follow(pod, primary))
    actions += _watch(snapshot, primary)
    actions += _configure(snapshot)
    blocked = None
    if unsafe:
        message = (
            f"{', '.join(unsafe)} holds data that the empty primary {primary} has no history of; following it "
            f"would delete that data. Write to {primary} to keep it as it is, or run FLUSHALL on the other"
        )
        blocked = Trouble(Reason.BLOCKED, message)
    return Topology(primary, tuple(actions), new, blocked=blocked)


def _watch(snapshot: Snapshot, primary: str) -> list[Action]:
    """Repairs of the Sentinels. One that only remembers too much is reset alone, when all others are right."""
    instance = snapshot.instance
    host = instance.data_host(primary)
    known_hosts = {instance.data_host(pod) for pod in {*instance.data_pods, *snapshot.pods}}
    repairs: list[Action] = []
    forgetful: list[Action] = []
    for name, sentinel in sorted(snapshot.sentinels.items()):
        repairs += [Unwatch(name, stranger) for stranger in sentinel.strangers]
        watched = sentinel.watched
        detection = instance.spec.sentinels.detection_milliseconds if instance.spec.sentinels else 0
        if (
            watched is None
            or (watched.host, watched.port) != (host, DATA_PORT)
            or (watched.quorum, watched.down_after) != (instance.quorum, detection)
        ):
            repairs.append(WatchPrimary(name, primary))
        elif watched.other_sentinels >= instance.sentinel_count or not known_hosts.issuperset(watched.replicas):
            forgetful.append(WatchPrimary(name, primary))
    return repairs or forgetful[:1]


def _configure(snapshot: Snapshot) -> list[Action]:
    """Bring live directives of running servers to what the spec says."""
    wanted = live_settings(snapshot.instance.settings)
    changes: list[Action] = []
    for pod, server in sorted(snapshot.servers.items()):
        different = {name: value for name, value in wanted.items() if server.config.get(name) != value}
        if server.is_primary or (server.link_up and not server.syncing):
            different |= {name: value for name, value in ELECTABLE.items() if server.config.get(name, value) != value}
        if different and server.config and not server.loading:
            changes.append(SetConfig(pod, different))
    return changes


def in_step(primary: Server, pod_host: str, replica: Server, *, lag_bytes: int = 1 << 20) -> bool:
    """Whether a replica has, or within a moment will have, everything that the primary has."""
    return (
        replica.link_up
        and not replica.syncing
        and not replica.loading
        and pod_host in primary.replicas
        and primary.offset - replica.offset <= lag_bytes
    )
