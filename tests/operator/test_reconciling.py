"""From an event to a reconcile, against a real API server."""

import asyncio
from collections.abc import Sequence
from typing import Any

from carnelian_operator.runtime.api import Kind, Object
from carnelian_operator.runtime.kubeclient import KubeClient, path_of
from tests.operator.conftest import Start
from tests.operator.proxy import FaultProxy
from tests.operator.toys import CONFIG_MAP, MANAGED, SECRET, TOY, toy
from tests.operator.waiting import until


async def copies(kube: KubeClient, namespace: str, name: str) -> Sequence[Object]:
    return await kube.list(CONFIG_MAP, namespace, f"toy={name}")


async def has_copies(kube: KubeClient, namespace: str, name: str, count: int) -> bool:
    return len(await copies(kube, namespace, name)) == count


async def remove(kube: KubeClient, kind: Kind, namespace: str, name: str) -> None:
    found = await kube.get(kind, namespace, name)
    assert found is not None
    await kube.delete(kind, namespace, name, found["metadata"]["uid"])


async def test_what_was_there_before_and_what_is_made_changed_and_deleted_is_reconciled(
    kube: KubeClient, namespace: str, start: Start
) -> None:
    await kube.apply(TOY, toy(namespace, "old", 1))
    async with start() as running:
        await until("the toy of before has its copy", lambda: has_copies(kube, namespace, "old", 1))
        await kube.apply(TOY, toy(namespace, "new", 2))
        await until("the new toy has its copies", lambda: has_copies(kube, namespace, "new", 2))
        await kube.apply(TOY, toy(namespace, "new", 3))
        await until("the change was made", lambda: has_copies(kube, namespace, "new", 3))

        async def status() -> bool:
            found = await kube.get(TOY, namespace, "new")
            return found is not None and found.get("status") == {"copies": 3}

        await until("the status says so", status)
        await remove(kube, TOY, namespace, "new")
        await until("the copies are gone", lambda: has_copies(kube, namespace, "new", 0))
        await until("it is ready", running.ready)
        assert running.runtime.cache.get(TOY, namespace, "new") is None
        assert "managedFields" not in running.runtime.cache.get(TOY, namespace, "old")["metadata"]


async def test_a_deleted_or_changed_owned_object_wakes_its_owner(
    kube: KubeClient, namespace: str, start: Start
) -> None:
    async with start() as running:
        await kube.apply(TOY, toy(namespace, "shop", 2))
        await until("both copies are there", lambda: has_copies(kube, namespace, "shop", 2))
        await remove(kube, CONFIG_MAP, namespace, "shop-0")
        await until("the copy is back", lambda: has_copies(kube, namespace, "shop", 2))
        listed = running.runtime.cache.list
        await until("the cache has it", lambda: len(listed(CONFIG_MAP, namespace, {"toy": "shop"})) == 2)
        assert {each["kind"] for each in listed(CONFIG_MAP, namespace)} == {"ConfigMap"}


async def test_foreign_objects_are_never_seen(kube: KubeClient, namespace: str, start: Start) -> None:
    def named(kind: Kind, name: str, labels: dict[str, str]) -> dict[str, Any]:
        metadata = {"namespace": namespace, "name": name, "labels": labels}
        return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata}

    await kube.create(SECRET, named(SECRET, "foreign-before", {"toy": "shop"}))
    await kube.create(SECRET, named(SECRET, "ours-before", {"toy": "shop", **MANAGED}))
    async with start() as running:
        await kube.create(SECRET, named(SECRET, "foreign", {"toy": "shop"}))
        await kube.create(SECRET, named(SECRET, "ours", {"toy": "shop", **MANAGED}))

        def seen() -> list[str]:
            return [each["metadata"]["name"] for each in running.runtime.cache.list(SECRET, namespace)]

        await until("our secrets are seen", lambda: seen() == ["ours", "ours-before"])
        # Giving up the label takes an object out of sight.
        body = {"metadata": {"labels": {"app.kubernetes.io/managed-by": None}}}
        path = path_of(SECRET, namespace, "ours")
        await kube.request("PATCH", SECRET, path, body=body, content_type="application/merge-patch+json")
        await until("the released one is not ours any more", lambda: seen() == ["ours-before"])


async def test_steady_state_writes_nothing_and_leaves_no_trace_of_kopf(
    kube: KubeClient, namespace: str, start: Start, proxy: FaultProxy
) -> None:
    async with start(proxy.kubeconfig, resync=0.3):
        await kube.apply(TOY, toy(namespace, "still", 2))
        await until("it is done", lambda: len(proxy.writes) == 3)
        before = await kube.get(TOY, namespace, "still")
        await asyncio.sleep(3)  # ten resyncs, and each watch was resumed
        assert [f"{write.method} {write.path.rsplit('/', 1)[1]}" for write in proxy.writes] == [
            "PATCH still-0",
            "PATCH still-1",
            "PATCH status",
        ]
        after = await kube.get(TOY, namespace, "still")
        assert after == before
        assert after is not None
        assert "annotations" not in after["metadata"]
        assert "finalizers" not in after["metadata"]


async def test_a_failing_object_backs_off_and_does_not_hold_up_others(
    kube: KubeClient, namespace: str, start: Start
) -> None:
    async with start(workers=1) as running:
        broken = toy(namespace, "broken", 1)
        broken["spec"]["fail"] = True
        await kube.apply(TOY, broken)
        await until("it failed twice", lambda: sum(key.name == "broken" for _, key in running.toys.seen) >= 2)
        await kube.apply(TOY, toy(namespace, "good", 1))
        await until("the good one is done", lambda: has_copies(kube, namespace, "good", 1))
        await kube.apply(TOY, toy(namespace, "broken", 1))
        await until("the repaired one is done", lambda: has_copies(kube, namespace, "broken", 1))
        first, second, *_ = [when for when, key in running.toys.seen if key.name == "broken"]
        assert second - first > 0.35
