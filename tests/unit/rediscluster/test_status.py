from dataclasses import replace
from typing import Any

import pytest

from carnelian_operator.api.conditions import ConditionType, Reason
from carnelian_operator.api.rediscluster import Mode, RedisClusterStatus
from carnelian_operator.dataplane.state import Sentinel
from carnelian_operator.rediscluster.plan import decide
from carnelian_operator.rediscluster.plan.actions import LabelRole
from carnelian_operator.rediscluster.plan.events import Happening, notices
from carnelian_operator.rediscluster.pods import read_pod
from carnelian_operator.rediscluster.snapshot import Snapshot, Trouble
from tests.unit.rediscluster.builders import fenced, healthy, instance, with_servers, without

pytestmark = pytest.mark.unit


def conditions(snapshot: Snapshot) -> dict[str, tuple[str, str]]:
    return {each.type: (each.status, each.reason) for each in decide(snapshot).status.conditions}


def with_pod(snapshot: Snapshot, name: str, **changes: Any) -> Snapshot:
    return replace(snapshot, pods={**snapshot.pods, name: replace(snapshot.pods[name], **changes)})


@pytest.mark.parametrize("mode", Mode)
def test_a_healthy_instance_is_ready_and_then_nothing_is_written(mode: Mode) -> None:
    snapshot = healthy(instance(mode))
    decision = decide(snapshot)
    assert conditions(snapshot) == {"Ready": ("True", "Available"), "Degraded": ("False", "Available")}
    assert (decision.actions, decision.requeue_after) == ((), None)
    again = decide(replace(snapshot, status=decision.status))
    assert again.status.dump() == decision.status.dump()


def test_traffic_alone_does_not_change_the_status() -> None:
    before = decide(healthy(offset=1000)).status
    assert decide(healthy(offset=5000, keys=99)).status.dump() == before.dump()


@pytest.mark.parametrize(
    ("snapshot", "reason", "degraded"),
    [
        (without(healthy(), "shop-0"), Reason.NO_PRIMARY, "False"),
        (with_pod(healthy(), "shop-0", ready=False), Reason.PODS_NOT_READY, "False"),
        (with_pod(healthy(), "shop-0", role=None), Reason.UPDATING, "False"),
        (with_pod(healthy(), "shop-1", ready=False), Reason.PODS_NOT_READY, "True"),
        (without(healthy(), "shop-1"), Reason.UNREACHABLE, "True"),
        (with_servers(healthy(), shop_1=fenced(healthy().servers["shop-1"])), Reason.REPLICATION_BROKEN, "True"),
        (replace(healthy(), sentinels={}), Reason.SENTINEL_QUORUM_LOST, "True"),
        (replace(healthy(), data_revision="new"), Reason.ROLLING, "True"),
        (replace(healthy(), data_revision=None), Reason.UPDATING, "False"),
        (
            with_servers(healthy(), shop_0=replace(healthy().servers["shop-0"], replicas=())),
            Reason.REPLICATION_BROKEN,
            "False",
        ),
        (
            with_servers(healthy(), shop_0=replace(healthy().servers["shop-0"], write_failed=True)),
            Reason.BLOCKED,
            "False",
        ),
    ],
)
def test_an_instance_that_lacks_anything_is_never_ready(snapshot: Snapshot, reason: Reason, degraded: str) -> None:
    found = conditions(snapshot)
    assert found["Ready"] == ("False", reason.value)
    assert found["Degraded"][0] == degraded
    assert found["Reconciling"] == ("True", reason.value)
    assert "Stalled" not in found


def test_a_pod_in_trouble_stalls_with_its_reason() -> None:
    trouble = Trouble(Reason.UNSCHEDULABLE, "shop-1: no node fits")
    snapshot = with_pod(without(healthy(), "shop-1"), "shop-1", ready=False, trouble=trouble)
    found = conditions(snapshot)
    assert found["Stalled"] == ("True", "Unschedulable")
    assert "Reconciling" not in found


def test_sentinels_that_do_not_know_each_other_are_not_ready() -> None:
    snapshot = healthy()
    lonely = snapshot.sentinels["shop-sentinel-0"].watched
    assert lonely is not None
    sentinels = {**snapshot.sentinels, "shop-sentinel-0": Sentinel(replace(lonely, other_sentinels=1))}
    assert conditions(replace(snapshot, sentinels=sentinels))["Ready"] == ("False", "SentinelQuorumLost")


def test_roles_follow_the_primary_and_unlinked_replicas_have_none() -> None:
    moved = healthy(primary="shop-1")
    labels = {name: replace(pod, role=healthy().pods[name].role) for name, pod in moved.pods.items()}
    snapshot = replace(moved, pods=labels)
    snapshot = with_servers(snapshot, shop_2=replace(snapshot.servers["shop-2"], link_up=False))
    found = [action for action in decide(snapshot).actions if isinstance(action, LabelRole)]
    assert [(label.pod, label.role) for label in found] == [
        ("shop-0", "replica"),
        ("shop-2", None),
        ("shop-1", "primary"),
    ]


def test_people_are_told_what_matters_once() -> None:
    first = decide(healthy()).status
    assert [notice.happening for notice in notices(RedisClusterStatus(), first)] == [Happening.CREATED, Happening.READY]
    lost = decide(replace(without(healthy(), "shop-0"), status=first)).status
    assert [notice.happening for notice in notices(first, lost)] == [Happening.UNAVAILABLE]
    moved = decide(replace(healthy(primary="shop-1"), status=lost)).status
    assert [notice.happening for notice in notices(lost, moved)] == [Happening.PRIMARY_CHANGED, Happening.READY]
    assert notices(moved, moved) == ()
    ready = moved.condition(ConditionType.READY)
    assert ready is not None
    assert moved.primary is not None
    assert moved.primary.epoch == 2


@pytest.mark.parametrize(
    ("waiting", "restarts", "reason"),
    [
        ("ImagePullBackOff", 0, Reason.IMAGE_UNAVAILABLE),
        ("CrashLoopBackOff", 5, Reason.CRASH_LOOPING),
        ("CrashLoopBackOff", 1, None),
        ("CreateContainerConfigError", 0, Reason.SECRET_MISSING),
        ("ContainerCreating", 0, None),
    ],
)
def test_a_pod_says_why_it_does_not_run(waiting: str, restarts: int, reason: Reason | None) -> None:
    container = {"image": "x", "restartCount": restarts, "state": {"waiting": {"reason": waiting}}}
    pod = read_pod(
        {
            "metadata": {"name": "shop-0", "uid": "u"},
            "spec": {},
            "status": {"containerStatuses": [container]},
        }
    )
    assert (pod.trouble.reason if pod.trouble else None) is reason
