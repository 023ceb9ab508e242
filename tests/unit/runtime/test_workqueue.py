"""The work queue in simulated time."""

import asyncio
from random import Random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from carnelian_operator.runtime.api import Key, Priority
from carnelian_operator.runtime.workqueue import Backoff, WorkQueue

A, B, C = (Key("Toy", "n", name) for name in "abc")
CHANGED, RESYNC = Priority.CHANGED, Priority.RESYNC


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(clock: Clock) -> WorkQueue:
    return WorkQueue(clock, backoff=Backoff(initial=1, cap=8, jitter=0), patience=20, random=Random(1))


def taken(queue: WorkQueue) -> Key | None:
    found = queue.take()
    return found.key if found else None


def test_a_key_is_in_it_once_however_often_it_is_woken(queue: WorkQueue) -> None:
    for _ in range(3):
        queue.add(A)
    assert (queue.depth, taken(queue), taken(queue)) == (1, A, None)


def test_woken_while_it_runs_it_runs_once_more_afterwards(queue: WorkQueue) -> None:
    queue.add(A)
    assert taken(queue) == A
    queue.add(A)
    queue.add(A)
    assert taken(queue) is None
    queue.done(A)
    assert taken(queue) == A
    queue.done(A)
    assert taken(queue) is None


def test_changes_go_before_resyncs_and_each_in_order(queue: WorkQueue) -> None:
    queue.add(A, RESYNC)
    queue.add(B, RESYNC)
    queue.add(C)
    queue.add(B)
    assert [taken(queue) for _ in range(4)] == [C, B, A, None]


def test_a_change_is_not_put_back_by_a_resync(queue: WorkQueue) -> None:
    queue.add(A)
    queue.add(B)
    queue.add(A, RESYNC)
    assert [taken(queue) for _ in range(2)] == [A, B]


def test_a_resync_does_not_wait_for_ever(queue: WorkQueue, clock: Clock) -> None:
    queue.add(A, RESYNC)
    clock.now += 21
    queue.add(B)
    assert taken(queue) == A


def test_failures_back_off_to_a_cap_and_a_success_forgets_them(queue: WorkQueue, clock: Clock) -> None:
    queue.add(A)
    delays = []
    for _ in range(6):
        assert taken(queue) == A
        delays.append(queue.failed(A))
        clock.now += delays[-1] - 0.01
        assert taken(queue) is None
        clock.now += 0.02
    assert delays == [1, 2, 4, 8, 8, 8]
    assert taken(queue) == A
    queue.done(A)
    queue.add(A)
    assert taken(queue) == A
    assert queue.failed(A) == 1


def test_a_change_shortens_a_back_off_but_not_below_the_first_rest(queue: WorkQueue, clock: Clock) -> None:
    queue.add(A)
    for _ in range(4):
        clock.now += 10
        assert taken(queue) == A
        queue.failed(A)
    queue.add(A)
    assert taken(queue) is None
    clock.now += 1
    assert taken(queue) == A


def test_a_change_during_a_run_that_fails_does_not_make_a_tight_loop(queue: WorkQueue) -> None:
    queue.add(A)
    assert taken(queue) == A
    queue.add(A)
    queue.failed(A)
    assert taken(queue) is None


def test_of_several_times_the_earliest_wins(queue: WorkQueue, clock: Clock) -> None:
    queue.add(A)
    taken(queue)
    queue.done(A, requeue_after=30)
    queue.add(A)
    taken(queue)
    queue.done(A, requeue_after=5)
    assert queue.next_due() == clock.now + 5
    queue.add(A)
    taken(queue)
    queue.done(A, requeue_after=10)
    assert queue.next_due() == clock.now + 10
    clock.now += 10
    assert taken(queue) == A


def test_ages_are_told(queue: WorkQueue, clock: Clock) -> None:
    assert queue.oldest == 0
    queue.add(A, RESYNC)
    clock.now += 3
    queue.add(B)
    queue.add(A)
    assert (queue.oldest, queue.depth) == (3, 2)
    assert queue.take() == (B, CHANGED, 0)
    assert queue.take() == (A, CHANGED, 3)
    assert queue.running == 2


def test_closed_it_gives_out_nothing(queue: WorkQueue) -> None:
    queue.add(A)
    queue.close()
    assert taken(queue) is None


async def test_waiting_workers_are_woken_by_keys_and_by_time() -> None:
    loop = asyncio.get_running_loop()
    queue = WorkQueue(loop.time)
    workers = [asyncio.create_task(queue.get()) for _ in range(2)]
    await asyncio.sleep(0)
    queue.add(A)
    queue.add(B)
    assert {(await worker).key for worker in workers} == {A, B}
    queue.done(A, requeue_after=0.05)
    began = loop.time()
    assert (await queue.get()).key == A
    assert 0.04 < loop.time() - began < 1


async def test_idle_waits_for_the_last_run() -> None:
    queue = WorkQueue(asyncio.get_running_loop().time)
    queue.add(A)
    queue.take()
    waiting = asyncio.create_task(queue.idle())
    await asyncio.sleep(0)
    assert not waiting.done()
    queue.done(A)
    await asyncio.wait_for(waiting, 1)


KEYS = st.sampled_from([A, B, C])


class Model(RuleBasedStateMachine):
    """Whatever happens in whatever order: no wake is lost, nothing runs twice at a time, nothing starves."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.queue = WorkQueue(self.clock, backoff=Backoff(initial=1, cap=8), patience=20, random=Random(0))
        self.running: set[Key] = set()
        self.owed: set[Key] = set()

    @rule(key=KEYS, priority=st.sampled_from(Priority))
    def wake(self, key: Key, priority: Priority) -> None:
        self.queue.add(key, priority)
        self.owed.add(key)

    @rule(seconds=st.floats(0, 30))
    def pass_time(self, seconds: float) -> None:
        self.clock.now += seconds

    @rule()
    def take(self) -> None:
        found = self.queue.take()
        if found is not None:
            assert found.key not in self.running
            assert found.waited >= 0
            self.running.add(found.key)
            self.owed.discard(found.key)

    @precondition(lambda self: self.running)
    @rule(data=st.data(), after=st.none() | st.floats(0, 60))
    def end_well(self, data: st.DataObject, after: float | None) -> None:
        key = data.draw(st.sampled_from(sorted(self.running)))
        self.running.remove(key)
        self.queue.done(key, after)

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def end_badly(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.running)))
        self.running.remove(key)
        assert 0.8 <= self.queue.failed(key) <= 8
        self.owed.add(key)

    @invariant()
    def agrees(self) -> None:
        assert self.queue.running == len(self.running)
        assert self.queue.depth <= 3 - len(self.running)

    def teardown(self) -> None:
        for key in sorted(self.running):
            self.queue.done(key)
        for _ in range(3 * len(self.owed) + 10):
            found = self.queue.take()
            if found is None:
                due = self.queue.next_due()
                if due is None:
                    break
                self.clock.now = max(self.clock.now, due)
                continue
            self.owed.discard(found.key)
            self.queue.done(found.key)
        assert not self.owed


TestModel = Model.TestCase
TestModel.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
