"""A model of servers, Sentinels, pods and the API's status, in which `decide` runs under faults.

One tick is one second. Each tick: pods come up, links synchronise, Sentinels do what Sentinels do, and the operator,
if it is up, observes, plans and acts; it may crash after any number of its actions. The model knows no more about
data than what matters: how many keys a server holds, of which history, up to which offset.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import count

from carnelian_operator.api.conditions import ConditionType
from carnelian_operator.api.rediscluster import RedisClusterStatus
from carnelian_operator.dataplane.state import NOBODY, PRIMARY, REPLICA, Sentinel, Server
from carnelian_operator.engines.server_conf import DATA_PORT, live_settings
from carnelian_operator.rediscluster.instance import Instance
from carnelian_operator.rediscluster.plan import Decision, decide
from carnelian_operator.rediscluster.plan.actions import (
    Action,
    Follow,
    Handover,
    LabelRole,
    Promote,
    RecordPrimary,
    RestartPod,
    WatchPrimary,
)
from carnelian_operator.rediscluster.plan.candidates import would_lose_data
from carnelian_operator.rediscluster.snapshot import Pod, Snapshot
from tests.unit.rediscluster.builders import NOW, PASSWORDS, instance, live_objects, watching

DETECTION_TICKS = 2
START_TICKS = 2


class Violation(AssertionError):  # noqa: N818 - it is one, not an error of the model
    """The operator did what it must never do."""


@dataclass
class Node:
    """A data pod and its server."""

    name: str
    uid: int
    revision: str
    starts_in: int = 0
    role: str = REPLICA
    source: str | None = None
    """Pod that it follows; None: fenced, or primary."""
    keys: int = 0
    history: str = ""
    offset: int = 0
    linked: bool = False
    hidden: bool = False
    """The operator cannot reach it; everybody else can."""
    label: str | None = None

    @property
    def up(self) -> bool:
        return self.starts_in == 0

    @property
    def is_primary(self) -> bool:
        return self.up and self.role == PRIMARY


@dataclass
class World:
    """Everything there is."""

    of: Instance = field(default_factory=instance)
    volumes: bool = True
    """Data outlives the pod."""
    revision: str = "r1"
    status: RedisClusterStatus = field(default_factory=RedisClusterStatus)
    nodes: dict[str, Node] = field(default_factory=dict)
    watches: dict[str, str | None] = field(default_factory=dict)
    """What each Sentinel watches."""
    sentinel_revisions: dict[str, str] = field(default_factory=dict)
    silent_for: int = 0
    undecided: int = 0
    operator_up: bool = True
    crash_after: int | None = None
    log: list[str] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def __post_init__(self) -> None:
        for name in self.of.data_pods:
            self.nodes[name] = Node(name, next(self._numbers), self.revision, starts_in=START_TICKS)
        self.watches = dict.fromkeys(self.of.sentinel_pods)
        self.sentinel_revisions = dict.fromkeys(self.of.sentinel_pods, self.revision)
        self.live = live_objects(self.of)

    # What goes wrong.

    def kill(self, name: str) -> None:
        """The server's process dies; its container starts again on the same data."""
        self._stop(self.nodes[name], keep_data=True)

    def delete_pod(self, name: str) -> None:
        node = self.nodes[name]
        node.uid, node.revision, node.label = next(self._numbers), self.revision, None
        self._stop(node, keep_data=self.volumes)

    def lose_data(self, name: str) -> None:
        """Its volume is emptied while it is down."""
        self._stop(self.nodes[name], keep_data=False)

    def hide(self, name: str) -> None:
        self.nodes[name].hidden = True

    def show(self, name: str) -> None:
        self.nodes[name].hidden = False

    def forget(self, sentinel: str) -> None:
        """A Sentinel's pod is replaced."""
        self.watches[sentinel] = None

    def write(self) -> None:
        """A client writes to whoever is the primary."""
        for node in self.nodes.values():
            if node.is_primary:
                node.keys, node.offset = node.keys + 1, node.offset + 10

    def _stop(self, node: Node, *, keep_data: bool) -> None:
        node.starts_in, node.role, node.source, node.linked = START_TICKS, REPLICA, None, False
        node.history, node.offset = f"h{next(self._numbers)}", 0
        if not keep_data:
            node.keys = 0

    # How time passes.

    def tick(self) -> Decision | None:
        for node in self.nodes.values():
            if node.starts_in == 1:
                self._start(node)
            node.starts_in = max(0, node.starts_in - 1)
        self._synchronise()
        self._sentinels()
        decision = self._operator() if self.operator_up else None
        self._synchronise()
        return decision

    def _start(self, node: Node) -> None:
        """What start.sh does."""
        named = self.named()
        if named == node.name:
            self._sentinel_failover(node.name)
            named = self.named()
        node.role, node.source = REPLICA, None if named == node.name else named

    def named(self) -> str | None:
        votes = [name for name in self.watches.values() if name is not None]
        return next((name for name in votes if 2 * votes.count(name) > len(self.watches)), None)

    def _synchronise(self) -> None:
        for node in self.nodes.values():
            source = self.nodes.get(node.source or "")
            node.linked = node.up and node.role == REPLICA and source is not None and source.is_primary
            if node.linked and source is not None:
                node.keys, node.history, node.offset = source.keys, source.history, source.offset

    def _sentinels(self) -> None:
        named = self.named()
        alive = named is not None and self.nodes[named].is_primary
        self.silent_for = 0 if alive or named is None else self.silent_for + 1
        if named is not None and self.silent_for > DETECTION_TICKS:
            self._sentinel_failover(named)

    def _sentinel_failover(self, old: str) -> None:
        fit = [node for node in self.nodes.values() if node.up and node.source == old and node.name != old]
        if not fit or self.nodes[old].is_primary:
            return
        new = max(fit, key=lambda node: node.offset)
        self.log.append(f"Sentinel: {old} -> {new.name}")
        self._promote(new)
        for sentinel, watched in self.watches.items():
            self.watches[sentinel] = new.name if watched is not None else None
        for node in fit:
            if node is not new:
                node.source = new.name

    def _promote(self, node: Node) -> None:
        node.role, node.source, node.linked = PRIMARY, None, False
        node.history = f"{node.history}'"

    # The operator.

    def _operator(self) -> Decision:
        decision = decide(self.snapshot())
        self.undecided = 0 if decision.primary else self.undecided + 1
        for done, action in enumerate(decision.actions):
            if self.crash_after is not None and done >= self.crash_after:
                self.log.append("operator: crash")
                self.crash_after, self.undecided = None, 0
                return decision
            self.log.append(f"operator: {action}")
            if not self._act(action):
                break
        self.status = decision.status
        return decision

    def _act(self, action: Action) -> bool:
        """Like `Actor`, on the model, with the same conditions before what is disruptive."""
        match action:
            case RecordPrimary(primary):
                if self.status.primary and primary.epoch < self.status.primary.epoch:
                    raise Violation(f"epoch went back to {primary.epoch}")
                self.status = self.status.model_copy(update={"primary": primary})
            case Promote(pod):
                return self._operator_promotes(pod)
            case Handover(old, new):
                return self._operator_hands_over(old, new)
            case Follow(pod, primary):
                source, node = self.nodes[primary], self.nodes[pod]
                if not source.is_primary or source.hidden or would_lose_data(self._server(source), self._server(node)):
                    return False
                node.role, node.source = REPLICA, primary
            case WatchPrimary(sentinel, primary):
                if not self.nodes[primary].is_primary:
                    return False
                self.watches[sentinel] = primary
            case LabelRole(pod, uid, role):
                if self.nodes[pod].uid == int(uid):
                    self.nodes[pod].label = role
            case RestartPod(pod, _, _) if pod in self.nodes:
                if self.nodes[pod].is_primary:
                    raise Violation(f"{pod} was restarted as the primary")
                if not any(node.is_primary for node in self.nodes.values()):
                    raise Violation(f"{pod} was restarted while nobody took writes")
                self.delete_pod(pod)
            case RestartPod(pod, _, _):
                self.watches[pod], self.sentinel_revisions[pod] = None, self.revision
        return True

    def _operator_promotes(self, pod: str) -> bool:
        seen = [node for node in self.nodes.values() if node.up and not node.hidden]
        if any(node.is_primary for node in seen) or self.nodes[pod] not in seen:
            return False
        if any(node.is_primary for node in self.nodes.values()):
            raise Violation(f"{pod} was promoted beside a living primary: {self.nodes}")
        if self.nodes[pod].keys == 0 and any(node.keys for node in seen):
            raise Violation(f"empty {pod} was promoted while others hold keys: {self.nodes}")
        self._promote(self.nodes[pod])
        return True

    def _operator_hands_over(self, old: str, new: str) -> bool:
        source, target = self.nodes[old], self.nodes[new]
        if not source.is_primary or not target.linked or source.hidden or target.hidden:
            return False
        self._synchronise()
        self._promote(target)
        source.role, source.source = REPLICA, new
        return True

    def snapshot(self) -> Snapshot:
        seen = {name: self._server(node) for name, node in self.nodes.items() if node.up and not node.hidden}
        return Snapshot(
            now=NOW,
            instance=self.of,
            status=self.status,
            passwords=PASSWORDS,
            live=self.live,
            pods={name: self._pod(node) for name, node in self.nodes.items()},
            sentinel_pods={
                name: Pod(name, name, revision, "10.0.1.1", ready=True)
                for name, revision in self.sentinel_revisions.items()
            },
            data_revision=self.revision,
            sentinel_revision=self.revision,
            servers=seen,
            sentinels={name: self._sentinel(primary) for name, primary in self.watches.items()},
            undecided_seconds=self.undecided,
        )

    def _pod(self, node: Node) -> Pod:
        return Pod(node.name, str(node.uid), node.revision, "10.0.0.1", ready=node.up, role=node.label)

    def _server(self, node: Node) -> Server:
        online = [name for name, other in self.nodes.items() if other.source == node.name and other.linked]
        is_primary = node.role == PRIMARY
        source = (self.of.data_host(node.source), DATA_PORT) if node.source else NOBODY
        return Server(
            role=node.role,
            keys=node.keys,
            replid=node.history,
            replid2=node.history.removesuffix("'"),
            offset=node.offset,
            primary=None if is_primary else source,
            link_up=node.linked,
            replicas=tuple(self.of.data_host(name) for name in online),
            config=live_settings(self.of.settings),
        )

    def _sentinel(self, primary: str | None) -> Sentinel:
        if primary is None:
            return Sentinel()
        silent = self.silent_for > DETECTION_TICKS and primary == self.named()
        seen = watching(self.of, primary, *(["s_down"] if silent else []))
        if seen.watched is None:
            return seen
        told = sum(watched == primary for watched in self.watches.values())
        return Sentinel(replace(seen.watched, other_sentinels=told - 1))

    # Where it should end.

    def settle(self, ticks: int = 150) -> None:
        """With no more faults, the instance must become ready, and then nothing may be left to do."""
        self.operator_up, self.crash_after = True, None
        for node in self.nodes.values():
            node.hidden = False
        for _ in range(ticks):
            decision = self.tick()
            if decision and not decision.actions and self._ready(decision):
                self._check_rest()
                return
        raise Violation(
            "it does not come to rest:\n" + "\n".join([*self.log[-40:], str(self.nodes), str(self.watches)])
        )

    def _check_rest(self) -> None:
        for _ in range(3):
            again = self.tick()
            if again is None or again.actions or again.status.dump() != self.status.dump():
                raise Violation(f"it does not stay at rest: {again}")
        primaries = [node.name for node in self.nodes.values() if node.is_primary]
        if primaries != [self.named()] or self.status.primary is None or self.status.primary.name != primaries[0]:
            raise Violation(f"primaries {primaries}, Sentinels {self.watches}, status {self.status.primary}")

    @staticmethod
    def _ready(decision: Decision) -> bool:
        ready = decision.status.condition(ConditionType.READY)
        return ready is not None and ready.status == "True"
