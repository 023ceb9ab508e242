"""Pauses between attempts: doubling, capped, and spread so that a fleet does not come back as one."""

import random

from carnelian._link.target import Timing


def pause(timing: Timing, failures: int) -> float:
    """Seconds to wait after this many failures in a row (from 1)."""
    most = min(timing.retry_most, timing.retry * 2 ** min(failures - 1, 16))
    return random.uniform(most / 2, most)  # noqa: S311  (spreads load, guards nothing)
