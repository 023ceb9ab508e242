"""What a script's report means, and that what is sent to the script stays exact."""

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carnelian.limits._algorithms import EXACT, Algorithm, FixedWindow, SlidingWindow, TokenBucket
from tests.unit.limits.strategies import buckets, counts, limits, periods

pytestmark = pytest.mark.unit

SECOND = 1_000_000


@given(limits, st.integers(0, 2_000_000_000))
def test_everything_the_script_computes_with_is_an_exact_double(limit: Algorithm, cost: int) -> None:
    assert all(abs(number) <= 2**52 for number in limit.demand(cost))
    if isinstance(limit, SlidingWindow):
        assert limit.limit * limit.ticks <= EXACT + limit.limit
        assert limit.tick * (limit.ticks - 1) < limit.period <= limit.tick * limit.ticks


@given(buckets())
def test_a_bucket_pays_exactly_for_its_whole_burst(limit: TokenBucket) -> None:
    _, room, room_part, cost, cost_part, capacity, capacity_part, rate, span = limit.demand(limit.burst)
    assert (room, room_part) == (0, 0)
    assert (cost, cost_part) == (capacity, capacity_part)
    assert Fraction(rate, span) == Fraction(limit.limit, limit.period)
    assert capacity + Fraction(capacity_part, rate) == Fraction(limit.burst * limit.period, limit.limit)


@given(buckets(), st.data())
def test_a_bucket_reads_its_debt(limit: TokenBucket, data: st.DataObject) -> None:
    debt = data.draw(st.integers(0, limit.burst * limit.span))  # in parts of a microsecond
    cost = data.draw(st.integers(0, limit.burst))
    reading = limit.read((*divmod(debt, limit.rate), 0), cost)
    tokens = limit.burst - Fraction(debt, limit.span)
    assert reading.remaining == math.floor(tokens)
    missing = max(Fraction(0), cost - tokens) * Fraction(limit.period, limit.limit * SECOND)
    assert reading.retry_after == pytest.approx(float(missing), rel=1e-12)
    assert (reading.retry_after == 0) == (tokens >= cost)


@given(st.builds(SlidingWindow, counts, periods), st.data())
def test_a_sliding_window_waits_just_long_enough(limit: SlidingWindow, data: st.DataObject) -> None:
    count, before = data.draw(st.integers(0, limit.limit)), data.draw(st.integers(0, limit.limit))
    elapsed = data.draw(st.integers(0, limit.period - 1))
    cost = data.draw(st.integers(1, limit.limit))

    def allowed(at: int) -> bool:
        late = at >= limit.period
        now, previous, at = (0, count, at - limit.period) if late else (count, before, at)
        overlap = -(-(limit.period - at) // limit.tick)
        return previous * overlap + (now + cost) * limit.ticks <= limit.limit * limit.ticks

    reading = limit.read((count, before, elapsed), cost)
    assert (reading.retry_after == 0) == allowed(elapsed) == (reading.remaining >= cost)
    if reading.retry_after:
        wait = round(reading.retry_after * SECOND)
        if limit.period < 2**50:  # beyond, seconds as a float do not tell microseconds apart
            assert allowed(elapsed + wait)
            assert not allowed(elapsed + wait - 1)


@pytest.mark.parametrize(
    ("limit", "report", "cost", "expected"),
    [
        (FixedWindow(10, 60 * SECOND), (0, 5 * SECOND, 0), 1, (10, 0.0, 0.0)),
        (FixedWindow(10, 60 * SECOND), (10, 45 * SECOND, 0), 1, (0, 15.0, 15.0)),
        (FixedWindow(10, 60 * SECOND), (12, 45 * SECOND, 0), 1, (0, 15.0, 15.0)),  # the limit was lowered
        (FixedWindow(10, 60 * SECOND), (3, 45 * SECOND, 0), 11, (7, math.inf, 15.0)),
        (SlidingWindow(10, 60 * SECOND), (10, 0, 0), 1, (0, 66.0, 120.0)),
        (SlidingWindow(10, 60 * SECOND), (0, 10, 30 * SECOND), 1, (5, 0.0, 30.0)),
        (SlidingWindow(10, 60 * SECOND), (5, 10, 30 * SECOND), 1, (0, 6.0, 90.0)),
        (SlidingWindow(10, 60 * SECOND), (0, 0, 0), 11, (10, math.inf, 0.0)),
        (TokenBucket(10, SECOND, 20), (0, 0, 0), 20, (20, 0.0, 0.0)),
        (TokenBucket(10, SECOND, 20), (2 * SECOND, 0, 0), 1, (0, 0.1, 2.0)),
        (TokenBucket(10, SECOND, 20), (0, 0, 0), 21, (20, math.inf, 0.0)),
    ],
)
def test_readings(
    limit: Algorithm, report: tuple[int, int, int], cost: int, expected: tuple[int, float, float]
) -> None:
    assert limit.read(report, cost) == pytest.approx(expected)


def test_a_bucket_that_refills_for_a_lifetime_is_refused() -> None:
    with pytest.raises(ValueError, match="lower burst or raise limit"):
        TokenBucket(1, 86_400_000_000, 1_000_000_000)
