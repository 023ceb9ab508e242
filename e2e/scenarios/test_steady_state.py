"""With nothing to do the operator writes nothing."""

import time

import pytest

from e2e.scenarios.quiet import LeftAlone

QUIET_SECONDS = 180


@pytest.mark.timeout(400)
def test_three_quiet_minutes_change_no_resource_version(left_alone: LeftAlone) -> None:
    """Other tests have used most of the three minutes; the rest is waited for, because the claim is about a span."""
    time.sleep(max(0.0, left_alone.since + QUIET_SECONDS - time.monotonic()))
    quiet = time.monotonic() - left_alone.since
    assert left_alone.now() == left_alone.versions, f"within {quiet:.0f} s"
    print(f"{len(left_alone.versions)} objects unchanged over {quiet:.0f} s")
