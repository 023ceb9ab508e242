"""What a rule's status says: a pure function of what the data plane holds."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from carnelian.policies.wire import Document
from carnelian_operator.api.conditions import Condition, ConditionType, Reason, carry_over, condition
from carnelian_operator.api.ratelimitrule import RateLimitRuleStatus
from carnelian_operator.policies.held import Client

_SOON = 1.0
"""Seconds until the next look while nothing will tell us."""


@dataclass(frozen=True, slots=True)
class RuleSnapshot:
    """Everything that is known about one rule."""

    now: datetime
    field: str
    """Of its document."""
    generation: int
    previous: RateLimitRuleStatus
    invalid: str | None = None
    """Why its spec cannot be published."""
    cluster_missing: str | None = None
    """Name of the RedisCluster, when there is none of that name."""
    cluster_problem: str | None = None
    """Why the instance cannot be asked now."""
    document: Document | None = None
    """As published."""
    clients: tuple[Client, ...] = ()


@dataclass(frozen=True, slots=True)
class RuleDecision:
    """The rule's status, and when to look again."""

    status: RateLimitRuleStatus
    requeue_after: float | None = None


@dataclass(frozen=True, slots=True)
class _Finding:
    """One condition's content."""

    holds: bool
    reason: Reason
    message: str


def plan_rule(snapshot: RuleSnapshot) -> RuleDecision:
    """Judge one rule."""
    if snapshot.invalid is not None:
        return _unserved(snapshot, Reason.INVALID_SPEC, snapshot.invalid, stalled=True)
    if snapshot.cluster_missing is not None:
        name = snapshot.cluster_missing
        message = f"spec.clusterRef names RedisCluster {name}, which does not exist: create it in the same namespace"
        return _unserved(snapshot, Reason.CLUSTER_NOT_FOUND, message, stalled=True)
    document = snapshot.document
    if document is None or snapshot.cluster_problem is not None:
        reason = Reason.CLUSTER_NOT_READY if snapshot.cluster_problem else Reason.PUBLISHING
        message = snapshot.cluster_problem or "the policy is being written"
        return _unserved(snapshot, reason, message, stalled=False, again=_SOON)
    ready = _Finding(True, Reason.PUBLISHED, "processes of the library receive the policy")
    enforced = [client for client in snapshot.clients if _enforces(client, document)]
    finding = _enforcement(snapshot, document, len(enforced))
    conditions = [_condition(snapshot, ConditionType.READY, ready)]
    conditions.append(_condition(snapshot, ConditionType.ENFORCED, finding))
    if finding.reason is Reason.WAITING_FOR_CLIENTS:
        working = _Finding(True, finding.reason, finding.message)
        conditions.append(_condition(snapshot, ConditionType.RECONCILING, working))
    # A process that dies says nothing; its acknowledgement ends when it was not renewed.
    expiries = [client.expires_in for client in snapshot.clients]
    again = max(_SOON, min(expiries) + 0.1) if expiries else None
    status = RateLimitRuleStatus(
        observed_generation=snapshot.generation,
        conditions=carry_over(snapshot.previous.conditions, conditions),
        clients=len(snapshot.clients),
        enforced=len(enforced),
        epoch=document.epoch,
        document_hash=document.hash,
    )
    return RuleDecision(status, again)


def _enforces(client: Client, document: Document) -> bool:
    return client.said.epoch >= document.epoch and document.field not in client.said.rejected


def _enforcement(snapshot: RuleSnapshot, document: Document, enforced: int) -> _Finding:
    rejections = [
        f"{client.said.pod or client.said.client}: {why}"
        for client in snapshot.clients
        if (why := client.said.rejected.get(document.field)) and client.said.epoch >= document.epoch
    ]
    count = len(snapshot.clients)
    if not count:
        return _Finding(False, Reason.NO_CLIENTS, "no live process of the library uses the RedisCluster")
    if rejections:
        return _Finding(False, Reason.REJECTED, "; ".join(sorted(rejections)))
    if enforced < count:
        return _Finding(False, Reason.WAITING_FOR_CLIENTS, f"{enforced} of {count} processes enforce this generation")
    return _Finding(True, Reason.ALL_CLIENTS_ENFORCE, "every live process enforces this generation")


def _unserved(
    snapshot: RuleSnapshot, reason: Reason, message: str, *, stalled: bool, again: float | None = None
) -> RuleDecision:
    """The rule is not in the data plane, or we cannot see whether it is."""
    kind = ConditionType.STALLED if stalled else ConditionType.RECONCILING
    conditions = [
        _condition(snapshot, ConditionType.READY, _Finding(False, reason, message)),
        _condition(snapshot, ConditionType.ENFORCED, _Finding(False, reason, message)),
        _condition(snapshot, kind, _Finding(True, reason, message)),
    ]
    previous = snapshot.previous
    status = RateLimitRuleStatus(
        observed_generation=snapshot.generation,
        conditions=carry_over(previous.conditions, conditions),
        epoch=previous.epoch,
        document_hash=previous.document_hash,
    )
    return RuleDecision(status, again)


def _condition(snapshot: RuleSnapshot, kind: ConditionType, finding: _Finding) -> Condition:
    return condition(
        kind,
        finding.holds,
        finding.reason,
        finding.message,
        generation=snapshot.generation,
        now=timestamp(snapshot.now),
    )


def timestamp(moment: datetime) -> str:
    """As the API server writes times."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def changed(old: Sequence[Condition], new: Sequence[Condition], kind: ConditionType) -> Condition | None:
    """The condition, if its status is another than before."""
    before = {each.type: each.status for each in old}
    return next((each for each in new if each.type == kind.value and before.get(each.type) != each.status), None)
