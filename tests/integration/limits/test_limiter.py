"""A limiter on real servers: verdicts, round trips, stages, several rules, algorithm changes."""

import asyncio
from typing import Any

import pytest

from carnelian import Carnelian, RateLimitedError, Verdict
from carnelian.policies import RateLimitPolicy
from tests.integration.policy.publishing import publish, url
from tests.integration.servers import Cluster, Server, until

pytestmark = pytest.mark.integration


def policy(*rules: dict[str, Any], **fields: Any) -> RateLimitPolicy:
    numbered = [{"name": f"r{index}", "period": "1h"} | rule for index, rule in enumerate(rules)]
    return RateLimitPolicy.model_validate({"rules": numbered} | fields)


def service(server: Server, *rules: dict[str, Any], **fields: Any) -> Carnelian:
    return Carnelian(url=url(server), limits={"api": policy(*rules, **fields)})


@pytest.mark.parametrize("algorithm", ["TokenBucket", "SlidingWindow", "FixedWindow"])
async def test_as_many_as_the_limit_are_allowed_for_each_caller(server: Server, algorithm: str) -> None:
    async with service(server, {"limit": 3, "key": ["user"], "algorithm": algorithm}) as svc:
        limiter = svc.limits("api")
        for user in ("ada", "bob"):
            verdicts = [await limiter.check(user=user) for _ in range(5)]
            assert [verdict.allowed for verdict in verdicts] == [True, True, True, False, False]
            assert [verdict.remaining for verdict in verdicts] == [2, 1, 0, 0, 0]
            assert all(verdict.rule == "r0" and verdict.limit == 3 for verdict in verdicts)
            assert verdicts[2].retry_after == 0.0 < verdicts[3].retry_after <= 7200
        assert limiter.counts() == {
            "allowed": 6,
            "limited": 4,
            "shadowed": 0,
            "degraded": 0,
            "rules": {"r0": {"allowed": 6, "limited": 4, "shadowed": 0}},
        }
        for key in await server.call("KEYS", "carnelian:*"):
            if ":policies" not in key:
                assert 0 < await server.call("PTTL", key) <= 7_200_000


async def test_one_round_trip_decides_three_rules(server: Server) -> None:
    rules = [
        {"limit": 100, "key": ["org"]},
        {"limit": 10, "key": ["org", "user"], "algorithm": "SlidingWindow"},
        {"limit": 1000, "key": ["org"], "algorithm": "FixedWindow"},
    ]
    async with service(server, *rules) as svc:
        limiter = svc.limits("api")
        await limiter.check(org="acme", user="ada")  # loads the script

        async def calls() -> dict[str, int]:
            stats = await server.info("commandstats")
            counted = ("evalsha", "eval", "script|load")
            return {name: int(stats.get(f"cmdstat_{name}", "calls=0").split("=")[1].split(",")[0]) for name in counted}

        async def quiet() -> bool:
            first = await calls()
            await asyncio.sleep(0.05)
            return await calls() == first

        await until(quiet, what="the acknowledgement at the start is through")
        before = await calls()
        for _ in range(20):
            await limiter.check(org="acme", user="ada")
        after = await calls()
        assert after == before | {"evalsha": before["evalsha"] + 20}
        await asyncio.gather(*(limiter.check(org="acme", user="ada") for _ in range(50)))
        assert (await calls())["evalsha"] <= after["evalsha"] + 2  # one tick's checks share a call


async def test_a_refusal_takes_from_no_rule(server: Server) -> None:
    rules = [{"limit": 10, "key": ["org"]}, {"limit": 2, "key": ["org", "user"]}]
    async with service(server, *rules) as svc:
        limiter = svc.limits("api")
        verdicts = [await limiter.check(org="acme", user="ada") for _ in range(6)]
        assert [verdict.rule for verdict in verdicts] == ["r1"] * 6  # least remaining, then refusing
        assert [verdict.allowed for verdict in verdicts] == [True, True, False, False, False, False]
        bob = await limiter.check(org="acme", user="bob", cost=2)
        assert (bob.rule, bob.remaining) == ("r1", 0)
        carol = await limiter.check(org="acme", user="carol", cost=0)
        assert carol.remaining == 2
        headers = verdicts[2].headers()
        assert headers["RateLimit-Policy"] == '"r0";q=10;w=3600, "r1";q=2;w=3600'
        assert headers["RateLimit"].startswith('"r1";r=0;t=')
        assert headers["Retry-After"] in {"1799", "1800"}


async def test_retry_after_satisfies_every_rule(server: Server) -> None:
    rules = [{"limit": 1, "period": "10s"}, {"limit": 1, "period": "1h"}]
    async with service(server, *rules) as svc:
        assert await svc.limits("api").check()
        refused = await svc.limits("api").check()
        assert refused.rule == "r0"
        assert 3590 < refused.retry_after <= 3600


@pytest.mark.parametrize("cost", [-1, 1.5, True, "1", None])
async def test_a_senseless_cost_is_refused(server: Server, cost: Any) -> None:
    async with service(server, {"limit": 1}) as svc:
        with pytest.raises(ValueError, match=r"limiter 'api': cost must be an integer of at least 0, got"):
            await svc.limits("api").check(cost=cost)


async def test_a_cost_beyond_the_limit_is_never_allowed(server: Server) -> None:
    rules = [{"limit": 5, "algorithm": name} for name in ("TokenBucket", "SlidingWindow", "FixedWindow")]
    for rule in rules:
        async with service(server, rule) as svc:
            verdict = await svc.limits("api").check(cost=10**30)
            assert (verdict.allowed, verdict.retry_after) == (False, float("inf"))
            assert "Retry-After" not in verdict.headers()
            assert await svc.limits("api").check(cost=5)


async def test_require_raises_with_the_verdict(server: Server) -> None:
    async with service(server, {"limit": 1}) as svc:
        assert await svc.limits("api").require()
        with pytest.raises(RateLimitedError, match="limiter 'api' refused by rule 'r0'") as caught:
            await svc.limits("api").require()
        assert isinstance(caught.value.verdict, Verdict)


async def test_stages(server: Server) -> None:
    rule = {"limit": 1, "key": ["user"]}
    async with service(server, rule, stage="Off") as svc:
        verdict = [await svc.limits("api").check() for _ in range(3)][-1]
        assert (verdict.allowed, verdict.rule, verdict.headers()) == (True, None, {})
    async with service(server, rule, stage="Shadow") as svc:
        verdicts = [await svc.limits("api").check(user="shadow") for _ in range(3)]
        assert [(one.allowed, one.shadowed, one.headers()) for one in verdicts] == [
            (True, False, {}),
            (True, True, {}),
            (True, True, {}),
        ]
        assert svc.limits("api").counts()["rules"] == {"r0": {"allowed": 1, "limited": 0, "shadowed": 2}}
        assert (await svc.limits("api").check()).degraded  # without the attribute, too, a shadow has no effect
    async with service(server, rule, stage="Canary", canaryPercent=50) as svc:
        seconds = []
        for number in range(60):
            user = f"canary-{number}"
            await svc.limits("api").check(user=user)
            seconds.append(await svc.limits("api").check(user=user))
        assert all(one.allowed == one.shadowed == (one.headers() == {}) for one in seconds)
        assert 15 < sum(one.allowed for one in seconds) < 45


async def test_another_algorithm_starts_afresh_and_no_request_fails(server: Server) -> None:
    """The same rule under every algorithm in turn, while requests go on: no state of one meets another."""
    async with Carnelian(url=url(server)) as svc:
        limiter = svc.limits("api")
        results: list[Verdict] = []
        done = asyncio.Event()

        async def load() -> None:
            while not done.is_set():
                results.append(await limiter.check(user="ada"))

        for epoch, algorithm in enumerate(["TokenBucket", "FixedWindow", "SlidingWindow"] * 4, start=1):
            body = {"rules": [{"name": "all", "limit": 1_000_000, "key": ["user"], "algorithm": algorithm}]}
            await publish(server, {"RateLimitRule/api": body}, epoch=epoch, generation=epoch)
            if epoch == 1:
                tasks = [asyncio.create_task(load()) for _ in range(10)]
            await until(lambda: bool(results) and results[-1].generation == limiter.generation == epoch)  # noqa: B023
        done.set()
        await asyncio.gather(*tasks)
        assert all(one.allowed and not one.degraded for one in results)
        assert {one.generation for one in results} == set(range(1, 13))


async def test_a_change_of_two_rules_is_seen_whole(server: Server) -> None:
    """Both limits of every generation are equal; a half-applied change would show two different ones."""

    def body(limit: int) -> dict[str, Any]:
        rules = [{"name": name, "limit": limit, "period": "1s", "key": ["user"]} for name in ("first", "second")]
        return {"rules": rules}

    async with Carnelian(url=url(server)) as svc:
        limiter = svc.limits("api")
        await publish(server, {"RateLimitRule/api": body(1_000_000)}, epoch=1, generation=1)
        seen: list[Verdict] = []
        done = asyncio.Event()

        async def load(user: str) -> None:
            while not done.is_set():
                seen.append(await limiter.check(user=user))

        tasks = [asyncio.create_task(load(f"user-{number}")) for number in range(20)]
        for generation in range(2, 30):
            document = {"RateLimitRule/api": body(1_000_000 + generation)}
            await publish(server, document, epoch=generation, generation=generation)
            await until(lambda: bool(seen) and seen[-1].generation == generation)  # noqa: B023
        done.set()
        await asyncio.gather(*tasks)
        assert all(one.allowed and not one.degraded for one in seen)
        for one in seen:
            limit = 1_000_000 + (one.generation if one.generation > 1 else 0)
            assert one.limit == limit
            assert one.policies == (f'"first";q={limit};w=1', f'"second";q={limit};w=1')


async def test_rules_of_one_check_meet_in_one_slot_and_callers_spread(cluster: Cluster) -> None:
    rules = [
        {"limit": 50, "key": ["org"]},
        {"limit": 5, "key": ["org", "user"], "algorithm": "SlidingWindow"},
        {"limit": 100, "key": ["org", "ip"], "algorithm": "FixedWindow"},
    ]
    nodes = ",".join(f"{node.host}:{node.port}" for node in cluster.nodes[:3])
    async with Carnelian(url=f"redis+cluster://{nodes}", limits={"api": policy(*rules)}) as svc:
        limiter = svc.limits("api")

        async def caller(number: int) -> list[Verdict]:
            return [await limiter.check(org=f"org-{number}", user="ada", ip="::1") for _ in range(7)]

        answers = await asyncio.gather(*(caller(number) for number in range(30)))
        for verdicts in answers:
            assert [one.allowed for one in verdicts] == [True] * 5 + [False] * 2
            assert not any(one.degraded for one in verdicts)
        sizes = [await node.call("DBSIZE") for node in cluster.nodes[:3]]
        assert min(sizes) >= 3
        assert sum(sizes) >= 90
