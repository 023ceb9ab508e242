from dataclasses import replace

import pytest

from carnelian_operator.api.conditions import Reason
from carnelian_operator.api.rediscluster import Mode
from carnelian_operator.rediscluster.plan import decide
from carnelian_operator.rediscluster.plan.actions import (
    DISRUPTIVE,
    Follow,
    Handover,
    KillClients,
    RecordPrimary,
    RestartPod,
    WatchPrimary,
)
from carnelian_operator.rediscluster.plan.roller import Roll, plan_roll
from carnelian_operator.rediscluster.plan.topology import plan_topology
from carnelian_operator.rediscluster.snapshot import Snapshot, Trouble
from tests.unit.rediscluster.builders import healthy, instance, with_servers

pytestmark = pytest.mark.unit


def outdated(snapshot: Snapshot, *names: str) -> Snapshot:
    pods = {name: replace(pod, revision="old") if name in names else pod for name, pod in snapshot.pods.items()}
    sentinels = {
        name: replace(pod, revision="old") if name in names else pod for name, pod in snapshot.sentinel_pods.items()
    }
    return replace(snapshot, pods=pods, sentinel_pods=sentinels)


def roll(snapshot: Snapshot) -> Roll:
    found = plan_roll(snapshot, plan_topology(snapshot))
    assert sum(isinstance(action, DISRUPTIVE) for action in found.actions) <= 1
    return found


def restarted(found: Roll) -> list[str]:
    return [action.pod for action in found.actions if isinstance(action, RestartPod)]


def test_nothing_to_do_when_every_pod_is_current() -> None:
    assert roll(healthy()) == Roll()


def test_nothing_is_decided_before_the_stateful_set_was_observed() -> None:
    assert roll(replace(outdated(healthy(), "shop-1"), data_revision=None, sentinel_revision=None)) == Roll()


def test_sentinels_first_then_replicas_from_the_last() -> None:
    everything = ("shop-0", "shop-1", "shop-2", "shop-sentinel-1")
    assert restarted(roll(outdated(healthy(), *everything))) == ["shop-sentinel-1"]
    assert restarted(roll(outdated(healthy(), *everything[:3]))) == ["shop-2"]
    assert [pending.pod for pending in roll(outdated(healthy(), *everything)).pending] == [
        everything[3],
        *everything[:3],
    ]


def test_the_primary_hands_over_before_it_is_restarted() -> None:
    actions = roll(outdated(healthy(), "shop-0")).actions
    assert isinstance(actions[0], RecordPrimary)
    assert (actions[0].primary.name, actions[0].primary.epoch) == ("shop-1", 2)
    assert actions[1:3] == (Handover("shop-0", "shop-1"), Follow("shop-2", "shop-1"))
    assert [type(action) for action in actions[3:]] == [WatchPrimary] * 3 + [KillClients]


@pytest.mark.parametrize("fault", ["link", "lag", "sync", "unready"])
def test_no_step_is_taken_while_another_replica_is_behind(fault: str) -> None:
    snapshot = outdated(healthy(offset=1 << 24), "shop-2")
    server = snapshot.servers["shop-1"]
    match fault:
        case "link":
            snapshot = with_servers(snapshot, shop_1=replace(server, link_up=False))
        case "lag":
            snapshot = with_servers(snapshot, shop_1=replace(server, offset=0))
        case "sync":
            snapshot = with_servers(snapshot, shop_1=replace(server, syncing=True))
        case _:
            pods = {**snapshot.pods, "shop-1": replace(snapshot.pods["shop-1"], ready=False)}
            snapshot = replace(snapshot, pods=pods)
    found = roll(snapshot)
    assert found.actions == ()
    assert found.blocked is not None
    assert "shop-1" in found.blocked


def test_a_broken_pod_of_the_old_template_goes_first_although_it_is_not_in_step() -> None:
    snapshot = outdated(healthy(), "shop-1", "shop-2")
    broken = replace(snapshot.pods["shop-1"], ready=False, trouble=Trouble(Reason.IMAGE_UNAVAILABLE, "no image"))
    servers = {pod: server for pod, server in snapshot.servers.items() if pod != "shop-1"}
    snapshot = replace(snapshot, pods={**snapshot.pods, "shop-1": broken}, servers=servers)
    assert restarted(roll(snapshot)) == ["shop-1"]


def test_a_shrinking_instance_hands_over_from_a_pod_that_will_go() -> None:
    wide = healthy(instance(profile="Cache"), primary="shop-2")
    snapshot = replace(wide, instance=instance(profile="Cache", replicas=1))
    assert Handover("shop-2", "shop-0") in roll(snapshot).actions


def test_a_single_server_is_simply_restarted() -> None:
    snapshot = outdated(healthy(instance(Mode.STANDALONE)), "shop-0")
    assert restarted(roll(snapshot)) == ["shop-0"]
    gone = replace(snapshot.pods["shop-0"], terminating=True)
    assert roll(replace(snapshot, pods={"shop-0": gone})).actions == ()


def test_the_reason_of_a_restart_is_told() -> None:
    snapshot = outdated(healthy(instance(restarted_at="now")), "shop-2")
    assert {pending.reason for pending in roll(snapshot).pending} == {"a restart was asked for"}


def test_after_a_failed_handover_the_primary_is_left_in_peace_for_a_while() -> None:
    found = roll(replace(outdated(healthy(), "shop-0"), handover_rests=True))
    assert found.actions == ()
    assert found.blocked is not None


def test_the_status_after_a_handover_keeps_the_record_that_the_handover_made() -> None:
    decision = decide(outdated(healthy(), "shop-0"))
    assert any(isinstance(action, Handover) for action in decision.actions)
    assert decision.status.primary is not None
    assert (decision.status.primary.name, decision.status.primary.epoch) == ("shop-1", 2)
