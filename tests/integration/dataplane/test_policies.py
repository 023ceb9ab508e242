import time
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from carnelian.policies.wire import CLIENTS, DOCUMENTS, SEEN, Acknowledgement, Document
from carnelian_operator.dataplane.client import RefusedError
from carnelian_operator.policies.desired import Desired, desired_documents
from carnelian_operator.policies.held import is_current
from carnelian_operator.policies.store import publish, read
from tests.integration.dataplane.users import address, user_lines
from tests.integration.servers import Engine, Server, standalone

pytestmark = pytest.mark.integration


@pytest.fixture
async def primary(engine: Engine) -> AsyncIterator[Server]:
    async with standalone(engine, lines=user_lines(engine)) as server:
        yield server


def rule(name: str, generation: int = 1, **body: Any) -> dict[str, Any]:
    rules = [{"name": "each", "limit": generation, "key": [], "match": []}]
    spec = {"clusterRef": {"name": "shop"}, "rules": rules, **body}
    return {"kind": "RateLimitRule", "metadata": {"name": name, "generation": generation}, "spec": spec}


def desired(*rules: dict[str, Any]) -> Desired:
    return desired_documents(rules, "shop")


async def test_documents_become_what_is_desired_and_then_nothing_is_written(primary: Server) -> None:
    where, wanted = address(primary), desired(rule("a"), rule("b"))
    assert await publish(where, wanted) == 2
    held = await read(where)
    assert is_current(held, wanted)
    assert {document.epoch for document in held.documents.values()} == {held.epoch}
    dirty = (await primary.info("persistence"))["rdb_changes_since_last_save"]
    assert await publish(where, wanted) == 0
    assert (await primary.info("persistence"))["rdb_changes_since_last_save"] == dirty
    assert await read(where) == held


async def test_only_what_changed_gets_the_new_epoch(primary: Server) -> None:
    where = address(primary)
    await publish(where, desired(rule("a"), rule("b")))
    before = await read(where)
    await publish(where, desired(rule("a", 2), rule("b")))
    after = await read(where)
    assert after.epoch > before.epoch
    assert after.documents["RateLimitRule/a"].epoch == after.epoch
    assert after.documents["RateLimitRule/b"] == before.documents["RateLimitRule/b"]


async def test_documents_without_a_rule_go_and_kept_ones_stay(primary: Server) -> None:
    where = address(primary)
    await publish(where, desired(rule("a"), rule("b"), rule("c")))
    await publish(where, desired(rule("a"), rule("b", canaryPercent=3)))
    assert (await read(where)).documents.keys() == {"RateLimitRule/a", "RateLimitRule/b"}


async def test_an_epoch_follows_the_clock_and_never_repeats_after_lost_data(primary: Server) -> None:
    where = address(primary)
    began = int(time.time() * 1000)
    await publish(where, desired(rule("a")))
    first = (await read(where)).epoch
    assert began <= first <= began + 5000
    await primary.call("FLUSHALL")
    await publish(where, desired(rule("a")))
    assert (await read(where)).epoch > first


async def test_an_epoch_from_a_clock_that_ran_ahead_still_grows(primary: Server) -> None:
    where = address(primary)
    await primary.call("HSET", DOCUMENTS, "@epoch", 9_000_000_000_000)
    await publish(where, desired(rule("a")))
    assert (await read(where)).epoch == 9_000_000_000_001


async def test_a_change_is_announced_once_and_nothing_else_is(primary: Server) -> None:
    where = address(primary)
    await publish(where, desired(rule("a")))
    await publish(where, desired(rule("a")))
    stats = await primary.info("commandstats")
    assert stats["cmdstat_publish"].startswith("calls=1,")


async def test_text_that_looks_like_ours_travels_unchanged(primary: Server) -> None:
    body = {"text": 'x","epoch":0,"y\\%s%d\n\u2028', "empty": [], "none": {}}
    wanted = Desired((Document(schema=1, kind="RateLimitRule", name="a", generation=1, epoch=0, hash="h", body=body),))
    assert await publish(address(primary), wanted) == 1
    held = await read(address(primary))
    assert is_current(held, wanted)
    assert held.documents["RateLimitRule/a"].body == body
    assert await publish(address(primary), wanted) == 0


async def test_processes_count_while_they_are_heard_of(primary: Server) -> None:
    now = int(time.time() * 1000)
    for name, ago in (("young", 0), ("old", 60_000)):
        said = msgspec.json.encode(Acknowledgement(client=name, epoch=5))
        await primary.call("HSET", CLIENTS, name, said)
        await primary.call("ZADD", SEEN, now - ago, name)
    await primary.call("HSET", CLIENTS, "garbage", "{")
    await primary.call("ZADD", SEEN, now, "garbage")
    (client,) = (await read(address(primary))).clients
    assert client.said.client == "young"
    assert 10 < client.expires_in <= 15


async def test_a_replica_is_not_asked(primary: Server) -> None:
    await primary.call("REPLICAOF", "127.0.0.1", 1)
    with pytest.raises(RefusedError, match="no primary any more"):
        await read(address(primary))
    with pytest.raises(RefusedError, match="EVAL"):
        await publish(address(primary), desired(rule("a")))


@pytest.mark.parametrize("epoch", ["", "soon", "-1", "1e300", "9" * 30])
async def test_what_an_application_writes_over_the_epoch_stops_nothing(primary: Server, epoch: str) -> None:
    where = address(primary)
    await publish(where, desired(rule("a")))
    await primary.call("HSET", DOCUMENTS, "@epoch", epoch)
    assert (await read(where)).epoch == 0
    await publish(where, desired(rule("b")))
    held = await read(where)
    assert is_current(held, desired(rule("b")))
    assert held.epoch > 1_000_000_000_000
