"""How soon an instance is looked at again after something was done to it."""

import time
from dataclasses import replace

import pytest

from carnelian_operator.rediscluster.controller import _look_again, _Memory
from carnelian_operator.rediscluster.plan import Decision, decide
from carnelian_operator.rediscluster.plan.actions import Action, Handover, SetConfig
from tests.unit.rediscluster.builders import healthy

pytestmark = pytest.mark.unit


def doing(*actions: Action) -> Decision:
    return replace(decide(healthy()), actions=actions, requeue_after=1.0)


@pytest.mark.parametrize("complete", [True, False])
def test_what_never_converges_is_tried_less_and_less_often_and_what_is_new_at_once(complete: bool) -> None:
    memory, first = _Memory("uid"), 0.25 if complete else 1.0
    stubborn = doing(SetConfig("shop-0", {"maxmemory": "1"}))
    pauses = [_look_again(memory, stubborn, complete=complete) for _ in range(20)]
    assert pauses[:3] == [first, 2 * first, 4 * first]
    assert pauses[-1] == 10.0
    assert _look_again(memory, doing(SetConfig("shop-1", {"maxmemory": "1"})), complete=complete) == first


def test_rest_is_as_the_plan_says() -> None:
    assert _look_again(_Memory("uid"), replace(decide(healthy()), requeue_after=None), complete=True) is None
    assert _look_again(_Memory("uid"), replace(decide(healthy()), requeue_after=10.0), complete=True) == 10.0


def test_failed_handovers_rest_longer_each_time_and_a_good_one_forgets_them() -> None:
    memory, rests = _Memory("uid"), []
    for _ in range(8):
        _look_again(memory, doing(Handover("shop-0", "shop-1")), complete=False)
        rests.append(memory.handover_after - time.monotonic())
    assert rests == pytest.approx([10, 20, 40, 80, 160, 300, 300, 300], abs=1)
    _look_again(memory, doing(Handover("shop-0", "shop-1")), complete=True)
    assert memory.handover_after <= time.monotonic()
