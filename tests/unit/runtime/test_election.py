"""Who leads: the state machine, with a clock of the test's own and a lease that stores like the API server."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from carnelian_operator.runtime.election import Claim, Election, Timing

TIMING = Timing(duration=15, renew_deadline=10, retry=2)
WALL = datetime(2026, 1, 1, tzinfo=UTC)


class Store:
    """One lease; a write with an old resource version is refused."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = None
        self.version = 0

    def write(self, claim: Claim) -> bool:
        current = self.lease["metadata"]["resourceVersion"] if self.lease else None
        if claim.verb == "create" and current is not None:
            return False
        if claim.verb == "update" and claim.manifest["metadata"]["resourceVersion"] != current:
            return False
        self.put(claim.manifest)
        return True

    def put(self, manifest: dict[str, Any]) -> None:
        self.version += 1
        metadata = {**manifest["metadata"], "uid": "u", "resourceVersion": str(self.version)}
        self.lease = {**manifest, "metadata": metadata}

    @property
    def spec(self) -> dict[str, Any]:
        assert self.lease is not None
        spec: dict[str, Any] = self.lease["spec"]
        return spec


def candidate(name: str) -> Election:
    return Election(name, "n", "lease", TIMING)


def attempt(election: Election, store: Store, now: float) -> bool:
    claim = election.consider(store.lease, now, WALL + timedelta(seconds=now))
    if claim is None:
        election.lost()
        return False
    if not store.write(claim):
        return False
    election.claimed(now)
    return True


def test_the_first_one_leads_and_renews() -> None:
    store, a = Store(), candidate("a")
    assert attempt(a, store, 0)
    assert attempt(a, store, 5)
    assert store.spec["leaseTransitions"] == 0
    assert store.spec["acquireTime"] == "2026-01-01T00:00:00.000000Z"
    assert store.spec["renewTime"] == "2026-01-01T00:00:05.000000Z"


def test_another_one_waits_for_the_whole_duration_since_it_saw_a_change() -> None:
    store, a, b = Store(), candidate("a"), candidate("b")
    attempt(a, store, 0)
    assert not attempt(b, store, 100)  # b's clock has nothing to do with a's
    assert not attempt(b, store, 114.9)
    assert attempt(b, store, 115)
    assert (store.spec["holderIdentity"], store.spec["leaseTransitions"]) == ("b", 1)


def test_a_renewed_lease_is_waited_for_anew() -> None:
    store, a, b = Store(), candidate("a"), candidate("b")
    attempt(a, store, 0)
    assert not attempt(b, store, 0)
    attempt(a, store, 10)
    assert not attempt(b, store, 15)
    assert not attempt(b, store, 24.9)
    assert attempt(b, store, 30)


def test_a_lease_that_was_given_back_is_free_at_once() -> None:
    store, a, b = Store(), candidate("a"), candidate("b")
    attempt(a, store, 0)
    assert not attempt(b, store, 1)
    assert store.lease is not None
    store.put(a.release(store.lease, WALL))
    assert attempt(b, store, 2)


def test_a_leader_that_cannot_renew_stops_well_before_the_lease_ends() -> None:
    store, a = Store(), candidate("a")
    attempt(a, store, 0)
    assert a.leads(9.9)
    assert a.stops_at() == 10
    assert not a.leads(10)


def test_of_two_that_want_it_at_once_one_gets_it() -> None:
    store, a, b = Store(), candidate("a"), candidate("b")
    first, second = a.consider(None, 0, WALL), b.consider(None, 0, WALL)
    assert first is not None
    assert second is not None
    assert [store.write(first), store.write(second)] == [True, False]


def test_a_former_leader_that_finds_another_one_knows_it() -> None:
    store, a, b = Store(), candidate("a"), candidate("b")
    attempt(a, store, 0)
    attempt(b, store, 0)
    attempt(b, store, 16)
    assert not attempt(a, store, 17)
    assert a.stops_at() is None


STEP = st.tuples(st.sampled_from("abc"), st.sampled_from(["try", "fail", "die"]), st.floats(0, 8, allow_nan=False))


@settings(max_examples=300, deadline=None)
@given(st.lists(STEP, max_size=60))
def test_never_two_lead_at_a_time_whatever_is_lost_and_whoever_restarts(steps: list[tuple[str, str, float]]) -> None:
    store, now = Store(), 0.0
    candidates = {name: candidate(name) for name in "abc"}
    for name, what, seconds in steps:
        now += seconds
        each = candidates[name]
        if what == "try":
            attempt(each, store, now)
        elif what == "fail":
            # The write is stored, but the answer is lost: we must not believe that we lead.
            claim = each.consider(store.lease, now, WALL)
            if claim is not None:
                store.write(claim)
        else:
            candidates[name] = Election(f"{name}{now}", "n", "lease", TIMING)
        assert sum(each.leads(now) for each in candidates.values()) <= 1
