"""Killed before and after each of its writes, the operator arrives at the same objects with no write too many.

This sweeps the runtime with the toy; the product's own sweep does the same with real instances.
"""

import os
import signal
from typing import Literal

import pytest

from carnelian_operator.runtime.api import Object
from carnelian_operator.runtime.election import LEASE
from carnelian_operator.runtime.kubeclient import KubeClient
from tests.operator.proxy import FaultProxy
from tests.operator.test_leading import Process, process
from tests.operator.test_reconciling import copies, remove
from tests.operator.toys import TOY, toy
from tests.operator.waiting import until

WRITES = 3  # two copies and the status


async def finished(kube: KubeClient, namespace: str) -> bool:
    found = await kube.get(TOY, namespace, "shop")
    return found is not None and found.get("status") == {"copies": 2}


def essence(obj: Object) -> object:
    meta = obj["metadata"]
    return obj["kind"], meta["name"], meta["labels"], obj["data"]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", range(1, WRITES + 1))
async def test_a_crash_at_any_write_changes_nothing_but_the_time(
    kube: KubeClient, namespace: str, proxy: FaultProxy, number: int, when: Literal["before", "after"]
) -> None:
    async with process(proxy.kubeconfig, namespace, "first") as first:
        await until("it leads", lambda: first.said("leading"))
        proxy.crash_at(number, when, lambda: os.kill(first.process.pid, signal.SIGKILL))
        await kube.apply(TOY, toy(namespace, "shop", 2))
        assert await first.process.wait() == -signal.SIGKILL
        stored = number if when == "after" else number - 1
        assert len(proxy.writes) == stored
    await remove(kube, LEASE, namespace, "carnelian-operator")  # spares the wait for its end
    async with process(proxy.kubeconfig, namespace, "second") as second:
        await until("the next one leads", lambda: second.said("leading"))
        await until("it is done", lambda: finished(kube, namespace))
        await stopped(second)
    assert [essence(each) for each in await copies(kube, namespace, "shop")] == [
        ("ConfigMap", f"shop-{each}", {"app.kubernetes.io/managed-by": "carnelian", "toy": "shop"}, {"of": "shop"})
        for each in range(2)
    ]
    assert len(proxy.writes) == WRITES


async def stopped(operator: Process) -> None:
    operator.process.send_signal(signal.SIGTERM)
    assert await operator.process.wait() == 0
