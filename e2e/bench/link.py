"""The link layer against redis-py's pool and valkey-glide: throughput, latency, connections after time-outs."""

import asyncio
import os
from contextlib import AsyncExitStack

from e2e.bench.harness import Contender, Plan, interleaved, pin, started
from e2e.bench.report import Bar, Report
from e2e.cluster.rootfs import ensure_engine
from tests.integration.servers import Server, standalone

OURS, PYTHON, GLIDE = "carnelian", "redis-py", "valkey-glide"
TASKS = 50
STALLS, CALLS = 5, 20


async def run(plan: Plan) -> Report:
    """Measure GETs of 100 bytes on one Valkey server."""
    every_core = os.sched_getaffinity(0)
    one_core = {max(every_core)}
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(standalone("valkey"))
        await server.call("SET", "key", "x" * 100)
        port = str(server.port)
        contenders = await started(
            stack,
            [
                Contender.here(OURS, "link_carnelian", port),
                Contender.here(PYTHON, "link_redispy", port),
                Contender.apart(GLIDE, "link_glide", ["valkey-glide==2.6.*"], port),
            ],
        )
        report = Report("link", versions={"valkey": ensure_engine("valkey").version})
        for one in contenders.values():
            report.versions |= await one.ask("versions")
            await one.ask("per_second", tasks=TASKS, seconds=0.2)  # warm

        rates = await interleaved(
            contenders, lambda one: one.ask("per_second", tasks=TASKS, seconds=plan.seconds), rounds=plan.rounds
        )
        # A wake-up costs half as much on the same core, and the scheduler decides anew in each run who gets that: give
        # it to the server and both Python clients; glide, which has threads of its own, is slower when held to it.
        for pid in (server.pid, contenders[OURS].pid, contenders[PYTHON].pid):
            pin(pid, one_core)
        calls = int(plan.seconds * 2000)
        times = await interleaved(contenders, lambda one: one.ask("latency", calls=calls), rounds=plan.rounds)
        for pid in (server.pid, contenders[OURS].pid, contenders[PYTHON].pid):
            pin(pid, every_core)
        opened = {name: await opened_by_stalls(server, one) for name, one in contenders.items()}

    for peer, rate, slowness in ((PYTHON, 3.0, 1.15), (GLIDE, 1.0, 1.0)):
        name = f"GETs per second at {TASKS} tasks"
        report.bars.append(Bar.ratio_of(name, rates[OURS], rates[peer], peer, bar=rate, sense="at least"))
        name = "microseconds of one GET after the other"
        report.bars.append(Bar.ratio_of(name, times[OURS], times[peer], peer, bar=slowness, sense="at most"))
        name = f"connections opened by {STALLS * CALLS} calls that timed out"
        report.bars.append(Bar.limit_of(name, opened[OURS], opened[peer], peer, bar=2))
    return report


async def opened_by_stalls(server: Server, contender: Contender) -> int:
    """Connections that a contender opens when calls time out while the server stalls, and traffic goes on after."""
    await contender.ask("per_second", tasks=CALLS, seconds=0.1)
    before = await connections(server)
    for _ in range(STALLS):
        server.freeze()
        try:
            timed_out = await contender.ask("give_up", calls=CALLS, seconds=0.01)
            await asyncio.sleep(0.05)
        finally:
            server.thaw()
        if timed_out != CALLS:
            raise RuntimeError(f"{contender.name}: only {timed_out} of {CALLS} calls timed out in a stall")
        await contender.ask("per_second", tasks=CALLS, seconds=0.1)
    return await connections(server) - before


async def connections(server: Server) -> int:
    """Connections that the server has accepted so far."""
    return int((await server.info("stats"))["total_connections_received"])
