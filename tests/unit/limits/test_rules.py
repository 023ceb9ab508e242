"""Policies made ready: who meets whom at a key, what applies, and for whom a canary refuses."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carnelian.errors import PolicyError
from carnelian.limits._rules import CompiledPolicy, compile_policy, encode
from carnelian.policies import RateLimitPolicy

pytestmark = pytest.mark.unit


def compiled(*rules: dict[str, Any], limiter: str = "api", **fields: Any) -> CompiledPolicy:
    numbered = [{"name": f"r{index}", "limit": 5} | rule for index, rule in enumerate(rules)]
    return compile_policy(limiter, RateLimitPolicy.model_validate({"rules": numbered} | fields))


@pytest.mark.parametrize(
    ("rules", "attributes", "keys"),
    [
        ([{}], {}, ["carnelian:{api}:limit:api:r0:bucket1::"]),
        ([{"key": ["user"]}], {"user": "ada"}, ["carnelian:{ada}:limit:api:r0:bucket1:user:"]),
        ([{"key": ["user"]}], {"user": 42}, ["carnelian:{42}:limit:api:r0:bucket1:user:"]),
        ([{"key": ["user", "user"]}], {"user": "ada"}, ["carnelian:{ada}:limit:api:r0:bucket1:user:"]),
        (
            [{"key": ["org"]}, {"key": ["org", "user"], "algorithm": "FixedWindow"}],
            {"org": "acme", "user": "ada"},
            ["carnelian:{acme}:limit:api:r0:bucket1:org:", "carnelian:{acme}:limit:api:r1:fixed1:org.user:ada"],
        ),
        (
            [{"key": ["user"], "algorithm": "SlidingWindow"}, {"key": ["ip"]}],
            {"user": "a:b", "ip": ""},
            ["carnelian:{api}:limit:api:r0:sliding1:user:a%3Ab", "carnelian:{api}:limit:api:r1:bucket1:ip:%"],
        ),
        ([{"key": ["user"]}], {"user": "}{"}, ["carnelian:{%7D%7B}:limit:api:r0:bucket1:user:"]),
    ],
)
def test_keys(rules: list[dict[str, Any]], attributes: dict[str, Any], keys: list[str]) -> None:
    policy = compiled(*rules)
    tag, made = policy.keys(policy.select(attributes).rules, attributes)
    assert made == keys
    assert all(key.startswith(f"carnelian:{{{tag}}}") for key in keys)


values = st.one_of(
    st.text(max_size=12), st.text(min_size=120, max_size=140), st.sampled_from(["", "%", "%~", "\ud800"])
)


@given(st.lists(values, min_size=2, max_size=2, unique=True))
def test_different_values_never_share_a_part_of_a_key(pair: list[str]) -> None:
    first, second = map(encode, pair)
    assert first != second
    for part in (first, second):
        assert 0 < len(part) <= 1600
        assert not set(part) & set("{}:\0\r\n ")
        assert part.isascii()


def test_long_values_make_short_keys() -> None:
    assert len(encode("x" * 1_000_000)) == 42


@pytest.mark.parametrize(
    ("attributes", "applying"),
    [
        ({"route": "/search", "plan": "free"}, ["r0", "r1", "r2"]),
        ({"route": "/search", "plan": "pro"}, ["r0", "r1"]),
        ({"route": "/cart", "plan": "free"}, ["r0"]),
    ],
)
def test_a_rule_applies_when_all_its_conditions_hold(attributes: dict[str, Any], applying: list[str]) -> None:
    route = {"attribute": "route", "values": ["/search", "/find"]}
    plan = {"attribute": "plan", "values": ["free"]}
    policy = compiled({}, {"match": [route]}, {"match": [route, plan]})
    assert [rule.name for rule in policy.select(attributes).rules] == applying


@pytest.mark.parametrize(
    ("attributes", "complaint"),
    [
        ({}, "needs attribute 'user' as text or integer, got nothing (attributes passed: none)"),
        ({"ip": "::1"}, "got nothing (attributes passed: ip)"),
        ({"user": None}, "got nothing"),
        ({"user": 1.5}, "got float"),
        ({"user": b"ada"}, "got bytes"),
    ],
)
def test_a_missing_attribute_is_named_with_the_rule_and_the_remedy(attributes: Any, complaint: str) -> None:
    for policy in (compiled({"key": ["user"]}), compiled({"match": [{"attribute": "user", "values": ["ada"]}]})):
        with pytest.raises(PolicyError) as caught:
            policy.keys(policy.select(attributes).rules, attributes)
        assert complaint in str(caught.value)
        assert "limiter 'api', rule 'r0'" in str(caught.value)
        assert "pass user=…" in str(caught.value)


@pytest.mark.parametrize(
    ("rule", "complaint"),
    [
        ({"key": ["cost"]}, "rule 'r0': attribute 'cost' is reserved"),
        ({"match": [{"attribute": "cost", "values": ["1"]}]}, "attribute 'cost' is reserved"),
        ({"limit": 1, "period": "9999d", "burst": 10**9}, "rule 'r0': a burst of 1000000000 takes more than 70 years"),
    ],
)
def test_a_rule_that_cannot_be_carried_out_says_why(rule: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        compiled(rule)


@given(st.text(max_size=30), st.integers(1, 98))
def test_a_larger_canary_keeps_the_callers_of_a_smaller_one(user: str, percent: int) -> None:
    small = compiled({"key": ["user"]}, stage="Canary", canaryPercent=percent)
    large = compiled({"key": ["user"]}, stage="Canary", canaryPercent=percent + 1)
    assert small.enforces_for({"user": user}) == small.enforces_for({"user": user, "route": "/other"})
    if small.enforces_for({"user": user}):
        assert large.enforces_for({"user": user})


@pytest.mark.parametrize("percent", [1, 10, 50, 99])
def test_a_canary_is_its_share_of_callers(percent: int) -> None:
    policy = compiled({"key": ["user"]}, stage="Canary", canaryPercent=percent)
    share = sum(policy.enforces_for({"user": f"user-{number}"}) for number in range(20_000)) / 200
    assert share == pytest.approx(percent, abs=1.2)


@pytest.mark.parametrize(
    ("rules", "same", "other"),
    [
        ([{"key": ["org"]}, {"key": ["org", "user"]}], [{"org": "a", "user": "x"}, {"org": "a", "user": "y"}], "org"),
        (
            [{"key": ["user"]}, {"key": ["ip"]}],
            [{"user": "a", "ip": "1", "n": 1}, {"user": "a", "ip": "1", "n": 2}],
            "ip",
        ),
        ([{}], [{"n": 1}, {"n": 1}], "n"),
    ],
)
def test_who_a_canary_tells_apart(rules: list[dict[str, Any]], same: list[dict[str, Any]], other: str) -> None:
    policy = compiled(*rules, stage="Canary", canaryPercent=50)
    assert policy.enforces_for(same[0]) == policy.enforces_for(same[1])
    assert len({policy.enforces_for(same[0] | {other: f"other-{number}"}) for number in range(50)}) == 2
