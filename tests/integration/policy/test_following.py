"""A process follows what is published, within milliseconds, and says so."""

import asyncio
import time
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from carnelian import Carnelian, PolicyError
from carnelian.policies import wire
from tests.integration.policy.publishing import acknowledged, publish, rule, url
from tests.integration.servers import Engine, Server, standalone, until

pytestmark = pytest.mark.integration

API = "RateLimitRule/api"


async def test_a_change_is_enforced_and_acknowledged_within_tens_of_milliseconds(server: Server) -> None:
    await publish(server, {API: rule(1)}, epoch=1)
    async with AsyncExitStack() as stack:
        services = [await stack.enter_async_context(Carnelian(url=url(server))) for _ in range(3)]

        async def all_acknowledge(epoch: int) -> bool:
            seen = await acknowledged(server)
            return len(seen) == 3 and all(one.epoch == epoch for one in seen.values())

        await until(lambda: all_acknowledge(1), what="three acknowledgements")
        times = []
        for epoch in range(2, 32):
            started = time.perf_counter()
            await publish(server, {API: rule(epoch)}, epoch=epoch, generation=epoch)
            while not await all_acknowledge(epoch):
                await asyncio.sleep(0)
            times.append(time.perf_counter() - started)
            assert [svc.limits("api").generation for svc in services] == [epoch] * 3
        print(f"publish → all acknowledged: median {sorted(times)[15] * 1e3:.1f} ms, worst {max(times) * 1e3:.1f} ms")
        assert sorted(times)[15] < 0.05
        assert max(times) < 0.5


async def test_acknowledgements_say_who_and_end_with_the_process(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POD_NAME", "shop-7")
    monkeypatch.setenv("POD_NAMESPACE", "shop")
    async with Carnelian(url=url(server)):
        await until(lambda: acknowledged(server), what="an acknowledgement")
        (client, acknowledgement), *others = (await acknowledged(server)).items()
        assert not others
        assert client == acknowledgement.client
        assert client.startswith("shop-7-")
        assert (acknowledgement.pod, acknowledgement.namespace) == ("shop-7", "shop")
        assert (acknowledgement.epoch, acknowledgement.version, acknowledgement.rejected) == (0, "0.1.0", {})
        assert await server.call("ZRANGE", wire.SEEN, 0, -1) == [client]
        assert 0 < await server.call("TTL", wire.CLIENTS) <= 86400
    assert await acknowledged(server) == {}
    assert await server.call("EXISTS", wire.SEEN, wire.CLIENTS) == 0


async def test_a_process_that_fell_silent_is_taken_out_by_another(server: Server) -> None:
    await server.call("ZADD", wire.SEEN, 1, "gone")
    await server.call("HSET", wire.CLIENTS, "gone", "{}")
    async with Carnelian(url=url(server)):

        async def only_the_living() -> bool:
            clients = await server.call("HKEYS", wire.CLIENTS)
            seen = await server.call("ZRANGE", wire.SEEN, 0, -1)
            return bool(len(clients) == 1 and clients == seen != ["gone"])

        await until(only_the_living)


async def test_an_unreadable_document_is_reported_and_the_last_good_one_decides(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    await publish(server, {API: rule(1)}, epoch=1)
    async with Carnelian(url=url(server)) as svc:
        assert (await svc.limits("api").check()).limit == 1
        await publish(server, {API: rule(2, algorithm="Guess"), "RateLimitRule/new": b"{"}, epoch=2, generation=2)

        async def reported() -> bool:
            return any(one.epoch == 2 and len(one.rejected) == 2 for one in (await acknowledged(server)).values())

        await until(reported)
        verdict = await svc.limits("api").check()
        assert (verdict.limit, verdict.generation) == (1, 1)
        assert "the last good one stays" in caplog.text
        with pytest.raises(PolicyError, match=r"'new' cannot be read by carnelian 0\.1\.0"):
            await svc.limits("new").check()
        await publish(server, {API: rule(3)}, epoch=3, generation=3)
        await until(lambda: svc.limits("api").generation == 3)


async def test_a_deleted_rule_limits_nobody_and_an_emptied_server_changes_nothing(server: Server) -> None:
    await publish(server, {API: rule(1, period="1h")}, epoch=1)
    async with Carnelian(url=url(server)) as svc:
        limiter = svc.limits("api")
        assert [bool(await limiter.check()) for _ in range(2)] == [True, False]
        await publish(server, {}, epoch=2)

        async def unlimited() -> bool:
            return (await limiter.check()).limit is None

        await until(unlimited)
        await publish(server, {API: rule(1, period="1h")}, epoch=3, generation=3)
        await until(lambda: limiter.generation == 3)
        await server.call("FLUSHALL")
        assert (await limiter.check()).limit == 1
        await publish(server, {API: rule(4)}, epoch=1)  # an epoch that goes back is another one, so it is read

        async def followed() -> bool:
            return (await limiter.check()).limit == 4

        await until(followed)


async def test_what_was_missed_while_away_is_repaired(server: Server) -> None:
    await publish(server, {API: rule(1)}, epoch=1)
    async with Carnelian(url=url(server)) as svc:
        assert (await svc.limits("api").check()).limit == 1
        server.kill()
        await server.start()
        await publish(server, {API: rule(2)}, epoch=2, generation=2)
        await until(lambda: svc.limits("api").generation == 2)
        await until(lambda: acknowledged(server), what="an acknowledgement on the new server")


async def test_a_missed_announcement_is_repaired_by_a_heartbeat(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "HEARTBEAT_SECONDS", 0.2)
    await publish(server, {API: rule(1)}, epoch=1)
    async with Carnelian(url=url(server)) as svc:
        assert (await svc.limits("api").check()).limit == 1
        await server.call("HSET", wire.DOCUMENTS, wire.EPOCH_FIELD, 2)

        async def second() -> bool:
            return any(one.epoch == 2 for one in (await acknowledged(server)).values())

        await until(second)


async def test_a_check_right_after_the_start_waits_for_the_first_policies(server: Server) -> None:
    await publish(server, {API: rule(7)}, epoch=1)
    async with Carnelian(url=url(server)) as svc:
        assert (await svc.limits("api").check()).limit == 7


async def test_an_unknown_policy_is_named_with_the_remedy(server: Server) -> None:
    await publish(server, {API: rule()}, epoch=1)
    async with Carnelian(url=url(server)) as svc:
        with pytest.raises(PolicyError) as caught:
            await svc.limits("other").check()
        assert "no RateLimitRule 'other' is known (known: api); apply a RateLimitRule with this name" in str(
            caught.value
        )


async def test_policies_from_files_hold_until_the_data_plane_has_some(server: Server, tmp_path: Path) -> None:
    (tmp_path / "api.yaml").write_text(
        "{apiVersion: carnelian.dev/v1alpha1, kind: RateLimitRule, metadata: {name: api}, "
        "spec: {rules: [{name: all, limit: 3}]}}"
    )
    async with Carnelian(url=url(server), policies=tmp_path) as svc:
        limiter = svc.limits("api")
        verdict = await limiter.check()
        assert (verdict.limit, verdict.generation) == (3, 0)
        await publish(server, {API: rule(9)}, epoch=1)
        await until(lambda: limiter.generation == 1)
        assert (await limiter.check()).limit == 9


async def test_a_user_that_may_not_read_policies_is_told_once(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(standalone(engine, lines=["user app on >right ~* &* +@all -hgetall"]))
        await stack.enter_async_context(Carnelian(url=f"redis://app:right@{server.host}:{server.port}"))

        def told() -> list[str]:
            return [record.getMessage() for record in caplog.records if record.name == "carnelian.policy"]

        await until(told, what="a log line")
        asked = int((await server.info("stats"))["acl_access_denied_cmd"])

        async def asked_again() -> bool:
            return int((await server.info("stats"))["acl_access_denied_cmd"]) > asked + 2

        await until(asked_again, what="more attempts")
        (line,) = told()
        assert "policies stay at epoch 0" in line
        assert "NOPERM" in line
