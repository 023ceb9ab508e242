"""All judgement about an instance: a pure function from a snapshot to a decision."""

from dataclasses import dataclass

from carnelian_operator.api.conditions import ConditionType
from carnelian_operator.api.rediscluster import RedisClusterStatus
from carnelian_operator.rediscluster.plan.actions import Action, RecordPrimary
from carnelian_operator.rediscluster.plan.children import plan_children
from carnelian_operator.rediscluster.plan.roles import plan_roles
from carnelian_operator.rediscluster.plan.roller import plan_roll
from carnelian_operator.rediscluster.plan.status import Outlook, plan_status
from carnelian_operator.rediscluster.plan.topology import plan_topology
from carnelian_operator.rediscluster.snapshot import Snapshot

WORKING_SECONDS = 1.0
"""Until the next look while something is under way."""
STALLED_SECONDS = 10.0
"""Until the next look while somebody else has to act."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do now, what to say about it, and when to look again."""

    actions: tuple[Action, ...]
    status: RedisClusterStatus
    requeue_after: float | None
    primary: str | None
    """The live primary; None: there is none that is agreed on."""


def decide(snapshot: Snapshot) -> Decision:
    """Decide about one instance. Objects come first, then the topology, then the roll: each only on firm ground."""
    topology = plan_topology(snapshot)
    children = plan_children(snapshot, topology.primary)
    roll = plan_roll(snapshot, topology)
    steps = topology.actions or (() if children.actions else roll.actions)
    labels = tuple(plan_roles(snapshot, topology.primary))
    status = plan_status(snapshot, Outlook(children, topology, roll, labels))
    for step in steps:
        if isinstance(step, RecordPrimary):
            # The status is written after the actions and must not undo what they recorded.
            status = status.model_copy(update={"primary": step.primary})
    actions = (*children.actions, *steps, *labels)
    return Decision(actions, status, _look_again(status, actions), topology.primary)


def _look_again(status: RedisClusterStatus, actions: tuple[Action, ...]) -> float | None:
    stalled = status.condition(ConditionType.STALLED)
    if stalled is not None and stalled.status == "True" and not actions:
        return STALLED_SECONDS
    ready = status.condition(ConditionType.READY)
    return None if ready is not None and ready.status == "True" and not actions else WORKING_SECONDS
