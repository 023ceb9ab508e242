"""What a benchmark prints, and in which order it measures."""

import json
from typing import Any

import pytest

from e2e.bench.harness import interleaved
from e2e.bench.report import Bar, Report

pytestmark = pytest.mark.unit


def test_bars_hold_in_their_own_direction() -> None:
    assert Bar.ratio_of("rate", 30, 10, "peer", bar=3, sense="at least").holds
    assert not Bar.ratio_of("rate", 29, 10, "peer", bar=3, sense="at least").holds
    assert Bar.ratio_of("time", 11, 10, "peer", bar=1.15, sense="at most").holds
    assert not Bar.ratio_of("time", 12, 10, "peer", bar=1.15, sense="at most").holds
    assert Bar.limit_of("connections", 2, 0, "peer", bar=2).holds
    assert not Bar.limit_of("connections", 3, 100, "peer", bar=2).holds


def test_the_json_has_the_promised_fields() -> None:
    report = Report("x", [Bar.limit_of("connections", 0, 0, "peer", bar=2)], {"peer": "1.0"})
    line = report.as_json()
    found = json.loads(line)
    assert "\n" not in line
    assert set(found) == {"bench", "bars", "versions", "load_average"}
    assert list(found["bars"][0]) == ["name", "ours", "peer", "peer_name", "ratio", "bar", "holds"]
    assert found["bars"][0]["ratio"] is None
    assert report.holds


async def test_rounds_begin_with_another_one_each_time() -> None:
    order: list[str] = []

    async def measure(one: Any) -> float:
        order.append(one)
        return float(len(order))

    contenders: dict[str, Any] = {"a": "a", "b": "b"}
    assert await interleaved(contenders, measure, rounds=3) == {"a": 4.0, "b": 3.0}
    assert order == ["a", "b", "b", "a", "a", "b"]
