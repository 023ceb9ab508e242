"""A `Carnelian` used in the wrong place says so, and one that is given up leaves nothing behind."""

import asyncio
from typing import Any

import pytest

from carnelian import Carnelian
from carnelian._client import Engine
from carnelian.policies import RateLimitPolicy

pytestmark = pytest.mark.unit

URL = "redis://127.0.0.1:1"  # where nobody listens
LIMITS = {"api": RateLimitPolicy.model_validate({"rules": [{"name": "all", "limit": 1}]})}


def made() -> Carnelian:
    return Carnelian(url=URL, limits=LIMITS)


def engine(svc: Carnelian) -> Engine:
    return svc._engine


async def test_outside_of_async_with_it_says_how_to_enter() -> None:
    svc = made()
    for use in (svc.execute("PING"), svc.limits("api").check(), svc.limits("unknown").check()):
        with pytest.raises(RuntimeError, match="use `async with Carnelian"):
            await use


async def test_entered_twice_it_says_so_and_stays_usable() -> None:
    async with made() as svc:
        with pytest.raises(RuntimeError, match="entered already"):
            await svc.__aenter__()
        assert (await svc.limits("api").check()).degraded


async def test_from_another_event_loop_it_says_so_instead_of_answering() -> None:
    async with made() as svc:

        def elsewhere(use: Any) -> None:
            with pytest.raises(RuntimeError, match="another event loop"):
                asyncio.run(use())

        for use in (svc.limits("api").check, svc.limits("unknown").check, lambda: svc.execute("PING"), svc.aclose):
            await asyncio.to_thread(elsewhere, use)
        assert (await svc.limits("api").check()).degraded


async def test_a_close_that_is_given_up_leaves_no_task() -> None:
    before = asyncio.all_tasks()
    svc = made()
    await svc.__aenter__()
    check = asyncio.ensure_future(svc.limits("api").check())
    await asyncio.sleep(0)
    closing = asyncio.ensure_future(svc.aclose())
    await asyncio.sleep(0)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    verdict = await check
    assert verdict.degraded
    left = asyncio.all_tasks() - before
    if left:
        await asyncio.wait(left, timeout=1)
    assert not asyncio.all_tasks() - before


async def test_copies_of_a_process_acknowledge_apart() -> None:
    """As after a fork: made once, entered in each worker."""
    svc = made()
    clients = []
    for _ in range(2):
        async with svc:
            running = engine(svc)._running
            assert running is not None
            clients.append(running[2]._identity.client)
    assert clients[0] != clients[1]
