"""The cache: lists, late events, successors of the same name."""

import asyncio
from typing import Any

from carnelian_operator.runtime.api import Kind
from carnelian_operator.runtime.cache import ObjectCache
from carnelian_operator.runtime.settling import Written, caught_up

KIND = Kind("", "v1", "ConfigMap", "configmaps")


def obj(name: str, version: int, *, uid: str = "u", namespace: str = "n", **labels: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace, "uid": uid, "resourceVersion": str(version), "labels": labels}
    return {"metadata": metadata}


def names(cache: ObjectCache, namespace: str = "n", **labels: str) -> list[str]:
    return [each["metadata"]["name"] for each in cache.list(KIND, namespace, labels)]


def version(cache: ObjectCache, name: str) -> str | None:
    found = cache.get(KIND, "n", name)
    return found["metadata"]["resourceVersion"] if found else None


def test_lists_are_by_namespace_and_labels_in_order_of_names() -> None:
    cache = ObjectCache()
    for each in (obj("b", 1, a="1", b="2"), obj("a", 2, a="1"), obj("c", 3, namespace="m", a="1")):
        assert cache.put(KIND, each)
    assert names(cache) == ["a", "b"]
    assert names(cache, a="1", b="2") == ["b"]
    assert names(cache, b="3") == []
    assert names(cache, "m") == ["c"]
    assert cache.count(KIND) == 3


def test_what_nobody_reads_is_not_kept_and_the_kind_is_put_back() -> None:
    cache = ObjectCache()
    noisy = obj("a", 1)
    noisy["metadata"]["managedFields"] = [{"manager": "x"}]
    noisy["metadata"]["annotations"] = {"kubectl.kubernetes.io/last-applied-configuration": "{}"}
    cache.put(KIND, noisy)
    assert cache.get(KIND, "n", "a") == {"apiVersion": "v1", "kind": "ConfigMap", **obj("a", 1)}
    assert "managedFields" in noisy["metadata"]


def test_old_news_is_no_news() -> None:
    cache = ObjectCache()
    assert cache.put(KIND, obj("a", 5))
    assert not cache.put(KIND, obj("a", 5))
    assert not cache.put(KIND, obj("a", 4))
    assert version(cache, "a") == "5"
    assert cache.put(KIND, obj("a", 10))


def test_a_late_farewell_spares_the_successor() -> None:
    cache = ObjectCache()
    cache.put(KIND, obj("a", 1, uid="old"))
    cache.put(KIND, obj("a", 7, uid="new"))
    assert not cache.drop(KIND, obj("a", 6, uid="old"))
    assert version(cache, "a") == "7"
    assert cache.drop(KIND, obj("a", 8, uid="new"))
    assert not cache.drop(KIND, obj("a", 8, uid="new"))


def test_a_list_tells_what_is_new_changed_and_gone() -> None:
    cache = ObjectCache()
    for each in (obj("same", 1), obj("changed", 2), obj("gone", 3), obj("elsewhere", 4, namespace="m")):
        cache.put(KIND, each)
    touched = cache.replace(KIND, "n", [obj("same", 1), obj("changed", 8), obj("new", 9)], "10")
    assert sorted(each["metadata"]["name"] for each in touched) == ["changed", "gone", "new"]
    assert (names(cache), names(cache, "m")) == (["changed", "new", "same"], ["elsewhere"])


def test_a_late_event_does_not_bring_back_what_a_list_no_longer_had() -> None:
    cache = ObjectCache()
    cache.put(KIND, obj("a", 5), "n")
    cache.replace(KIND, "n", [], "9")
    assert not cache.put(KIND, obj("a", 6), "n")
    assert names(cache) == []
    assert cache.put(KIND, obj("a", 11, uid="new"), "n")


async def test_a_key_waits_until_its_own_writes_are_seen() -> None:
    cache = ObjectCache()
    cache.replace(KIND, "", [obj("kept", 3), obj("deleted", 4, uid="d")], "5")
    writes = [
        Written(KIND, "n", "kept", "u", 7),
        Written(KIND, "n", "deleted", "d", 0),
        Written(KIND, "n", "made-and-gone", "x", 6),
        Written(Kind("", "v1", "Pod", "pods"), "n", "not-watched", "y", 99),
    ]
    waiting = asyncio.create_task(caught_up(cache, writes))
    await asyncio.sleep(0)
    assert not waiting.done()
    cache.drop(KIND, obj("deleted", 6, uid="d"))
    await asyncio.sleep(0)
    assert not waiting.done()
    cache.put(KIND, obj("kept", 7))
    assert await asyncio.wait_for(waiting, 1)


async def test_what_is_never_seen_is_not_waited_for_for_ever() -> None:
    cache = ObjectCache()
    cache.replace(KIND, "", [], "5")
    assert not await caught_up(cache, [Written(KIND, "n", "unlabelled", "u", 7)])
