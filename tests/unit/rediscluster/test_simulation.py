import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.rediscluster.simulation import World

pytestmark = pytest.mark.unit

PODS = st.sampled_from(["shop-0", "shop-1", "shop-2"])
SENTINELS = st.sampled_from(["shop-sentinel-0", "shop-sentinel-1", "shop-sentinel-2"])
FAULTS = st.one_of(
    st.tuples(st.just("kill"), PODS),
    st.tuples(st.just("delete_pod"), PODS),
    st.tuples(st.just("lose_data"), PODS),
    st.tuples(st.just("hide"), PODS),
    st.tuples(st.just("show"), PODS),
    st.tuples(st.just("forget"), SENTINELS),
    st.tuples(st.just("roll"), st.none()),
    st.tuples(st.just("operator_down"), st.none()),
    st.tuples(st.just("operator_up"), st.none()),
    st.tuples(st.just("crash_after"), st.integers(0, 6)),
    st.tuples(st.just("wait"), st.integers(1, 20)),
)


def started(*, volumes: bool = True) -> World:
    world = World(volumes=volumes)
    world.settle()
    return world


def suffer(world: World, fault: str, what: object) -> None:
    match fault:
        case "operator_down" | "operator_up":
            world.operator_up = fault == "operator_up"
        case "crash_after":
            world.crash_after = int(str(what))
        case "roll":
            world.revision += "+"
        case "wait":
            for _ in range(int(str(what))):
                world.write()
                world.tick()
        case _:
            getattr(world, fault)(what)
    world.write()
    world.tick()


def test_an_empty_instance_starts_with_its_first_pod_as_the_primary() -> None:
    world = started()
    assert world.status.primary is not None
    assert (world.status.primary.name, world.status.primary.epoch) == ("shop-0", 1)


@given(st.lists(FAULTS, max_size=12), st.booleans())
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_happens_it_comes_to_rest_and_nothing_forbidden_was_done(
    faults: list[tuple[str, object]], volumes: bool
) -> None:
    world = started(volumes=volumes)
    for _ in range(3):
        world.write()
        world.tick()
    for fault, what in faults:
        suffer(world, fault, what)
    world.settle()


@given(st.lists(PODS, min_size=1, max_size=6), st.integers(1, 30))
@settings(max_examples=40, deadline=None)
def test_killed_processes_lose_no_replicated_write(killed: list[str], pause: int) -> None:
    world = started()
    for name in killed:
        world.write()
        for _ in range(pause):
            world.tick()
        most = max(node.keys for node in world.nodes.values())
        world.kill(name)
        world.settle()
        assert world.status.primary is not None
        assert world.nodes[world.status.primary.name].keys == most


def test_all_pods_deleted_at_once_come_back_with_their_data() -> None:
    world = started()
    for _ in range(5):
        world.write()
    world.tick()
    for name in list(world.nodes):
        world.delete_pod(name)
    for sentinel in list(world.watches):
        world.forget(sentinel)
    world.settle()
    assert {node.keys for node in world.nodes.values()} == {5}


def test_a_roll_restarts_every_pod_once_and_loses_nothing() -> None:
    world = started(volumes=False)
    world.write()
    world.tick()
    uids = {name: node.uid for name, node in world.nodes.items()}
    world.revision = "r2"
    world.settle()
    restarts = [line for line in world.log if "RestartPod(pod='shop-" in line and "sentinel" not in line]
    assert len(restarts) == 3
    assert all(node.uid != uids[name] and node.keys == 1 for name, node in world.nodes.items())
    assert world.status.primary is not None
    assert world.status.primary.epoch == 2
