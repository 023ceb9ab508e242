"""Which Events are worth a write."""

from typing import Any

from carnelian_operator.runtime.events import EventPolicy

OBJECT = {
    "apiVersion": "carnelian.dev/v1alpha1",
    "kind": "RedisCluster",
    "metadata": {"name": "shop", "namespace": "n", "uid": "u", "resourceVersion": "7"},
}


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def policy(clock: Clock) -> EventPolicy:
    return EventPolicy(instance="me", clock=clock)


def draft(events: EventPolicy, note: str = "n") -> Any:
    return events.draft(OBJECT, reason="Promoted", note=note, action="Failover", warning=False)


def test_the_same_again_is_only_counted_for_a_while_and_then_a_series() -> None:
    clock = Clock()
    events = policy(clock)
    first = draft(events)
    assert [draft(events) for _ in range(5)] == [None] * 5
    clock.now += 301
    again = draft(events)
    assert again.manifest["metadata"] == first.manifest["metadata"]
    assert again.series["count"] == 7


def test_the_name_is_the_same_after_a_restart_and_another_for_another_note() -> None:
    one, two = policy(Clock()), policy(Clock())
    assert draft(one).manifest["metadata"] == draft(two).manifest["metadata"]
    assert draft(one, "m").manifest["metadata"] != draft(two, "o").manifest["metadata"]


def test_one_object_cannot_post_without_end() -> None:
    clock = Clock()
    events = policy(clock)
    assert sum(draft(events, f"note {number}") is not None for number in range(100)) == 25
    clock.now += 601
    assert sum(draft(events, f"later {number}") is not None for number in range(100)) == 2


def test_long_notes_are_cut_to_what_the_server_takes() -> None:
    assert len(draft(policy(Clock()), "é" * 2000).manifest["note"].encode()) <= 1024
