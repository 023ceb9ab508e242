"""The limiter against limits and throttled-py: checks per second, latency, round trips, and how much is let through."""

from bisect import bisect_left
from contextlib import AsyncExitStack

from e2e.bench.contenders.limiting import LIMIT, PERIOD, go_first
from e2e.bench.harness import Contender, Plan, interleaved, started
from e2e.bench.report import Bar, Report
from e2e.cluster.rootfs import ensure_engine
from tests.integration.servers import Server, standalone

OURS, LIMITS, THROTTLED = "carnelian", "limits", "throttled-py"
TASKS = 50
CLIENTS = 10
TRIPS = 200
PEERS = {"fixed": (LIMITS, THROTTLED), "sliding": (LIMITS, THROTTLED), "bucket": (THROTTLED,)}
"""Who has an algorithm; each is compared with the same one of the others."""


async def run(plan: Plan) -> Report:
    """Measure checks of a thousand callers on one Valkey server, and ten clients that press against one limit."""
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(standalone("valkey"))
        go_first(server.pid)
        port = str(server.port)
        contenders = await started(
            stack,
            [
                Contender.here(OURS, "limiter_carnelian", port),
                Contender.apart(LIMITS, "limiter_limits", ["limits==5.8.*", "redis[hiredis]<8"], port),
                Contender.apart(
                    THROTTLED, "limiter_throttled", ["throttled-py[redis]==3.5.*", "redis[hiredis]<8"], port
                ),
            ],
        )
        report = Report("limiter", versions={"valkey": ensure_engine("valkey").version})
        for one in contenders.values():
            report.versions |= await one.ask("versions")
        for algorithm, peers in PEERS.items():
            chosen = {name: contenders[name] for name in (OURS, *peers)}
            await compare(report, chosen, algorithm, plan)
        trips = {name: await round_trips(server, one) for name, one in contenders.items()}
        pressed = {name: await most_in_a_span(contenders[name], "sliding") for name in (OURS, LIMITS, THROTTLED)}
        bucket = await contenders[OURS].ask("press", algorithm="bucket", clients=CLIENTS, seconds=2.5 * PERIOD)

    for peer in (LIMITS, THROTTLED):
        name = "round trips of a check of three rules"
        report.bars.append(Bar.limit_of(name, trips[OURS], trips[peer], peer, bar=1))
        name = f"most allowed in a quarter period, of {LIMIT}, sliding window"
        report.bars.append(Bar.limit_of(name, pressed[OURS], pressed[peer], peer, bar=LIMIT * 1.25 * 1.03))
    promised = LIMIT + LIMIT * (bucket[-1] - bucket[0]) / PERIOD
    name = f"allowed to {CLIENTS} clients by a token bucket, and its exact bound"
    report.bars.append(Bar.limit_of(name, len(bucket), promised, "arithmetic", bar=round(promised) + 1))
    return report


async def compare(report: Report, contenders: dict[str, Contender], algorithm: str, plan: Plan) -> None:
    """Throughput and latency of one algorithm, against the better peer in each."""
    for one in contenders.values():
        await one.ask("per_second", algorithm=algorithm, tasks=TASKS, seconds=0.2)  # warm
    rates = await interleaved(
        contenders,
        lambda one: one.ask("per_second", algorithm=algorithm, tasks=TASKS, seconds=plan.seconds),
        rounds=plan.rounds,
    )
    times = await interleaved(
        contenders,
        lambda one: one.ask("latency", algorithm=algorithm, calls=int(plan.seconds * 700)),
        rounds=plan.rounds,
    )
    ours, best = rates.pop(OURS), max(rates, key=lambda name: rates[name])
    name = f"checks per second at {TASKS} tasks, {algorithm}"
    report.bars.append(Bar.ratio_of(name, ours, rates[best], best, bar=3.0, sense="at least"))
    ours, best = times.pop(OURS), min(times, key=lambda name: times[name])
    name = f"microseconds of one check after the other, {algorithm}"
    report.bars.append(Bar.ratio_of(name, ours, times[best], best, bar=1.0, sense="at most"))


async def round_trips(server: Server, contender: Contender) -> float:
    """Calls that a check of three rules makes, by the server's count of scripts, which all contenders use."""
    await contender.ask("latency", algorithm="three", calls=10)
    before = await script_calls(server)
    await contender.ask("latency", algorithm="three", calls=TRIPS)
    return (await script_calls(server) - before) // TRIPS


async def script_calls(server: Server) -> int:
    """Scripts that the server was asked to run so far."""
    stats = await server.info("commandstats")
    counted = (stats.get(f"cmdstat_{name}", "calls=0,") for name in ("eval", "evalsha"))
    return sum(int(line.removeprefix("calls=").split(",")[0]) for line in counted)


async def most_in_a_span(contender: Contender, algorithm: str) -> int:
    """The most that was allowed within any quarter of the period, while ten clients asked for much more."""
    moments = await contender.ask("press", algorithm=algorithm, clients=CLIENTS, seconds=2.5 * PERIOD)
    return max(bisect_left(moments, start + PERIOD / 4) - index for index, start in enumerate(moments))
