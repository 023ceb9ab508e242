from dataclasses import replace

import pytest

from carnelian_operator.api.conditions import Reason
from carnelian_operator.api.rediscluster import Mode, RedisClusterStatus
from carnelian_operator.dataplane.state import PRIMARY, Sentinel, Server
from carnelian_operator.rediscluster.plan.actions import (
    Follow,
    Promote,
    RecordPrimary,
    SetConfig,
    Unwatch,
    WatchPrimary,
)
from carnelian_operator.rediscluster.plan.topology import PODS_PATIENCE, SENTINEL_PATIENCE, plan_topology
from carnelian_operator.rediscluster.snapshot import Snapshot
from tests.unit.rediscluster.builders import fenced, healthy, instance, watching, with_servers, without

pytestmark = pytest.mark.unit


def all_fenced(snapshot: Snapshot, **changes: object) -> Snapshot:
    servers = {pod: fenced(server, **changes) for pod, server in snapshot.servers.items()}
    return replace(snapshot, servers=servers)


def waited(snapshot: Snapshot, seconds: float) -> Snapshot:
    return replace(snapshot, undecided_seconds=seconds)


def naming(snapshot: Snapshot, pod: str, *flags: str) -> Snapshot:
    names = snapshot.instance.sentinel_pods
    return replace(snapshot, sentinels={name: watching(snapshot.instance, pod, *flags) for name in names})


def unaware(snapshot: Snapshot) -> Snapshot:
    return replace(snapshot, sentinels={name: Sentinel() for name in snapshot.sentinels})


def test_a_healthy_instance_is_left_alone() -> None:
    topology = plan_topology(healthy())
    assert (topology.primary, topology.actions, topology.settled) == ("shop-0", (), True)


def test_at_the_first_start_the_first_pod_becomes_the_primary_and_the_record_comes_first() -> None:
    snapshot = replace(unaware(all_fenced(healthy(), keys=0)), status=RedisClusterStatus())
    actions = plan_topology(snapshot).actions
    assert isinstance(actions[0], RecordPrimary)
    assert actions[0].primary.epoch == 1
    assert actions[1:4] == (Promote("shop-0"), Follow("shop-1", "shop-0"), Follow("shop-2", "shop-0"))
    assert {type(action) for action in actions[4:]} == {WatchPrimary}


def test_at_the_first_start_it_waits_for_every_pod_but_not_for_ever() -> None:
    snapshot = without(replace(unaware(all_fenced(healthy(), keys=0)), status=RedisClusterStatus()), "shop-2")
    assert plan_topology(snapshot).actions == ()
    assert Promote("shop-0") in plan_topology(waited(snapshot, PODS_PATIENCE + 1)).actions


def test_retained_volumes_decide_who_starts_as_the_primary() -> None:
    snapshot = replace(unaware(all_fenced(healthy(), keys=0)), status=RedisClusterStatus())
    full = replace(snapshot.servers["shop-2"], keys=9)
    assert Promote("shop-2") in plan_topology(with_servers(snapshot, shop_2=full)).actions


def test_the_recorded_primary_comes_back_after_all_pods_were_lost() -> None:
    snapshot = unaware(all_fenced(healthy(primary="shop-1")))
    topology = plan_topology(snapshot)
    assert Promote("shop-1") in topology.actions
    assert topology.record == snapshot.status.primary


def test_an_empty_recorded_primary_yields_to_a_peer_that_holds_keys() -> None:
    snapshot = unaware(all_fenced(healthy()))
    empty = replace(snapshot.servers["shop-0"], keys=0)
    assert Promote("shop-0") not in plan_topology(with_servers(snapshot, shop_0=empty)).actions


def test_what_sentinels_name_goes_before_what_was_recorded_before_they_acted() -> None:
    snapshot = naming(all_fenced(healthy()), "shop-2")
    topology = plan_topology(snapshot)
    assert Promote("shop-2") in topology.actions
    assert topology.record is not None
    assert topology.record.epoch == 2


def test_an_empty_server_is_not_promoted_while_a_volume_is_away() -> None:
    of = instance(storage={"size": "1Gi"})
    snapshot = waited(without(unaware(all_fenced(healthy(of), keys=0)), "shop-2"), PODS_PATIENCE + 1)
    snapshot = replace(snapshot, pods={**snapshot.pods, "shop-2": replace(snapshot.pods["shop-2"], ready=False)})
    topology = plan_topology(snapshot)
    assert topology.actions == ()
    assert topology.blocked is not None
    assert topology.blocked.reason is Reason.BLOCKED
    assert "shop-2" in topology.blocked.message


def test_a_lost_primary_is_sentinels_business_first_then_ours() -> None:
    snapshot = naming(without(healthy(), "shop-0"), "shop-0", "s_down")
    cut_off = {pod: replace(server, link_up=False) for pod, server in snapshot.servers.items()}
    snapshot = replace(snapshot, servers=cut_off)
    assert plan_topology(snapshot).actions == ()
    actions = plan_topology(waited(snapshot, SENTINEL_PATIENCE + 1)).actions
    assert Promote("shop-1") in actions


@pytest.mark.parametrize("seconds", [0, 1e6])
def test_nobody_is_promoted_while_sentinels_see_a_primary_that_we_do_not_reach(seconds: float) -> None:
    topology = plan_topology(waited(without(healthy(), "shop-0"), seconds))
    assert topology.actions == ()
    assert topology.waiting is not None


def test_sentinels_failover_is_adopted_with_the_next_epoch() -> None:
    moved = healthy(primary="shop-1")
    snapshot = replace(moved, status=healthy(primary="shop-0").status)
    topology = plan_topology(snapshot)
    assert (topology.primary, topology.actions) == ("shop-1", ())
    assert topology.record is not None
    assert (topology.record.name, topology.record.epoch) == ("shop-1", 2)


def test_a_returning_primary_beside_the_one_that_sentinels_name_becomes_its_replica() -> None:
    snapshot = healthy(primary="shop-1")
    returned = Server(role=PRIMARY, keys=3, replid="b", config=snapshot.servers["shop-1"].config)
    snapshot = replace(with_servers(snapshot, shop_0=returned), status=healthy(primary="shop-0").status)
    assert plan_topology(snapshot).actions == (Follow("shop-0", "shop-1"),)


def test_two_primaries_without_sentinels_are_decided_by_the_record() -> None:
    snapshot = unaware(healthy(primary="shop-0"))
    other = Server(role=PRIMARY, keys=30, replid="b", config=snapshot.servers["shop-0"].config)
    actions = plan_topology(with_servers(snapshot, shop_1=other)).actions
    assert actions[0] == Follow("shop-1", "shop-0")


def test_nothing_is_repaired_in_the_middle_of_sentinels_failover() -> None:
    snapshot = healthy(primary="shop-0")
    promoted = replace(snapshot.servers["shop-1"], role=PRIMARY, primary=None)
    snapshot = naming(with_servers(snapshot, shop_1=promoted), "shop-0", "failover_in_progress")
    assert plan_topology(snapshot).actions == ()


def test_a_handover_that_a_crash_cut_short_is_finished() -> None:
    snapshot = naming(healthy(primary="shop-1"), "shop-0")
    assert plan_topology(snapshot).actions == tuple(
        WatchPrimary(f"shop-sentinel-{number}", "shop-1") for number in range(3)
    )


def test_a_replica_of_nobody_or_of_another_is_pointed_at_the_primary() -> None:
    snapshot = healthy()
    lost = fenced(snapshot.servers["shop-2"])
    stray = replace(snapshot.servers["shop-1"], primary=(snapshot.instance.data_host("shop-2"), 6379))
    snapshot = with_servers(snapshot, shop_1=stray, shop_2=lost)
    assert plan_topology(snapshot).actions == (Follow("shop-1", "shop-0"), Follow("shop-2", "shop-0"))


def test_a_full_replica_does_not_follow_an_empty_stranger() -> None:
    snapshot = healthy(keys=0)
    full = fenced(snapshot.servers["shop-1"], keys=7)
    topology = plan_topology(with_servers(snapshot, shop_1=full))
    assert topology.actions == ()
    assert topology.blocked is not None


def test_a_sentinel_that_forgot_is_told_again() -> None:
    snapshot = healthy()
    snapshot = replace(snapshot, sentinels={**snapshot.sentinels, "shop-sentinel-1": Sentinel(strangers=("old",))})
    assert plan_topology(snapshot).actions == (
        Unwatch("shop-sentinel-1", "old"),
        WatchPrimary("shop-sentinel-1", "shop-0"),
    )


def test_sentinels_that_remember_too_much_are_reset_one_at_a_time() -> None:
    snapshot = healthy(instance(replicas=1))
    wide = healthy(instance(replicas=3))
    snapshot = replace(snapshot, sentinels=wide.sentinels)
    assert plan_topology(snapshot).actions == (WatchPrimary("shop-sentinel-0", "shop-0"),)


def test_a_changed_live_directive_reaches_running_servers() -> None:
    snapshot = healthy()
    old = replace(snapshot.servers["shop-1"], config={**snapshot.servers["shop-1"].config, "maxmemory": "1"})
    actions = plan_topology(with_servers(snapshot, shop_1=old)).actions
    assert actions == (SetConfig("shop-1", {"maxmemory": snapshot.servers["shop-0"].config["maxmemory"]}),)


def test_a_single_server_is_the_primary_once_it_has_loaded() -> None:
    snapshot = healthy(instance(Mode.STANDALONE))
    assert plan_topology(snapshot).settled
    loading = replace(snapshot.servers["shop-0"], loading=True)
    assert plan_topology(with_servers(snapshot, shop_0=loading)).primary is None


def just_promoted(by: int) -> Snapshot:
    """Sentinel promoted shop-1 over shop-0, which came back; as many Sentinels as `by` have heard of it."""
    snapshot = healthy(primary="shop-0")
    promoted = replace(snapshot.servers["shop-1"], role=PRIMARY, primary=None, replid="b", replid2="a", keys=9)
    snapshot = with_servers(snapshot, shop_1=promoted)
    news = watching(snapshot.instance, "shop-1")
    assert news.watched is not None
    told = replace(news, watched=replace(news.watched, config_epoch=1))
    names = snapshot.instance.sentinel_pods[:by]
    return replace(snapshot, sentinels={**snapshot.sentinels, **dict.fromkeys(names, told)})


@pytest.mark.parametrize("by", [1, 2, 3])
def test_a_promotion_that_most_sentinels_have_not_heard_of_is_not_undone(by: int) -> None:
    topology = plan_topology(just_promoted(by))
    assert topology.primary == "shop-1"
    assert Follow("shop-0", "shop-1") in topology.actions
    assert Follow("shop-1", "shop-0") not in topology.actions


def test_a_sentinel_alone_does_not_make_a_stranger_the_primary() -> None:
    snapshot = just_promoted(1)
    stranger = replace(snapshot.servers["shop-1"], replid2="c")
    assert plan_topology(with_servers(snapshot, shop_1=stranger)).primary == "shop-0"


def test_a_replica_may_be_promoted_by_sentinel_once_it_is_in_step_and_not_before() -> None:
    snapshot = healthy()
    new = {**snapshot.servers["shop-1"].config, "replica-priority": "0"}
    linked = replace(snapshot.servers["shop-1"], config=new)
    expected = SetConfig("shop-1", {"replica-priority": "100"})
    assert plan_topology(with_servers(snapshot, shop_1=linked)).actions == (expected,)
    for changes in ({"link_up": False}, {"syncing": True}):
        unlinked = replace(linked, **changes)  # type: ignore[arg-type]
        assert plan_topology(with_servers(snapshot, shop_1=unlinked)).actions == ()
