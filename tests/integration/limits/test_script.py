"""`decide.lua` against the reference, on real servers, with a clock that the test sets."""

import asyncio
import hashlib
from collections.abc import Iterator
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carnelian._link import Link, connect, load_script
from carnelian.limits._algorithms import FixedWindow, SlidingWindow, TokenBucket
from carnelian.limits._decider import reports
from tests.integration.servers import ENGINES, standalone
from tests.unit.limits.reference import reference
from tests.unit.limits.strategies import buckets, fixed_windows, limits, sliding_windows

pytestmark = pytest.mark.integration

Limit = TokenBucket | FixedWindow | SlidingWindow
Check = list[tuple[str, Limit, int]]
"""For each limit: its key, itself, and the cost."""

START = 1_764_000_000_000_000
SECOND, HOUR = 1_000_000, 3_600_000_000
SCRIPT = load_script("carnelian.limits", "decide")


def most(limit: Limit) -> int:
    """Units that the limit ever allows at once."""
    return limit.burst if isinstance(limit, TokenBucket) else limit.limit


def with_clock(source: bytes) -> bytes:
    """The script with its clock as second argument, and keys that outlive the jumps of such a clock."""
    for ours, theirs in (
        (b"local time = redis.call('TIME')\n  return time[1] * 1000000 + time[2]", b"return tonumber(ARGV[2])"),
        (b"max(1, ceil(microseconds / 1000))", b"3600000"),
    ):
        assert source.count(ours) == 1
        source = source.replace(ours, theirs)
    return source


class Bench:
    """Sends checks to the script, at the times that a test says."""

    def __init__(self, runner: asyncio.Runner, link: Link) -> None:
        source = with_clock(SCRIPT.source)
        self._script = replace(SCRIPT, source=source, sha=hashlib.sha1(source).hexdigest())
        self._runner = runner
        self._link = link
        self._runs = 0

    def fresh(self) -> str:
        """The start of keys that nobody used."""
        self._runs += 1
        return f"run{self._runs}:"

    def call(self, *command: str | int) -> object:
        return self._runner.run(self._link.execute(*command))

    def decide(self, now: int, *checks: Check) -> list[list[int]]:
        """The answers to a batch."""
        plan: list[int] = []
        demands: list[tuple[int, ...]] = []
        for check in checks:
            plan.append(len(check))
            for _, limit, cost in check:
                demands.append(limit.demand(cost))
                plan.append(len(demands))
        keys = [key for check in checks for key, _, _ in check]
        payload = msgspec.msgpack.encode((demands, plan))
        flat = msgspec.msgpack.decode(self._runner.run(self._link.eval(self._script, keys, (payload, now))))
        answers = []
        for check in checks:
            size = 1 + 3 * len(check)
            answers.append(flat[:size])
            flat = flat[size:]
        assert flat == []
        return answers

    def remaining(self, now: int, key: str, limit: Limit, cost: int = 0) -> int:
        """What is left after taking `cost`."""
        ((refused, *report),) = self.decide(now, [(key, limit, cost)])
        assert not refused
        return limit.read((report[0], report[1], report[2]), cost).remaining


@pytest.fixture(scope="module", params=ENGINES)
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    with asyncio.Runner() as runner:
        server = standalone(request.param)
        target = runner.run(server.__aenter__()).target

        async def linked() -> Link:
            return connect(target)

        link = runner.run(linked())
        yield Bench(runner, link)
        runner.run(link.aclose())
        runner.run(server.__aexit__(None, None, None))


moves = st.one_of(st.integers(0, 3), st.integers(0, 10**7), st.integers(0, 10**14))
costs = st.one_of(st.integers(0, 3), st.integers(0, 1_100_000_000))


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_batches_of_checks_are_decided_as_the_reference_does_one_by_one(bench: Bench, data: st.DataObject) -> None:
    prefix = bench.fresh()
    everything = [
        (f"{prefix}{index}", limit) for index, limit in enumerate(data.draw(st.lists(limits, min_size=1, max_size=3)))
    ]
    states = {key: reference(limit) for key, limit in everything}
    some = st.lists(st.sampled_from(everything), min_size=1, unique_by=lambda pair: pair[0])
    now = START
    for _ in range(data.draw(st.integers(1, 8))):
        now += data.draw(moves)
        checks = data.draw(st.lists(st.tuples(some, costs), min_size=1, max_size=4))
        answers = bench.decide(now, *([(key, limit, cost) for key, limit in pairs] for pairs, cost in checks))
        for (pairs, cost), answer in zip(checks, answers, strict=True):
            refusing = [position for position, (key, _) in enumerate(pairs, 1) if states[key].room(now) < cost]
            assert answer[0] == (refusing[0] if refusing else 0)
            for (key, limit), report in zip(pairs, reports(answer), strict=True):
                if not refusing:
                    states[key].take(now, cost)
                reading = limit.read(report, cost)
                assert reading.remaining == states[key].room(now)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_who_waits_as_told_is_allowed_and_not_before(bench: Bench, data: st.DataObject) -> None:
    key, limit = bench.fresh(), data.draw(limits)
    now = START + data.draw(st.integers(0, HOUR))
    while True:
        cost = data.draw(st.integers(1, most(limit)))
        ((refused, *report),) = bench.decide(now, [(key, limit, cost)])
        if refused:
            break
        now += data.draw(st.integers(0, limit.period // 10))
    wait = limit.read((report[0], report[1], report[2]), cost).retry_after * SECOND
    if wait < 2**50:  # beyond, a float of seconds does not tell microseconds apart
        assert bench.decide(now + max(0, int(wait - 0.6)), [(key, limit, cost)])[0][0] == 1
        assert bench.decide(now + int(wait + 1.6), [(key, limit, cost)])[0][0] == 0


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_limit_that_keeps_changing_stays_in_its_bounds(bench: Bench, data: st.DataObject) -> None:
    key, now = bench.fresh(), START
    same_algorithm: st.SearchStrategy[Limit] = data.draw(st.sampled_from([buckets(), fixed_windows, sliding_windows]))
    for _ in range(8):
        limit = data.draw(same_algorithm)
        now += data.draw(st.one_of(moves, st.integers(-(10**9), 0)))  # a failover may set the clock back
        cost = data.draw(costs)
        ((refused, *report),) = bench.decide(now, [(key, limit, cost)])
        reading = limit.read((report[0], report[1], report[2]), cost)
        assert 0 <= reading.remaining <= most(limit)
        assert reading.reset_after >= 0
        assert bool(refused) == (reading.retry_after > 0) or not refused


@pytest.mark.parametrize(
    ("before", "cost", "after", "later", "remaining"),
    [
        (TokenBucket(10, SECOND, 10), 10, TokenBucket(10, HOUR, 10), 0, 0),  # what was taken stays taken
        (TokenBucket(10, HOUR, 10), 10, TokenBucket(10, SECOND, 10), SECOND // 2, 5),  # and comes back at the new rate
        (TokenBucket(10, HOUR, 10), 10, TokenBucket(100, HOUR, 100), 0, 90),
        (TokenBucket(100, HOUR, 100), 90, TokenBucket(10, HOUR, 10), 0, 0),  # never more debt than the bucket holds
        (TokenBucket(100, HOUR, 100), 90, TokenBucket(10, HOUR, 10), HOUR // 10, 1),
        (TokenBucket(10, SECOND, 5), 5, TokenBucket(10, SECOND, 20), 0, 15),
        (FixedWindow(10, HOUR), 4, FixedWindow(20, HOUR), 0, 16),
        (FixedWindow(10, HOUR), 9, FixedWindow(5, HOUR), 0, 0),
        (FixedWindow(10, SECOND), 9, FixedWindow(20, HOUR), 60 * SECOND, 11),  # lies in the longer window
        (FixedWindow(10, HOUR), 9, FixedWindow(20, SECOND), 0, 20),  # may have been taken before the shorter one
        (SlidingWindow(10, HOUR), 4, SlidingWindow(20, HOUR), 0, 16),
        (SlidingWindow(10, HOUR), 9, SlidingWindow(5, HOUR), 0, 0),
        (SlidingWindow(10, HOUR), 9, SlidingWindow(5, HOUR), HOUR, 0),
        (SlidingWindow(10, SECOND), 9, SlidingWindow(20, HOUR), 60 * SECOND, 11),
    ],
)
def test_a_changed_limit_carries_on(
    bench: Bench, before: Limit, cost: int, after: Limit, later: int, remaining: int
) -> None:
    key, now = bench.fresh(), START - START % HOUR + 60 * SECOND
    bench.remaining(now, key, before, cost)
    for step in range(4):  # refusals on the way do not hold time up
        bench.decide(now + step * later // 4, [(key, after, most(after) + 1)])
    assert bench.remaining(now + later, key, after) == remaining


@pytest.mark.parametrize("limit", [TokenBucket(5, SECOND, 5), FixedWindow(5, SECOND), SlidingWindow(5, SECOND)])
@pytest.mark.parametrize(
    "foreign",
    [
        ("SET", "text"),
        ("SET", ""),
        ("SET", "1 2"),
        ("RPUSH", "x"),
        ("HSET", "a", "b"),
        ("ZADD", "1", "m"),
        ("XADD", "*", "a", "b"),
    ],
    ids=" ".join,
)
def test_whatever_lies_at_the_key_no_check_fails(bench: Bench, limit: Limit, foreign: tuple[str, ...]) -> None:
    key = bench.fresh()
    bench.call(foreign[0], key, *foreign[1:])
    left = bench.remaining(START, key, limit, 1)
    assert left <= 4
    assert bench.remaining(START, key, limit, 0) == left


def test_a_hundred_thousand_takes_do_not_drift(bench: Bench) -> None:
    """A third of a microsecond for each unit: a float would be off by now."""
    key, limit = bench.fresh(), TokenBucket(3, 1_000, 1_000_000)
    now, taken = START, 0
    for round_ in range(100):
        now += 7
        checks: list[Check] = [[(key, limit, 1)]] * 1000
        taken += sum(answer[0] == 0 for answer in bench.decide(now, *checks))
        assert bench.remaining(now, key, limit) == 1_000_000 - taken + (7 * round_ * 3) // 1000
