"""The models: they read every sample, give back what they read, and refuse by themselves what is inconsistent."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

import carnelian_operator
from carnelian.policies import CachePolicy, QueuePolicy, RateLimitPolicy, SessionPolicy, seconds, size_bytes
from carnelian_operator.api.conditions import Condition, ConditionType, Reason, carry_over, condition
from carnelian_operator.api.jobqueue import JobQueueSpec
from carnelian_operator.api.ratelimitrule import RateLimitRuleSpec
from carnelian_operator.api.rediscluster import VERSIONS, Engine, RedisClusterSpec, RedisClusterStatus
from carnelian_operator.api.resources import RESOURCES
from carnelian_operator.engines.releases import RELEASES
from carnelian_operator.rediscluster.plan.events import Happening
from tests.resource_samples import SAMPLES, leaves, replaced

pytestmark = pytest.mark.unit

SOURCES = Path(carnelian_operator.__file__).parent
BY_KIND = {resource.kind.kind: resource for resource in RESOURCES}
EACH_SAMPLE = [(kind, spec) for kind, specs in SAMPLES.items() for spec in specs]


@pytest.mark.parametrize(("kind", "spec"), EACH_SAMPLE)
def test_a_spec_is_given_back_as_it_was_read(kind: str, spec: dict[str, Any]) -> None:
    model = BY_KIND[kind].spec
    once = model.model_validate(spec)
    dumped = once.model_dump(mode="json", by_alias=True, exclude_none=True)
    assert model.model_validate(dumped) == once
    assert dumped.items() >= {key: value for key, value in spec.items() if not isinstance(value, dict | list)}.items()


@pytest.mark.parametrize(
    ("kind", "policy"),
    [
        ("RateLimitRule", RateLimitPolicy),
        ("CachePolicy", CachePolicy),
        ("SessionStore", SessionPolicy),
        ("JobQueue", QueuePolicy),
    ],
)
def test_what_pods_receive_is_the_policy_alone(kind: str, policy: Any) -> None:
    for sample in SAMPLES[kind]:
        spec = BY_KIND[kind].spec.model_validate(sample)
        body = spec.document_body()  # type: ignore[attr-defined]
        assert not {"clusterRef", "workers"} & body.keys()
        assert policy.model_validate(body).body() == body


@pytest.mark.parametrize(
    ("kind", "change", "complaint"),
    [
        ("RedisCluster", {"version": "7.0"}, "use one of 8.0, 8.1, 9.0, 9.1"),
        ("RedisCluster", {"replicas": 0}, "replicas 0 does not fit mode Replication"),
        ("RedisCluster", {"sentinel": {"replicas": 4}}, "is even: use 3, 5, 7 or 9"),
        ("RedisCluster", {"unknown": 1}, "Extra inputs are not permitted"),
        ("RateLimitRule", {"canaryPercent": None}, "canaryPercent belongs to stage Canary"),
        ("RateLimitRule", {"rules": [{"name": "a", "limit": 1}, {"name": "a", "limit": 2}]}, "names must be unique"),
        ("RateLimitRule", {"rules": [{"name": "a", "limit": 1, "period": "soon"}]}, "period"),
        ("CachePolicy", {"negativeTtl": "6m"}, "lower it, or raise ttl"),
        ("CachePolicy", {"loader": {"softTimeout": "1h"}}, "loader.softTimeout 1h is longer"),
        ("SessionStore", {"idle": "1d"}, "idle 1d is longer than absolute 12h"),
        ("SessionStore", {"touchEvery": "31m"}, "touchEvery 31m is longer than idle 30m"),
        ("JobQueue", {"priorities": {"fallback": "none"}}, "must name one of the classes"),
        ("JobQueue", {"retry": {"base": "1d"}}, "retry.base 1d is longer"),
        ("JobQueue", {"schedules": [{"name": "a", "task": "t"}]}, "either cron or every"),
    ],
)
def test_the_models_refuse_by_themselves(kind: str, change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        BY_KIND[kind].spec.model_validate({**SAMPLES[kind][0], **change})
    assert complaint in str(refusal.value)


@pytest.mark.parametrize("hostile", ["a\nb", 'a"b', "a'b", "a\x00b", "a\n", "", "a\\b"])
def test_no_hostile_text_passes_a_model(hostile: str) -> None:
    from carnelian_operator.crdgen.schema import structural  # noqa: PLC0415

    for kind, spec in EACH_SAMPLE:
        model = BY_KIND[kind].spec
        for path, node in leaves(structural(model), spec):
            if node.get("type") == "string" or "x-kubernetes-int-or-string" in node:
                if hostile == "" and path[-1] in ("disk", "value"):
                    continue  # a label may have no value
                with pytest.raises(ValidationError):
                    model.model_validate(replaced(spec, path, hostile))


def test_a_cluster_knows_what_was_left_out() -> None:
    assert RedisClusterSpec().replica_count == 0
    assert RedisClusterSpec().sentinels is None
    assert RedisClusterSpec().engine_version == VERSIONS[Engine.VALKEY][-1]
    replicated = RedisClusterSpec.model_validate({"mode": "Replication", "engine": "Redis"})
    assert (replicated.replica_count, replicated.engine_version) == (2, VERSIONS[Engine.REDIS][-1])
    assert replicated.sentinels is not None
    assert replicated.sentinels.replicas == 3


def test_the_api_accepts_the_versions_that_are_served() -> None:
    assert {engine: tuple(r.version for r in releases) for engine, releases in RELEASES.items()} == dict(VERSIONS)


def test_quantities_may_be_numbers() -> None:
    spec = RedisClusterSpec.model_validate({"resources": {"limits": {"cpu": 2, "memory": 268435456}}})
    assert spec.resources.requirements() == {"limits": {"cpu": "2", "memory": "268435456"}}


@pytest.mark.parametrize(
    ("text", "length"), [("500ms", 0.5), ("1m30s", 90), ("7d", 604800), ("1d12h", 129600), ("1h1ms", 3600.001)]
)
def test_durations_have_a_length(text: str, length: float) -> None:
    assert seconds(text) == pytest.approx(length)


@pytest.mark.parametrize("text", ["", "1", "5 m", "1s1m", "-1s", "1y", "1m\n"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="write it like"):
        seconds(text)


def test_sizes_have_bytes() -> None:
    assert [size_bytes(text) for text in ("3", "1k", "1Ki", "2M", "4Gi")] == [3, 1000, 1024, 2_000_000, 4 * 1024**3]
    with pytest.raises(ValueError, match="write it like"):
        size_bytes("-1Gi")


def test_a_condition_keeps_its_time_while_its_status_stands() -> None:
    old = condition(ConditionType.READY, True, Reason.AVAILABLE, generation=1, now="2026-01-01T00:00:00Z")
    same = condition(ConditionType.READY, True, Reason.UPDATING, generation=2, now="2026-01-02T00:00:00Z")
    other = condition(
        ConditionType.READY, None, Reason.UNREACHABLE, "x" * 2000, generation=2, now="2026-01-03T00:00:00Z"
    )
    assert carry_over([old], [same])[0].last_transition_time == "2026-01-01T00:00:00Z"
    assert carry_over([old], [other])[0] == other
    assert (other.status, len(other.message)) == ("Unknown", 1024)
    assert Condition.model_validate(other.model_dump(by_alias=True)) == other


def test_a_status_of_another_version_can_be_read() -> None:
    status = RedisClusterStatus.model_validate({"observedGeneration": 3, "conditions": [], "later": {"field": 1}})
    assert status.observed_generation == 3
    assert RedisClusterStatus().dump() == {
        "observedGeneration": -1,
        "conditions": [],
        "nodes": [],
        "pendingRestarts": [],
    }


def test_words_of_the_api_are_documented_and_used() -> None:
    sources = [path for path in SOURCES.rglob("*.py") if path.name != "conditions.py"]
    code = "".join(path.read_text(encoding="utf-8") for path in sources)
    for word in (*ConditionType, *Reason, *Happening):
        assert f"{type(word).__name__}.{word.name}" in code, f"{word!r} is documented and never said"
        assert word.meaning.endswith("."), word
        assert word.value.isalpha(), word


def test_specs_cannot_be_changed_in_place() -> None:
    spec = RateLimitRuleSpec.model_validate(SAMPLES["RateLimitRule"][0])
    with pytest.raises(ValidationError):
        spec.stage = "Off"  # type: ignore[assignment,misc]
    assert JobQueueSpec.operator_only == {"cluster_ref", "workers"}
