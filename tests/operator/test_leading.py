"""Two operators, one leader: processes that die, stop, and cannot reach the API server."""

import asyncio
import json
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from carnelian_operator.runtime.election import LEASE
from carnelian_operator.runtime.kubeclient import KubeClient
from tests.operator.conftest import Start
from tests.operator.proxy import Fault, FaultProxy
from tests.operator.test_reconciling import has_copies
from tests.operator.timing import LEASE_TIMES
from tests.operator.toys import TOY, toy
from tests.operator.waiting import until


class Process:
    """An operator with the toy controller in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process, identity: str) -> None:
        self.process = process
        self.identity = identity
        self.lines: list[dict[str, object]] = []

    async def read(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            try:
                self.lines.append(json.loads(line))
            except ValueError:
                self.lines.append({"event": line.decode().rstrip()})

    def said(self, event: str) -> bool:
        return any(line["event"] == event for line in self.lines)


@asynccontextmanager
async def process(kubeconfig: Path, namespace: str, identity: str) -> AsyncIterator[Process]:
    program = [sys.executable, "-m", "tests.operator.toy_operator", str(kubeconfig), namespace, identity]
    started = await asyncio.create_subprocess_exec(*program, stderr=asyncio.subprocess.PIPE)
    each = Process(started, identity)
    reading = asyncio.create_task(each.read())
    try:
        yield each
    finally:
        if started.returncode is None:
            started.kill()
        await started.wait()
        await reading


async def holder(kube: KubeClient, namespace: str) -> str:
    lease = await kube.get(LEASE, namespace, "carnelian-operator")
    return lease["spec"]["holderIdentity"] if lease else ""


async def leads(kube: KubeClient, namespace: str, identity: str) -> bool:
    return await holder(kube, namespace) == identity


async def test_a_killed_leader_is_followed_within_the_lease_and_a_stopping_one_at_once(
    kube: KubeClient, namespace: str, kubeconfig: Path
) -> None:
    await kube.apply(TOY, toy(namespace, "first", 1))
    async with process(kubeconfig, namespace, "a") as a:
        await until("a leads", lambda: leads(kube, namespace, "a"))
        async with process(kubeconfig, namespace, "b") as b:
            await until("the toy is done", lambda: has_copies(kube, namespace, "first", 1))
            await until("b stands by", lambda: b.said("watching"))
            await asyncio.sleep(2 * LEASE_TIMES.retry)
            a.process.kill()
            killed = time.monotonic()
            await kube.apply(TOY, toy(namespace, "second", 1))
            await until("b has done the new toy", lambda: has_copies(kube, namespace, "second", 1))
            took = time.monotonic() - killed
            assert LEASE_TIMES.duration - LEASE_TIMES.retry - 0.5 < took < LEASE_TIMES.duration + 2
            assert await holder(kube, namespace) == "b"

            async with process(kubeconfig, namespace, "c") as c:
                await until("c stands by", lambda: c.said("watching"))
                await asyncio.sleep(2 * LEASE_TIMES.retry)
                b.process.send_signal(signal.SIGTERM)
                stopped = time.monotonic()
                await until("c leads", lambda: leads(kube, namespace, "c"))
                assert time.monotonic() - stopped < 2 * LEASE_TIMES.retry + 0.5
                assert await b.process.wait() == 0
                assert [line["event"] for line in b.lines[-3:]] == ["stopping", "gave the lease back", "stopped"]


async def test_a_leader_that_cannot_renew_stops_before_another_one_starts_and_then_stands_by(
    kube: KubeClient, namespace: str, start: Start, proxy: FaultProxy
) -> None:
    async with start(proxy.kubeconfig, resync=0.1) as cut:
        await kube.apply(TOY, toy(namespace, "shop", 1))
        await until("it works", lambda: has_copies(kube, namespace, "shop", 1))
        async with start(resync=0.1) as other:
            await asyncio.sleep(2 * LEASE_TIMES.retry)
            fault = Fault(lambda call: call.plural == "leases", status=500, times=10_000)
            proxy.inject(fault)
            await until("the other one works", lambda: bool(other.toys.seen))
            last, first = cut.toys.seen[-1][0], other.toys.seen[0][0]
            assert first - last > 0.5
            before = len(cut.toys.seen)
            fault.times = 0
            await asyncio.sleep(1)
            assert len(cut.toys.seen) == before
            assert await cut.ready()
            other.stop()
            await until("the first one leads again", lambda: len(cut.toys.seen) > before)


async def test_a_frozen_leader_writes_nothing_when_it_wakes_up(
    kube: KubeClient, namespace: str, kubeconfig: Path, proxy: FaultProxy
) -> None:
    async with process(proxy.kubeconfig, namespace, "frozen") as frozen:
        await until("it leads", lambda: leads(kube, namespace, "frozen"))
        frozen.process.send_signal(signal.SIGSTOP)
        async with process(kubeconfig, namespace, "b"):
            await until("b leads", lambda: leads(kube, namespace, "b"))
            proxy.reset()
            frozen.process.send_signal(signal.SIGCONT)
            await until("it noticed", lambda: frozen.said("no longer leading; standing by"))
            await kube.apply(TOY, toy(namespace, "shop", 2))
            await until("b does the work", lambda: has_copies(kube, namespace, "shop", 2))
            assert proxy.writes == []
            assert await holder(kube, namespace) == "b"
