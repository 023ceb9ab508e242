"""Watches on bad days: frozen links, lost history, an API server that is away."""

import asyncio
import time

import aiohttp
import pytest

from carnelian_operator.runtime.kubeclient import KubeClient
from tests.operator.conftest import Running, Start
from tests.operator.proxy import Call, Fault, FaultProxy
from tests.operator.test_reconciling import has_copies, remove
from tests.operator.timing import WATCH_TIMES
from tests.operator.toys import TOY, toy
from tests.operator.waiting import until


async def test_a_quiet_watch_stays_ready(kube: KubeClient, namespace: str, start: Start) -> None:
    async with start() as running:
        await until("it is ready", running.ready)
        ends = time.monotonic() + 2 * WATCH_TIMES.silent
        while time.monotonic() < ends:
            assert await running.ready()
            await asyncio.sleep(0.2)


async def test_a_frozen_watch_is_noticed_and_recovers_with_what_was_missed(
    kube: KubeClient, namespace: str, start: Start, proxy: FaultProxy
) -> None:
    async with start(proxy.kubeconfig) as running:
        await kube.apply(TOY, toy(namespace, "old", 1))
        await until("the first toy has its copy", lambda: has_copies(kube, namespace, "old", 1))
        proxy.freeze()

        async def unready() -> bool:
            status, text = await running.ask("/readyz")
            return status == 503 and "nothing heard from the API server" in text

        await kube.apply(TOY, toy(namespace, "missed", 1))
        await remove(kube, TOY, namespace, "old")
        await until("it says that it is not ready, and why", unready, WATCH_TIMES.silent + 3)
        proxy.thaw()
        await until("what was missed is done", lambda: has_copies(kube, namespace, "missed", 1))
        await until("what was deleted meanwhile is noticed", lambda: has_copies(kube, namespace, "old", 0))
        await until("it is ready again", running.ready)


async def test_a_watch_that_is_cut_in_silence_is_opened_again_before_anybody_notices(
    kube: KubeClient, namespace: str, start: Start, proxy: FaultProxy
) -> None:
    async with start(proxy.kubeconfig) as running:
        await until("it is ready", running.ready)
        open_now = {id(call) for call in proxy.calls if call.watch}
        # Only the streams that are open now go dead; new ones are fine, as after a lost NAT entry.
        proxy.freeze(lambda call: id(call) in open_now)
        await kube.apply(TOY, toy(namespace, "late", 1))
        await until(
            "kopf opened them again", lambda: has_copies(kube, namespace, "late", 1), WATCH_TIMES.inactivity + 2
        )
        assert await running.ready()
        proxy.thaw()


def error(code: int, reason: str) -> dict[str, object]:
    status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason}
    return {"type": "ERROR", "object": {**status, "message": "injected"}}


@pytest.mark.parametrize(
    ("status", "event"),
    [
        pytest.param(200, error(410, "Expired"), id="history-compacted"),
        pytest.param(200, error(500, "InternalError"), id="etcd-without-leader"),
        pytest.param(410, None, id="refused-as-expired"),
        pytest.param(404, None, id="kind-not-served"),
    ],
)
async def test_a_broken_watch_is_made_up_for_by_a_new_list(
    kube: KubeClient, namespace: str, start: Start, proxy: FaultProxy, status: int, event: dict[str, object] | None
) -> None:
    async with start(proxy.kubeconfig) as running:
        await kube.apply(TOY, toy(namespace, "old", 1))
        await until("the first toy has its copy", lambda: has_copies(kube, namespace, "old", 1))
        fault = Fault(lambda call: call.watch and call.plural == "toys", status=status, event=event, times=1000)
        proxy.inject(fault)
        await asyncio.sleep(WATCH_TIMES.server + 0.5)
        await remove(kube, TOY, namespace, "old")
        await kube.apply(TOY, toy(namespace, "new", 1))
        fault.times = 0
        await until("the new toy is noticed", lambda: has_copies(kube, namespace, "new", 1))
        await until("the deleted toy is noticed", lambda: has_copies(kube, namespace, "old", 0))
        assert running.runtime.cache.get(TOY, namespace, "old") is None


async def test_an_api_server_that_is_away_is_survived(
    kube: KubeClient, namespace: str, start: Start, proxy: FaultProxy
) -> None:
    async with start(proxy.kubeconfig) as running:
        await until("it is ready", running.ready)
        proxy.down()
        await kube.apply(TOY, toy(namespace, "meanwhile", 1))
        await asyncio.sleep(4)
        assert await has_copies(kube, namespace, "meanwhile", 0)
        proxy.up()
        await until("what happened meanwhile is done", lambda: has_copies(kube, namespace, "meanwhile", 1))
        await until("it is ready again", running.ready)


async def test_nobody_leads_before_he_has_seen_everything(
    kube: KubeClient, namespace: str, start: Start, proxy: FaultProxy
) -> None:
    def lists_toys(call: Call) -> bool:
        return call.plural == "toys" and call.path.endswith("/toys") and not call.watch

    await kube.apply(TOY, toy(namespace, "old", 1))
    proxy.freeze(lists_toys)
    async with start(proxy.kubeconfig) as running:
        await until("it says what it waits for", lambda: _says(running, "toys in"))
        assert not proxy.writes
        assert running.toys.seen == []
        proxy.thaw()
        await until("then it works", lambda: has_copies(kube, namespace, "old", 1))


async def _says(running: Running, text: str) -> bool:
    try:
        status, answer = await running.ask("/readyz")
    except aiohttp.ClientError:
        return False
    return status == 503 and text in answer
