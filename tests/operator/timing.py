"""Times that are short enough for tests, and in the same order as the real ones."""

from carnelian_operator.runtime import election, watching

LEASE_TIMES = election.Timing(duration=4, renew_deadline=2.5, retry=0.4)
WATCH_TIMES = watching.Timing(server=2, inactivity=3.0, connect=1.0, silent=5.0)
