"""The client against a real API server."""

import asyncio
import time

import pytest

from carnelian_operator.runtime.api import KubeError
from carnelian_operator.runtime.kubeclient import EVENT, KubeClient, path_of
from tests.operator.conftest import client
from tests.operator.proxy import Call, Fault, FaultProxy
from tests.operator.toys import CONFIG_MAP, TOY, toy


def config_map(namespace: str, name: str, **data: str) -> dict[str, object]:
    metadata = {"namespace": namespace, "name": name}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


async def test_apply_owns_what_it_states_and_takes_back_what_it_no_longer_states(
    kube: KubeClient, namespace: str
) -> None:
    await kube.apply(CONFIG_MAP, config_map(namespace, "a", one="1", two="2"))
    body = {"data": {"theirs": "3", "one": "changed"}}
    path = path_of(CONFIG_MAP, namespace, "a")
    await kube.request("PATCH", CONFIG_MAP, path, body=body, content_type="application/merge-patch+json")
    applied = await kube.apply(CONFIG_MAP, config_map(namespace, "a", one="1"))
    assert applied["data"] == {"one": "1", "theirs": "3"}
    again = await kube.apply(CONFIG_MAP, config_map(namespace, "a", one="1"))
    assert again["metadata"]["resourceVersion"] == applied["metadata"]["resourceVersion"]


async def test_get_and_list(kube: KubeClient, namespace: str) -> None:
    assert await kube.get(CONFIG_MAP, namespace, "none") is None
    for name in ("b", "a"):
        await kube.create(CONFIG_MAP, config_map(namespace, name))
    listed = await kube.list(CONFIG_MAP, namespace)
    assert [each["metadata"]["name"] for each in listed if each["metadata"]["name"] in {"a", "b"}] == ["a", "b"]
    assert listed[0]["kind"] == "ConfigMap"
    assert await kube.list(CONFIG_MAP, namespace, "no=such") == []


async def test_create_answers_none_when_it_exists(kube: KubeClient, namespace: str) -> None:
    assert await kube.create(CONFIG_MAP, config_map(namespace, "a", one="1")) is not None
    assert await kube.create(CONFIG_MAP, config_map(namespace, "a", one="2")) is None
    found = await kube.get(CONFIG_MAP, namespace, "a")
    assert found is not None
    assert found["data"] == {"one": "1"}


async def test_delete_spares_a_successor_and_does_not_mind_what_is_gone(kube: KubeClient, namespace: str) -> None:
    made = await kube.create(CONFIG_MAP, config_map(namespace, "a"))
    assert made is not None
    await kube.delete(CONFIG_MAP, namespace, "a", "00000000-0000-0000-0000-000000000000")
    assert await kube.get(CONFIG_MAP, namespace, "a") is not None
    await kube.delete(CONFIG_MAP, namespace, "a", made["metadata"]["uid"])
    assert await kube.get(CONFIG_MAP, namespace, "a") is None
    await kube.delete(CONFIG_MAP, namespace, "a", made["metadata"]["uid"])


async def test_status_is_replaced_without_touching_the_spec_and_only_of_the_object_that_is_meant(
    kube: KubeClient, namespace: str
) -> None:
    made = await kube.apply(TOY, toy(namespace, "a", 2))
    uid = made["metadata"]["uid"]
    await kube.patch_status(TOY, namespace, "a", {"copies": 1, "note": "x"}, uid)
    await kube.patch_status(TOY, namespace, "a", {"copies": 2}, uid)
    found = await kube.get(TOY, namespace, "a")
    assert found is not None
    assert (found["spec"], found["status"]) == ({"copies": 2}, {"copies": 2})
    with pytest.raises(KubeError) as caught:
        await kube.patch_status(TOY, namespace, "a", {"copies": 9}, "00000000-0000-0000-0000-000000000000")
    assert caught.value.status == 409
    with pytest.raises(KubeError) as caught:
        await kube.patch_status(TOY, namespace, "gone", {"copies": 9}, uid)
    assert caught.value.status == 404


async def test_a_refusal_says_what_the_server_said(kube: KubeClient, namespace: str) -> None:
    with pytest.raises(KubeError, match=r"422 Invalid: .*spec.copies.*greater than or equal to 0") as caught:
        await kube.apply(TOY, toy(namespace, "a", -1))
    assert (caught.value.status, caught.value.reason) == (422, "Invalid")


async def test_a_busy_server_is_given_the_time_that_it_asks_for(
    kube: KubeClient, namespace: str, proxy: FaultProxy
) -> None:
    proxy.inject(Fault(lambda call: call.mutating, status=429, headers={"Retry-After": "1"}))
    async with client(proxy.kubeconfig) as through:
        began = time.monotonic()
        await through.apply(CONFIG_MAP, config_map(namespace, "a"))
        assert 1.0 <= time.monotonic() - began < 3.0
        proxy.inject(Fault(lambda call: call.mutating, status=429, headers={"Retry-After": "0"}, times=3))
        with pytest.raises(KubeError) as caught:
            await through.apply(CONFIG_MAP, config_map(namespace, "a"))
    assert caught.value.status == 429


async def test_no_answer_is_an_error_of_its_own_that_leaves_open_whether_it_was_done(
    kube: KubeClient, namespace: str, proxy: FaultProxy
) -> None:
    proxy.inject(Fault(lambda call: call.mutating, committed=True))
    async with client(proxy.kubeconfig) as through:
        with pytest.raises(KubeError) as caught:
            await through.apply(CONFIG_MAP, config_map(namespace, "a"))
        assert (caught.value.status, caught.value.reason) == (0, "Unreachable")
        assert await kube.get(CONFIG_MAP, namespace, "a") is not None
        proxy.inject(Fault(lambda call: call.mutating, delay=8))
        with pytest.raises(KubeError) as caught:
            await through.apply(CONFIG_MAP, config_map(namespace, "a"))
        assert (caught.value.status, caught.value.reason) == (0, "Timeout")


async def test_the_fence_stops_every_write_and_no_read(kube: KubeClient, namespace: str) -> None:
    def refuse() -> None:
        raise KubeError(0, "NotLeader", "no")

    made = await kube.apply(TOY, toy(namespace, "a", 0))
    fenced = KubeClient(kube.api.configuration, fence=refuse)
    assert await fenced.get(TOY, namespace, "a") is not None
    for write in (
        fenced.apply(TOY, toy(namespace, "a", 1)),
        fenced.create(TOY, toy(namespace, "b", 1)),
        fenced.patch_status(TOY, namespace, "a", {"copies": 1}, made["metadata"]["uid"]),
        fenced.delete(TOY, namespace, "a", made["metadata"]["uid"]),
    ):
        with pytest.raises(KubeError, match="NotLeader"):
            await write
    await fenced.event(made, reason="Refused", note="n", action="Test")
    await fenced.aclose()
    assert await kube.get(TOY, namespace, "a") == made
    assert await kube.list(EVENT, namespace) == []


async def test_an_event_is_posted_once_and_survives_a_restart_as_a_series(
    kube: KubeClient, namespace: str, proxy: FaultProxy
) -> None:
    made = await kube.apply(TOY, toy(namespace, "a", 0))
    for _ in range(3):
        await kube.event(made, reason="Promoted", note="a-1 is primary", action="Failover", warning=True)
    async with client(proxy.kubeconfig) as after_restart:
        await after_restart.event(made, reason="Promoted", note="a-1 is primary", action="Failover", warning=True)
    (event,) = await kube.list(EVENT, namespace)
    assert (event["reason"], event["type"], event["series"]["count"]) == ("Promoted", "Warning", 2)
    assert event["regarding"]["uid"] == made["metadata"]["uid"]
    assert [call.method for call in proxy.calls] == ["POST", "PATCH"]


async def test_an_event_that_cannot_be_posted_harms_nobody(kube: KubeClient, namespace: str, proxy: FaultProxy) -> None:
    made = await kube.apply(TOY, toy(namespace, "a", 0))
    proxy.inject(Fault(lambda call: call.plural == "events", status=500))
    async with client(proxy.kubeconfig) as through:
        await through.event(made, reason="Promoted", note="n", action="Failover")
    assert await kube.list(EVENT, namespace) == []


async def test_the_proxy_numbers_writes_and_kills_before_or_after_one_is_stored(
    kube: KubeClient, namespace: str, proxy: FaultProxy
) -> None:
    killed: list[str] = []
    async with client(proxy.kubeconfig) as through:
        await through.apply(CONFIG_MAP, config_map(namespace, "first"))
        proxy.crash_at(2, "before", lambda: killed.append("before"))
        with pytest.raises(KubeError, match="Unreachable"):
            await through.apply(CONFIG_MAP, config_map(namespace, "second"))
        assert await kube.get(CONFIG_MAP, namespace, "second") is None
        proxy.crash_at(3, "after", lambda: killed.append("after"))
        with pytest.raises(KubeError, match="Unreachable"):
            await through.apply(CONFIG_MAP, config_map(namespace, "third"))
        assert await kube.get(CONFIG_MAP, namespace, "third") is not None
        await through.apply(CONFIG_MAP, config_map(namespace, "fourth"))
    assert killed == ["before", "after"]
    assert [write.number for write in proxy.writes] == [1, 3, 4]


def test_the_proxy_knows_what_a_path_is_about() -> None:
    def plural(path: str) -> str:
        return Call("GET", path, {}, b"").plural

    assert plural("/api/v1/namespaces/a/configmaps/x") == "configmaps"
    assert plural("/api/v1/namespaces/a") == "namespaces"
    assert plural("/apis/coordination.k8s.io/v1/namespaces/a/leases/x") == "leases"
    assert plural("/apis/events.k8s.io/v1/events") == "events"


async def test_calls_run_side_by_side(kube: KubeClient, namespace: str, proxy: FaultProxy) -> None:
    proxy.inject(Fault(lambda call: call.mutating, delay=0.5, committed=True, status=500, times=20))
    async with client(proxy.kubeconfig) as through:
        began = time.monotonic()
        calls = [through.create(CONFIG_MAP, config_map(namespace, f"c-{number}")) for number in range(20)]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(outcome, KubeError) for outcome in outcomes)
    assert time.monotonic() - began < 3
