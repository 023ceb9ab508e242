"""What a real API server accepts and refuses, by the definitions alone."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from carnelian_operator.api.base import GROUP
from carnelian_operator.api.resources import RESOURCES
from carnelian_operator.crdgen.definition import definition
from carnelian_operator.crdgen.schema import INT_OR_STRING, structural
from carnelian_operator.rediscluster.plan.children import differs
from carnelian_operator.runtime.api import Kind, KubeError
from carnelian_operator.runtime.kubeclient import KubeClient, path_of
from tests.operator.conftest import client
from tests.operator.waiting import until
from tests.resource_samples import SAMPLES, dotted, leaves, objects, replaced

ROOT = Path(__file__).parents[2]
BY_KIND = {resource.kind.kind: resource for resource in RESOURCES}
SCHEMAS = {kind: structural(resource.spec) for kind, resource in BY_KIND.items()}
NAMESPACE = "default"  # nothing is stored but in the tests of changes, which clean up
_CRD = Kind("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions")
_STRICT = [("dryRun", "All"), ("fieldValidation", "Strict")]

Json = dict[str, Any]


@pytest.fixture(scope="module")
def served(kubeconfig: Path) -> Iterator[Path]:
    """The API server, once it serves our kinds as they are generated now; what was installed for it goes afterwards."""
    created = asyncio.run(install(kubeconfig))
    yield kubeconfig
    asyncio.run(uninstall(kubeconfig, created))


async def install(kubeconfig: Path) -> list[Json]:
    """Create the definitions that are missing, and answer with them. Those of a release are left as they are."""
    created = []
    async with client(kubeconfig) as kube:
        for resource in RESOURCES:
            manifest = definition(resource)
            present = await kube.get(_CRD, "", manifest["metadata"]["name"])
            if present is None:
                created.append(await kube.request("POST", _CRD, path_of(_CRD), body=manifest))
            elif differs(manifest["spec"]["versions"], present["spec"]["versions"]):
                pytest.skip(f"the cluster has another version of {manifest['metadata']['name']}; upgrade it first")
        for resource in RESOURCES:
            await until(f"{resource.kind.kind} is validated", partial(validates, kube, resource.kind))
    return created


async def uninstall(kubeconfig: Path, created: list[Json]) -> None:
    """Delete what `install` created, unless somebody has come to use it."""
    async with client(kubeconfig) as kube:
        for manifest in created:
            kind = BY_KIND[manifest["spec"]["names"]["kind"]].kind
            listed = await kube.request("GET", kind, path_of(kind), verb="list")
            if all(item["metadata"].get("deletionTimestamp") for item in listed["items"]):
                await kube.delete(_CRD, "", manifest["metadata"]["name"], manifest["metadata"]["uid"])


@pytest.fixture
async def api(served: Path) -> AsyncIterator[KubeClient]:
    """A client of a server that serves our kinds."""
    async with client(served) as kube:
        yield kube


async def validates(kube: KubeClient, kind: Kind) -> bool:
    """Whether the served schema is the generated one."""
    try:
        await send(kube, kind.kind, SAMPLES[kind.kind][0])
    except KubeError as error:
        if error.status in (400, 404, 422):
            return False
        raise
    return True


async def send(kube: KubeClient, kind: str, spec: Any, *, name: str = "sample", strict: bool = True) -> Json:
    """Create, as a dry run."""
    target = BY_KIND[kind].kind
    manifest = {"apiVersion": target.api_version, "kind": kind, "metadata": {"name": name}, "spec": spec}
    query = _STRICT if strict else [("dryRun", "All"), ("fieldValidation", "Ignore")]
    return await kube.request("POST", target, path_of(target, NAMESPACE), query=query, body=manifest)


async def complaint(kube: KubeClient, kind: str, spec: Any, **how: Any) -> str:
    """What the server says against it; empty when it is accepted."""
    try:
        await send(kube, kind, spec, **how)
    except KubeError as error:
        return error.message
    return ""


def manifests() -> Iterator[Any]:
    """Every manifest of ours in the examples and the pages."""
    for path in sorted([*ROOT.glob("examples/**/*.yaml"), *ROOT.glob("docs/**/*.md"), ROOT / "README.md"]):
        text = path.read_text(encoding="utf-8")
        blocks = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL) if path.suffix == ".md" else [text]
        for block in blocks:
            if f"apiVersion: {GROUP}/" in block:
                for number, document in enumerate(yaml.safe_load_all(block)):
                    if str(document.get("apiVersion", "")).startswith(f"{GROUP}/"):
                        yield pytest.param(document, id=f"{path.relative_to(ROOT)}-{document['kind']}-{number}")


@pytest.mark.parametrize("document", [*manifests()])
async def test_every_example_is_accepted(api: KubeClient, document: Json) -> None:
    await send(api, document["kind"], document["spec"], name=document["metadata"]["name"])


@pytest.mark.parametrize("kind", SAMPLES)
async def test_a_spec_with_every_field_is_accepted(api: KubeClient, kind: str) -> None:
    for spec in SAMPLES[kind]:
        stored = await send(api, kind, spec)
        assert BY_KIND[kind].spec.model_validate(stored["spec"]) == BY_KIND[kind].spec.model_validate(spec)


@pytest.mark.parametrize("kind", SAMPLES)
async def test_the_server_adds_the_defaults_that_the_models_have(api: KubeClient, kind: str) -> None:
    least: Json = {"clusterRef": {"name": "shop"}}
    if kind == "RedisCluster":
        least = {}
    elif kind == "RateLimitRule":
        least["rules"] = [{"name": "all", "limit": 1}]
    stored = await send(api, kind, least)
    model = BY_KIND[kind].spec
    assert model.model_validate(stored["spec"]) == model.model_validate(least)
    assert stored["spec"].keys() >= {
        name for name, node in SCHEMAS[kind]["properties"].items() if node.get("default") is not None
    }


BAD: list[tuple[str, Json, list[str]]] = [
    ("RedisCluster", {"version": "7.0"}, ["spec.version", "version 7.0 is not supported for engine Valkey", "9.1"]),
    (
        "RedisCluster",
        {"engine": "Redis", "version": "9.1"},
        ["spec.version", "engine Redis", "use one of 7.2, 7.4, 8.0"],
    ),
    ("RedisCluster", {"version": "latest"}, ["spec.version", "a major and a minor number, like 9.1"]),
    ("RedisCluster", {"version": "9.1.2"}, ["spec.version", "like 9.1", "use one of 8.0, 8.1, 9.0, 9.1"]),
    ("RedisCluster", {"version": 9.1}, ["spec.version", "must be of type string"]),
    ("RedisCluster", {"engine": "KeyDB"}, ["spec.engine", 'supported values: "Valkey", "Redis"']),
    ("RedisCluster", {"sentinel": {"replicas": 4}}, ["spec.sentinel.replicas", "must be odd", "use 3, 5, 7 or 9"]),
    ("RedisCluster", {"sentinel": {"replicas": 1}}, ["spec.sentinel.replicas", "greater than or equal to 3"]),
    ("RedisCluster", {"replicas": 0}, ["spec.replicas", "at least 1 in mode Replication", "set mode Standalone"]),
    ("RedisCluster", {"replicas": -1}, ["spec.replicas", "greater than or equal to 0"]),
    (
        "RedisCluster",
        {"mode": "Standalone", "replicas": 1},
        ["spec.replicas", "must be 0 in mode Standalone", "spec.sentinel", "remove sentinel, or set mode Replication"],
    ),
    ("RedisCluster", {"storage": {"size": "-1Gi"}}, ["spec.storage.size", "a number of bytes above zero, like 512Mi"]),
    ("RedisCluster", {"storage": {"size": 0}}, ["spec.storage.size", "a number of bytes above zero, like 512Mi"]),
    ("RedisCluster", {"storage": {"size": -1}}, ["spec.storage.size", "a number of bytes above zero, like 512Mi"]),
    ("RedisCluster", {"storage": {}}, ["spec.storage.size", "Required value"]),
    (
        "RedisCluster",
        {"resources": {"requests": {"memory": "2Gi"}, "limits": {"memory": "1Gi"}}},
        ["spec.resources.requests", "requests.memory is above limits.memory", "lower the request, or raise the limit"],
    ),
    ("RedisCluster", {"nodeSelector": {"a\nb": "c"}}, ["spec.nodeSelector", "must be a label key like"]),
    ("RedisCluster", {"nodeSelector": {"a": 'c"'}}, ["spec.nodeSelector", "must be a label value"]),
    ("RedisCluster", {"tolerations": [{"operator": "Equal"}]}, ["spec.tolerations[0]", "set operator Exists"]),
    ("RateLimitRule", {"clusterRef": None}, ["spec.clusterRef", "null"]),
    ("RateLimitRule", {"rules": []}, ["spec.rules", "at least 1 items"]),
    ("RateLimitRule", {"stage": "Enforce"}, ["spec.canaryPercent", "belongs to stage Canary: set both, or neither"]),
    (
        "RateLimitRule",
        {"rules": [{"name": "a", "limit": 1}, {"name": "a", "limit": 2}]},
        ["spec.rules[1]", "Duplicate value"],
    ),
    (
        "RateLimitRule",
        {"rules": [{"name": "a", "limit": 1, "burst": 2, "algorithm": "FixedWindow"}]},
        ["spec.rules[0].burst", "remove burst, or set algorithm to TokenBucket"],
    ),
    ("RateLimitRule", {"rules": [{"name": "a", "limit": 0}]}, ["spec.rules[0].limit", "greater than or equal to 1"]),
    ("RateLimitRule", {"rules": [{"name": "a", "limit": 1, "period": "0s"}]}, ["spec.rules[0].period", "1m30s"]),
    ("RateLimitRule", {"rules": [{"name": "a", "limit": 1, "period": "5 min"}]}, ["spec.rules[0].period", "1m30s"]),
    ("CachePolicy", {"negativeTtl": "6m"}, ["spec.negativeTtl", "lower negativeTtl, or raise ttl"]),
    ("CachePolicy", {"ttl": "1d", "negativeTtl": "25h"}, ["spec.negativeTtl", "lower negativeTtl"]),
    ("CachePolicy", {"loader": {"softTimeout": "11s"}}, ["spec.loader.softTimeout", "raise hardTimeout"]),
    ("CachePolicy", {"stage": "Enforce"}, ["spec.canaryPercent", "set both, or neither"]),
    ("SessionStore", {"idle": "13h"}, ["spec.idle", "lower idle, or raise absolute"]),
    ("SessionStore", {"touchEvery": "1h"}, ["spec.touchEvery", "lower touchEvery"]),
    ("SessionStore", {"maxPerPrincipal": None}, ["spec.maxPerPrincipal"]),
    (
        "SessionStore",
        {"cookie": {"sameSite": "None", "secure": "WhenHttps"}},
        ["spec.cookie.secure", "set secure Always"],
    ),
    ("SessionStore", {"cookie": {"name": "__Host-a", "path": "/app"}}, ["spec.cookie.name", "only path /"]),
    ("JobQueue", {"priorities": {"fallback": "none"}}, ["spec.priorities.fallback", "add the class"]),
    ("JobQueue", {"priorities": {"mode": "Weighted"}}, ["spec.priorities.classes", "give every class a weight"]),
    ("JobQueue", {"retry": {"base": "11m"}}, ["spec.retry.base", "raise ceiling"]),
    ("JobQueue", {"schedules": [{"name": "a", "task": "t"}]}, ["spec.schedules[0].cron", "set exactly one of them"]),
    (
        "JobQueue",
        {"schedules": [{"name": "a", "task": "t", "every": "1m", "timeZone": "UTC"}]},
        ["spec.schedules[0].timeZone", "remove timeZone"],
    ),
    (
        "JobQueue",
        {"schedules": [{"name": "a", "task": "t", "every": "1m", "priority": "none"}]},
        ["spec.schedules", "must name one of priorities.classes"],
    ),
    (
        "JobQueue",
        {"schedules": [{"name": "a", "task": "t", "cron": "soon"}]},
        ["spec.schedules[0].cron", "five fields"],
    ),
    ("JobQueue", {"workers": {}}, ["spec.workers", "exactly one of workloadRef and template"]),
    (
        "JobQueue",
        {"workers": {"workloadRef": {"name": "w"}, "min": 5, "max": 2}},
        ["spec.workers.min", "lower min, or raise max"],
    ),
    (
        "JobQueue",
        {"workers": {"workloadRef": {"name": "w"}, "max": 2, "scaling": {"wakeBurst": 3}}},
        ["spec.workers.scaling.wakeBurst", "lower wakeBurst"],
    ),
]


@pytest.mark.parametrize(("kind", "change", "named"), BAD)
async def test_bad_input_is_refused_with_the_field_and_the_remedy(
    api: KubeClient, kind: str, change: Json, named: list[str]
) -> None:
    said = await complaint(api, kind, {**SAMPLES[kind][0], **change})
    for part in named:
        assert part in said, said


@pytest.mark.parametrize("hostile", ['x\nconfig set dir "/"', 'x"y', "x'y", "x\x00y", "x`y", "x\\y", "x" * 2000])
@pytest.mark.parametrize("kind", SAMPLES)
async def test_hostile_text_is_refused_in_every_field(api: KubeClient, kind: str, hostile: str) -> None:
    for spec in SAMPLES[kind]:
        for path, node in leaves(SCHEMAS[kind], spec):
            if node.get("type") == "string" or INT_OR_STRING in node:
                said = await complaint(api, kind, replaced(spec, path, hostile))
                assert dotted(path) in said, f"{dotted(path)}: {said or 'accepted'}"


@pytest.mark.parametrize("kind", SAMPLES)
async def test_numbers_out_of_bounds_are_refused_in_every_field(api: KubeClient, kind: str) -> None:
    for spec in SAMPLES[kind]:
        for path, node in leaves(SCHEMAS[kind], spec):
            bad = [-1, 0] if INT_OR_STRING in node else []
            if node.get("type") == "integer":
                bad = [node["minimum"] - 1, node["maximum"] + 1, -(2**40)]
            for number in bad:
                said = await complaint(api, kind, replaced(spec, path, number))
                assert dotted(path) in said, f"{dotted(path)} = {number}: {said or 'accepted'}"


@pytest.mark.parametrize("kind", SAMPLES)
async def test_an_unknown_field_is_refused_by_name_and_never_stored(api: KubeClient, kind: str) -> None:
    for spec in SAMPLES[kind]:
        for path in objects(SCHEMAS[kind], spec):
            with_typo = replaced(spec, (*path, "typo"), "x")
            assert f'unknown field "{dotted((*path, "typo"))}"' in await complaint(api, kind, with_typo)
        lax = await send(api, kind, {**spec, "typo": "x"}, strict=False)
        assert "typo" not in lax["spec"]


@pytest.mark.parametrize(
    ("kind", "name", "remedy"),
    [
        ("RedisCluster", "a" * 41, "must be at most 40 characters"),
        ("RedisCluster", "a.b", "starting with a letter"),
        ("RedisCluster", "1a", "starting with a letter"),
        ("RateLimitRule", "a.b", "without dots"),
        ("RateLimitRule", "a" * 64, "must be at most 63 characters"),
    ],
)
async def test_a_name_that_others_cannot_be_derived_from_is_refused(
    api: KubeClient, kind: str, name: str, remedy: str
) -> None:
    said = await complaint(api, kind, SAMPLES[kind][0], name=name)
    assert f"metadata.name {name}" in said
    assert remedy in said


CHANGES: list[tuple[str, Json, list[str]]] = [
    ("RedisCluster", {"engine": "Redis", "version": "8.0"}, ["spec.engine", "create a new RedisCluster"]),
    (
        "RedisCluster",
        {"mode": "Standalone", "replicas": 0, "sentinel": None},
        ["spec.mode", "create a new RedisCluster"],
    ),
    ("RedisCluster", {"storage": {"size": "1Gi"}}, ["spec.storage.size", "cannot shrink from 2Gi to 1Gi", "only grow"]),
    ("RedisCluster", {"storage": {"className": "slow"}}, ["spec.storage.className", "create a new RedisCluster"]),
    ("RedisCluster", {"storage": {"className": None}}, ["spec.storage.className", "create a new RedisCluster"]),
    ("RedisCluster", {"storage": None}, ["spec.storage", "cannot be added or removed"]),
    (
        "RateLimitRule",
        {"clusterRef": {"name": "other"}},
        ["spec.clusterRef", "delete this resource and create it anew"],
    ),
    ("CachePolicy", {"clusterRef": {"name": "other"}}, ["spec.clusterRef", "delete this resource and create it anew"]),
    ("SessionStore", {"clusterRef": {"name": "other"}}, ["spec.clusterRef", "delete this resource and create it anew"]),
    ("JobQueue", {"clusterRef": {"name": "other"}}, ["spec.clusterRef", "delete this resource and create it anew"]),
    ("JobQueue", {"partitions": 2}, ["spec.partitions", "create a new JobQueue"]),
    ("RedisCluster", {"storage": {"size": "4096Mi"}, "version": "9.0", "replicas": 1}, []),
    ("RateLimitRule", {"stage": "Off", "canaryPercent": None, "rules": [{"name": "other", "limit": 1}]}, []),
]


@pytest.mark.parametrize(("kind", "change", "named"), CHANGES)
async def test_changes_are_refused_where_they_cannot_be_carried_out(
    api: KubeClient, namespace: str, kind: str, change: Json, named: list[str]
) -> None:
    target = BY_KIND[kind].kind
    manifest = {
        "apiVersion": target.api_version,
        "kind": kind,
        "metadata": {"name": "sample"},
        "spec": SAMPLES[kind][0],
    }
    created = await api.request("POST", target, path_of(target, namespace), body=manifest)
    assert created["metadata"]["generation"] == 1
    stored = await api.get(target, namespace, "sample")
    assert stored is not None
    assert stored["status"] == {"observedGeneration": -1}
    path, said = path_of(target, namespace, "sample"), ""
    try:
        await api.request(
            "PATCH", target, path, query=_STRICT, body={"spec": change}, content_type="application/merge-patch+json"
        )
    except KubeError as error:
        said = error.message
    await api.delete(target, namespace, "sample", created["metadata"]["uid"])
    assert bool(said) == bool(named), said
    for part in named:
        assert part in said, said


async def test_short_names_clash_with_nothing_that_the_server_has(api: KubeClient) -> None:
    groups = await api.request("GET", _CRD, "/apis")
    roots = ["/api/v1", *(f"/apis/{group['preferredVersion']['groupVersion']}" for group in groups["groups"])]
    taken: dict[str, str] = {}
    for root in roots:
        listing = await api.request("GET", _CRD, root)
        if f"/{GROUP}/" in f"{root}/":
            ours = {short: each["name"] for each in listing["resources"] for short in each.get("shortNames", ())}
            continue
        for each in listing["resources"]:
            taken |= dict.fromkeys([each["name"], each["singularName"], *each.get("shortNames", ())], each["name"])
    assert set(ours.values()) == {resource.kind.plural for resource in RESOURCES}
    assert not ours.keys() & taken.keys()
