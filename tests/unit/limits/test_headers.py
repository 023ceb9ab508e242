"""The response fields, to the letter."""

import math

import pytest

from carnelian.limits import Verdict
from carnelian.limits._headers import limit_headers, policy_item
from carnelian.policies import Stage

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("quota", "microseconds", "expected"),
    [
        (100, 60_000_000, '"api";q=100;w=60'),
        (5, 1_000_000, '"api";q=5;w=1'),
        (5, 500_000, '"api";q=5'),  # a window of half a second cannot be said
        (20, 1_666_667, '"api";q=20'),
    ],
)
def test_a_policy(quota: int, microseconds: int, expected: str) -> None:
    assert policy_item("api", quota, microseconds) == expected


def test_an_allowed_request_learns_what_is_left() -> None:
    headers = limit_headers(['"a";q=1', '"b";q=2'], "b", 3, allowed=True, retry_after=0.0, reset_after=1.2)
    assert headers == {"RateLimit-Policy": '"a";q=1, "b";q=2', "RateLimit": '"b";r=3;t=2'}


def test_a_refused_request_learns_one_moment_to_come_back() -> None:
    headers = limit_headers(['"a";q=1'], "a", 0, allowed=False, retry_after=0.25, reset_after=9.0)
    assert headers == {"RateLimit-Policy": '"a";q=1', "RateLimit": '"a";r=0;t=1', "Retry-After": "1"}


def test_never_is_not_a_number_of_seconds() -> None:
    headers = limit_headers(['"a";q=1'], "a", 1, allowed=False, retry_after=math.inf, reset_after=0.0)
    assert headers == {"RateLimit-Policy": '"a";q=1', "RateLimit": '"a";r=1'}


def _verdict(**fields: object) -> Verdict:
    return Verdict(**({"allowed": True, "limiter": "api", "stage": Stage.ENFORCE, "generation": 1} | fields))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        (_verdict(), {}),
        (_verdict(rule="a", limit=1, remaining=0, shadowed=True), {}),
        (_verdict(degraded=True), {}),
        (_verdict(allowed=False, degraded=True, retry_after=1.0), {"Retry-After": "1"}),
        (
            _verdict(rule="a", limit=1, remaining=0, reset_after=1.0, policies=('"a";q=1;w=1',)),
            {"RateLimit-Policy": '"a";q=1;w=1', "RateLimit": '"a";r=0;t=1'},
        ),
    ],
)
def test_a_verdicts_headers(verdict: Verdict, expected: dict[str, str]) -> None:
    assert verdict.headers() == expected


def test_a_verdict_is_its_answer_and_never_changes() -> None:
    assert _verdict()
    assert not _verdict(allowed=False)
    with pytest.raises(AttributeError):
        _verdict().allowed = False  # type: ignore[misc]


@pytest.mark.parametrize(
    ("verdict", "text"),
    [
        (_verdict(), "limiter 'api' allowed"),
        (_verdict(allowed=False, rule="a", retry_after=0.5), "limiter 'api' refused by rule 'a': retry after 0.500 s"),
        (_verdict(allowed=False), "limiter 'api' refused, because the data plane cannot be asked"),
    ],
)
def test_a_verdict_in_words(verdict: Verdict, text: str) -> None:
    assert str(verdict) == text
