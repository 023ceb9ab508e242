from dataclasses import replace
from typing import Any

import pytest

from carnelian_operator.api.conditions import Reason
from carnelian_operator.api.rediscluster import Mode
from carnelian_operator.rediscluster.kinds import SECRET, SERVICE, STATEFUL_SET, VOLUME_CLAIM
from carnelian_operator.rediscluster.plan.actions import Apply, CreateCredentials
from carnelian_operator.rediscluster.plan.children import differs, plan_children
from carnelian_operator.rediscluster.quantity import parse_quantity
from carnelian_operator.runtime.api import Kind, Object
from tests.unit.rediscluster.builders import healthy, instance

pytestmark = pytest.mark.unit
PRIMARY_SERVICE = (SERVICE, "shop-primary")


def applied(actions: tuple[object, ...]) -> list[str]:
    return [
        f"{action.kind.kind}/{action.manifest['metadata']['name']}" for action in actions if isinstance(action, Apply)
    ]


def live_with(key: tuple[Kind, str], obj: Object | None, **spec: Any) -> Any:
    snapshot = healthy(instance(**spec))
    live = {name: each for name, each in snapshot.live.items() if name != key}
    return replace(snapshot, live=live | ({key: obj} if obj is not None else {}))


def test_nothing_is_applied_when_everything_is_as_it_should_be() -> None:
    assert plan_children(healthy(), "shop-0").actions == ()


def test_passwords_come_first_and_alone() -> None:
    snapshot = replace(healthy(), live={}, passwords=None)
    assert plan_children(snapshot, None).actions == (CreateCredentials(),)


def test_then_everything_else_what_pods_need_before_the_pods() -> None:
    names = applied(plan_children(replace(healthy(), live={}), None).actions)
    assert names[0] == "Secret/shop-credentials"
    assert names.index("ConfigMap/shop-config") < names.index("StatefulSet/shop")
    assert len(names) == 11


def test_lost_passwords_are_never_made_anew_over_running_servers() -> None:
    snapshot = replace(live_with((SECRET, "shop-credentials"), None), passwords=None)
    children = plan_children(snapshot, "shop-0")
    assert children.actions == ()
    assert children.trouble is not None
    assert children.trouble.reason is Reason.SECRET_MISSING
    assert "shop-credentials" in children.trouble.message


@pytest.mark.parametrize("owner", [{"uid": "other", "controller": True}, None])
def test_an_object_of_somebody_else_is_never_taken_over(owner: dict[str, Any] | None) -> None:
    meta = {"name": "shop-primary", "ownerReferences": [owner] if owner else []}
    children = plan_children(live_with(PRIMARY_SERVICE, {"metadata": meta}), "shop-0")
    assert children.actions == ()
    assert children.trouble is not None
    assert children.trouble.reason is Reason.CONFLICT


def test_a_drifted_object_is_applied_again() -> None:
    service = dict(healthy().live[PRIMARY_SERVICE])
    service["spec"] = {**service["spec"], "selector": {"app": "mine"}}
    assert applied(plan_children(live_with(PRIMARY_SERVICE, service), "shop-0").actions) == ["Service/shop-primary"]


@pytest.mark.parametrize(("primary", "applied_replicas"), [("shop-2", []), ("shop-0", [2])])
def test_a_pod_that_is_the_primary_is_not_removed_by_shrinking(primary: str, applied_replicas: list[int]) -> None:
    snapshot = replace(healthy(), instance=instance(replicas=1))
    actions = plan_children(snapshot, primary).actions
    sets = [action.manifest for action in actions if isinstance(action, Apply) and action.kind == STATEFUL_SET]
    assert [found["spec"]["replicas"] for found in sets] == applied_replicas


@pytest.mark.parametrize(("phase", "grown"), [("Bound", 1), ("Pending", 0)])
def test_volumes_grow_one_by_one_once_they_are_bound(phase: str, grown: int) -> None:
    claim = {
        "metadata": {"name": "data-shop-0", "labels": {"carnelian.dev/cluster": "shop"}},
        "spec": {"resources": {"requests": {"storage": "1Gi"}}},
        "status": {"phase": phase},
    }
    snapshot = live_with((VOLUME_CLAIM, "data-shop-0"), claim, mode=Mode.STANDALONE, storage={"size": "2Gi"})
    actions = plan_children(snapshot, "shop-0").actions
    assert applied(actions) == ["PersistentVolumeClaim/data-shop-0"] * grown


@pytest.mark.parametrize(
    ("wanted", "live", "expected"),
    [
        ({"a": 1}, {"a": 1, "default": 2}, False),
        ({"a": 1}, {"a": 2}, True),
        ({"a": {"b": []}}, {"a": {}}, False),
        ({"memory": "1024Mi"}, {"memory": "1Gi"}, False),
        ({"cpu": "0.5"}, {"cpu": "500m"}, False),
        ({"list": [{"x": 1}]}, {"list": [{"x": 1, "y": 2}]}, False),
        ({"list": [1]}, {"list": [1, 2]}, True),
        ({"list": [1]}, {}, True),
    ],
)
def test_only_what_we_asked_for_counts_as_a_difference(wanted: Any, live: Any, expected: bool) -> None:
    assert differs(wanted, live) is expected


@pytest.mark.parametrize("text", ["1Xi", "-1", "", "1 Gi"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a quantity"):
        parse_quantity(text)
