from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from carnelian.policies.wire import SCHEMA, Acknowledgement, Document
from carnelian_operator.api.base import ResourceStatus
from carnelian_operator.api.ratelimitrule import RateLimitRuleStatus
from carnelian_operator.policies.desired import desired_documents, document_of
from carnelian_operator.policies.held import Client, Held, is_current
from carnelian_operator.policies.plan import RuleSnapshot, plan_rule
from carnelian_operator.policies.unserved import not_served

pytestmark = pytest.mark.unit
NOW = datetime(2026, 1, 2, tzinfo=UTC)
FIELD = "RateLimitRule/api"


def rule(name: str = "api", cluster: str = "shop", generation: int = 2, **spec: Any) -> dict[str, Any]:
    rules = [{"name": "each", "limit": 10, "key": ["user"]}]
    return {
        "kind": "RateLimitRule",
        "metadata": {"name": name, "namespace": "web", "generation": generation},
        "spec": {"clusterRef": {"name": cluster}, "rules": rules, **spec},
    }


def document(epoch: int = 100) -> Document:
    found = document_of(rule())
    return Document(
        schema=found.schema,
        kind=found.kind,
        name=found.name,
        generation=found.generation,
        epoch=epoch,
        hash=found.hash,
        body=found.body,
    )


def client(name: str, epoch: int, expires_in: float = 10.0, rejected: dict[str, str] | None = None) -> Client:
    return Client(Acknowledgement(client=name, pod=name, epoch=epoch, rejected=rejected or {}), expires_in)


def snapshot(**changes: Any) -> RuleSnapshot:
    base = RuleSnapshot(now=NOW, field=FIELD, generation=2, previous=RateLimitRuleStatus(), document=document())
    return replace(base, **changes)


def conditions(found: RuleSnapshot) -> dict[str, tuple[str, str]]:
    return {each.type: (each.status, each.reason) for each in plan_rule(found).status.conditions}


def test_only_rules_of_the_instance_become_documents_without_what_concerns_the_operator() -> None:
    leaving = rule("leaving")
    leaving["metadata"]["deletionTimestamp"] = "now"
    desired = desired_documents([rule(), rule("other", cluster="elsewhere"), leaving], "shop")
    (found,) = desired.documents
    assert (found.schema, found.field, found.generation, found.epoch) == (SCHEMA, FIELD, 2, 0)
    assert "clusterRef" not in found.body


def test_a_rule_that_cannot_be_read_keeps_what_was_published_of_it() -> None:
    desired = desired_documents([rule(canaryPercent=5)], "shop")
    assert (desired.documents, desired.kept) == ((), (FIELD,))
    assert "canaryPercent belongs to stage Canary" in desired.problems[FIELD]
    assert is_current(Held(1, {FIELD: document()}), desired)


def test_what_is_published_is_compared_without_its_epoch() -> None:
    desired = desired_documents([rule()], "shop")
    assert is_current(Held(7, {FIELD: document(epoch=7)}), desired)
    assert not is_current(Held(), desired)
    assert not is_current(Held(7, {FIELD: document()}), desired_documents([rule(generation=3)], "shop"))
    assert not is_current(Held(7, {FIELD: document(), "RateLimitRule/old": document()}), desired)


@pytest.mark.parametrize(
    ("clients", "enforced", "expected"),
    [
        ((), 0, ("False", "NoClients")),
        ((client("a", 100), client("b", 150)), 2, ("True", "AllClientsEnforce")),
        ((client("a", 100), client("b", 99)), 1, ("False", "WaitingForClients")),
        ((client("a", 100), client("b", 100, rejected={FIELD: "unknown stage"})), 1, ("False", "Rejected")),
    ],
)
def test_enforced_means_every_live_process(
    clients: tuple[Client, ...], enforced: int, expected: tuple[str, str]
) -> None:
    found = snapshot(clients=clients)
    status = plan_rule(found).status
    assert conditions(found)["Enforced"] == expected
    assert conditions(found)["Ready"] == ("True", "Published")
    assert ("Reconciling" in conditions(found)) is (expected[1] == "WaitingForClients")
    assert (status.clients, status.enforced, status.epoch, status.observed_generation) == (
        len(clients),
        enforced,
        100,
        2,
    )


@pytest.mark.parametrize(
    ("changes", "reason", "kind"),
    [
        ({"invalid": "spec.rules: too many"}, "InvalidSpec", "Stalled"),
        ({"cluster_missing": "shop"}, "ClusterNotFound", "Stalled"),
        ({"cluster_problem": "no primary", "document": None}, "ClusterNotReady", "Reconciling"),
        ({"document": None}, "Publishing", "Reconciling"),
    ],
)
def test_a_rule_that_is_not_in_the_data_plane_says_why(changes: dict[str, Any], reason: str, kind: str) -> None:
    found = conditions(snapshot(**changes))
    assert found == {"Ready": ("False", reason), "Enforced": ("False", reason), kind: ("True", reason)}


def test_it_looks_again_when_the_next_process_may_have_died() -> None:
    assert plan_rule(snapshot()).requeue_after is None
    found = plan_rule(snapshot(clients=(client("a", 100, 9.0), client("b", 100, 4.0)))).requeue_after
    assert found == pytest.approx(4.1)


def test_a_status_that_did_not_change_is_the_same() -> None:
    first = plan_rule(snapshot(clients=(client("a", 100),))).status
    later = replace(snapshot(clients=(client("a", 100, 3.0),)), now=datetime(2027, 1, 1, tzinfo=UTC), previous=first)
    assert plan_rule(later).status.dump() == first.dump()


def test_a_kind_that_is_not_served_says_so() -> None:
    resource = {"kind": "JobQueue", "metadata": {"generation": 4}}
    status = not_served(resource, ResourceStatus(), NOW)
    assert status.observed_generation == 4
    assert [(each.type, each.status, each.reason) for each in status.conditions] == [
        ("Ready", "False", "NotYetServed"),
        ("Stalled", "True", "NotYetServed"),
    ]
    assert not_served(resource, status, datetime(2027, 1, 1, tzinfo=UTC)).dump() == status.dump()
