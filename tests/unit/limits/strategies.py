"""Limits for Hypothesis, from everyday to the edges of what the models accept."""

from hypothesis import strategies as st

from carnelian.limits._algorithms import EXACT, FixedWindow, SlidingWindow, TokenBucket

MILLISECOND, DAY = 1_000, 86_400_000_000
counts = st.one_of(st.integers(1, 20), st.integers(1, 1_000_000_000), st.sampled_from([1, 3, 7, 999_983, 10**9]))
periods = st.one_of(
    st.integers(1, 5_000).map(lambda ms: ms * MILLISECOND),
    st.integers(1, 400 * 86_400_000).map(lambda ms: ms * MILLISECOND),
    st.sampled_from([MILLISECOND, 1_000_000, 60_000_000, 3_600_000_000, DAY, 7 * DAY, 9_999 * DAY]),
)


@st.composite
def buckets(draw: st.DrawFn) -> TokenBucket:
    limit, period = draw(counts), draw(periods)
    return TokenBucket(limit, period, min(draw(counts), EXACT * limit // period))


fixed_windows = st.builds(FixedWindow, counts, periods)
sliding_windows = st.builds(SlidingWindow, counts, periods)
limits = st.one_of(buckets(), fixed_windows, sliding_windows)
