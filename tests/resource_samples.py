"""For every kind, specs that together have every field, and a walk over a spec beside its schema."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

Json = dict[str, Any]
Path = tuple[str | int, ...]

_RESOURCES = {
    "requests": {"cpu": "100m", "memory": "64Mi", "ephemeral-storage": "1Gi"},
    "limits": {"cpu": "1", "memory": "128Mi", "ephemeral-storage": "1Gi"},
}
_TOLERATIONS = [
    {"key": "dedicated", "operator": "Equal", "value": "redis", "effect": "NoExecute", "tolerationSeconds": 5}
]
_PLACEMENT = {"nodeSelector": {"disk": "ssd"}, "tolerations": _TOLERATIONS}
_REF = {"clusterRef": {"name": "shop"}}
_ENCRYPTION = {"secretName": "keys", "rewrap": "Lazy"}

_REDIS_CLUSTER: Json = {
    "engine": "Valkey",
    "version": "9.1",
    "image": "docker.io/valkey/valkey:9.1",
    "imagePullPolicy": "IfNotPresent",
    "mode": "Replication",
    "replicas": 2,
    "sentinel": {"replicas": 3, "detectionMilliseconds": 2000, "resources": _RESOURCES},
    "profile": "Durable",
    "storage": {"size": "2Gi", "className": "fast"},
    "resources": _RESOURCES,
    "deletionPolicy": "Retain",
    **_PLACEMENT,
}
_RATE_LIMIT_RULE: Json = {
    **_REF,
    "stage": "Canary",
    "canaryPercent": 10,
    "onUnavailable": "Allow",
    "rules": [
        {
            "name": "per-user",
            "algorithm": "TokenBucket",
            "limit": 10,
            "period": "1s",
            "burst": 20,
            "key": ["user"],
            "match": [{"attribute": "plan", "values": ["free"]}],
        }
    ],
}
_CACHE_POLICY: Json = {
    **_REF,
    "stage": "Canary",
    "canaryPercent": 10,
    "ttl": "5m",
    "ttlJitterPercent": 10,
    "negativeTtl": "30s",
    "stale": {"whileRevalidate": "1m", "onError": "1h", "retryAfter": "30s"},
    "loader": {"softTimeout": "1s", "hardTimeout": "10s", "lateResult": "Keep"},
    "refresh": {"mode": "XFetch", "betaPercent": 100, "thresholdPercent": 80},
    "coalesce": {"scope": "Fleet", "waitFor": "2s"},
    "near": {"mode": "Invalidate", "maxEntries": 100, "maxBytes": "1Mi", "maxTtl": "1m"},
    "compression": {"algorithm": "Zstd", "minBytes": "1Ki", "level": 3},
    "encryption": _ENCRYPTION,
    "maxValueBytes": "1Mi",
    "budgetBytes": "1Gi",
    "tags": "Enabled",
    "generation": 1,
    "keys": {"version": "v1", "hashOver": 200},
    "writes": {"pattern": "WriteBehind", "maxDelay": "1s", "maxBatch": 10, "maxPending": 100},
    "breaker": {"failures": 5, "openFor": "5s"},
    "onUnavailable": "Bypass",
    "http": {"statuses": [200], "vary": ["Accept-Language"], "ignoredQuery": ["utm_source"]},
    "llm": {"scope": "Tenant", "ignoredParameters": ["user"], "similarityPercent": 97},
    "context": {"maxTokens": 1000, "idle": "24h"},
}
_SESSION_STORE: Json = {
    **_REF,
    "idle": "30m",
    "absolute": "12h",
    "touchEvery": "1m",
    "maxPerPrincipal": 5,
    "onExceed": "Reject",
    "rotateOn": "PrincipalChange",
    "merge": "PerField",
    "maxBytes": "64Ki",
    "tombstoneFor": "1h",
    "encryption": _ENCRYPTION,
    "durability": "Async",
    "events": "Stream",
    "eventsRetention": "1d",
    "suspicion": {"userAgentChange": "Report", "addressChange": "Ignore"},
    "cookie": {"name": "session", "domain": "example.org", "path": "/", "sameSite": "Lax", "secure": "Always"},
    "onUnavailable": "Fail",
}
_JOB_QUEUE: Json = {
    **_REF,
    "state": "Active",
    "durability": "Replicated",
    "partitions": 1,
    "priorities": {
        "mode": "Weighted",
        "classes": [{"name": "high", "weight": 3}, {"name": "normal", "weight": 1}],
        "fallback": "normal",
    },
    "timeout": "5m",
    "lease": "30s",
    "retry": {
        "attempts": 5,
        "backoff": "Exponential",
        "base": "1s",
        "ceiling": "10m",
        "jitterPercent": 50,
        "exceptions": [{"exception": "ConnectionError", "action": "Retry", "attempts": 9}],
    },
    "deadLetters": {"maxDeliveries": 3, "retention": "14d", "maxJobs": 1000},
    "retention": {"results": "1h", "history": 10},
    "limits": {
        "rate": {"limit": 10, "period": "1s"},
        "maxInFlight": 5,
        "perKey": [{"attribute": "tenant_id", "maxInFlight": 2}],
        "fairBy": "tenant_id",
    },
    "backlog": {"maxJobs": 100, "onFull": "Reject", "maxPayloadBytes": "256Ki"},
    "deduplication": {"mode": "Drop", "window": "5m"},
    "encryption": _ENCRYPTION,
    "schedules": [
        {
            "name": "nightly",
            "task": "report",
            "cron": "0 9 * * mon-fri",
            "timeZone": "Europe/Paris",
            "arguments": [{"name": "kind", "value": "daily"}],
            "priority": "high",
            "jitter": "10s",
            "missed": "RunOnce",
            "overlap": "Skip",
            "state": "Active",
        },
        {"name": "often", "task": "poll", "every": "30s"},
    ],
    "workers": {
        "template": {
            "image": "registry.example.org/shop:1.4",
            "imagePullPolicy": "IfNotPresent",
            "module": "shop.jobs:queue",
            "serviceAccountName": "mail",
            "env": [{"name": "LEVEL", "value": "info"}],
            "envFromSecrets": ["mail"],
            "resources": _RESOURCES,
            **_PLACEMENT,
        },
        "min": 0,
        "max": 10,
        "slotsPerPod": 16,
        "scaling": {
            "latencyTarget": "5s",
            "drainTarget": "1m",
            "stabilize": "1m",
            "scaleToZeroAfter": "2m",
            "wakeBurst": 1,
            "lookAhead": "30s",
        },
        "drain": {"maxDuration": "30m", "strategy": "LeastBusy"},
    },
}
_OWN_WORKERS: Json = {**_REF, "workers": {"workloadRef": {"kind": "Deployment", "name": "mail"}}}

SAMPLES: dict[str, list[Json]] = {
    "RedisCluster": [_REDIS_CLUSTER],
    "RateLimitRule": [_RATE_LIMIT_RULE],
    "CachePolicy": [_CACHE_POLICY],
    "SessionStore": [_SESSION_STORE],
    "JobQueue": [_JOB_QUEUE, _OWN_WORKERS],
}


def leaves(schema: Json, value: Any, path: Path = ()) -> Iterator[tuple[Path, Json]]:
    """Path and schema of every scalar in `value`."""
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        for key, child in value.items():
            yield from leaves(properties.get(key, schema.get("additionalProperties")), child, (*path, key))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from leaves(schema["items"], child, (*path, index))
    else:
        yield path, schema


def objects(schema: Json, value: Any, path: Path = ()) -> Iterator[Path]:
    """Path of every object in `value` that has named fields."""
    if isinstance(value, dict) and "properties" in schema:
        yield path
        for key, child in value.items():
            yield from objects(schema["properties"][key], child, (*path, key))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from objects(schema["items"], child, (*path, index))


def replaced(value: Any, path: Path, new: Any) -> Any:
    """A copy of `value` with `new` at `path`."""
    changed = deepcopy(value)
    place = changed
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = new
    return changed


def dotted(path: Path) -> str:
    """The path as the API server writes it."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in ("spec", *path)).lstrip(".")
