"""Reads the live state of data nodes and Sentinels."""

import asyncio
from collections.abc import Awaitable, Iterable, Mapping
from typing import Any, TypeVar

from redis.exceptions import ResponseError

from carnelian_operator.dataplane.client import Address, UnreachableError, ask
from carnelian_operator.dataplane.state import PRIMARY, REPLICA, Sentinel, Server, Watched

_State = TypeVar("_State")


async def probe_servers(addresses: Mapping[str, Address], directives: Iterable[str]) -> dict[str, Server | None]:
    """Every data node's state by the mapping's keys; None where there was no answer. All are asked at once."""
    wanted = sorted(directives)
    states = await asyncio.gather(*(_quiet(probe_server(address, wanted)) for address in addresses.values()))
    return dict(zip(addresses, states, strict=True))


async def probe_sentinels(addresses: Mapping[str, Address], master_name: str) -> dict[str, Sentinel | None]:
    """Every Sentinel's state by the mapping's keys; None where there was no answer. All are asked at once."""
    states = await asyncio.gather(*(_quiet(probe_sentinel(address, master_name)) for address in addresses.values()))
    return dict(zip(addresses, states, strict=True))


async def probe_server(address: Address, directives: Iterable[str]) -> Server:
    """One data node's state.

    Raises:
        UnreachableError: no answer in time, or none that makes sense.
    """
    sections = ("server", "persistence", "replication", "keyspace")
    wanted = tuple(directives) or ("port",)
    info, config = await ask(address, [("INFO", *sections), ("CONFIG", "GET", *wanted)])
    if isinstance(info, ResponseError):
        raise UnreachableError(f"{address}: {info}")
    return parse_server(info, {} if isinstance(config, ResponseError) else _pairs(config))


async def probe_sentinel(address: Address, master_name: str) -> Sentinel:
    """One Sentinel's state.

    Raises:
        UnreachableError: no answer in time, or none that makes sense.
    """
    masters, replicas = await ask(address, [("SENTINEL", "MASTERS"), ("SENTINEL", "REPLICAS", master_name)])
    if isinstance(masters, ResponseError):
        raise UnreachableError(f"{address}: {masters}")
    known = [] if isinstance(replicas, ResponseError) else [_pairs(replica) for replica in replicas]
    return parse_sentinel([_pairs(master) for master in masters], known, master_name)


def parse_server(info: str, config: Mapping[str, str]) -> Server:
    """What ``INFO`` and ``CONFIG GET`` say about a data node."""
    facts = dict(line.split(":", 1) for line in info.splitlines() if ":" in line)
    is_replica = facts.get("role") == "slave"
    host = facts.get("master_host", "")
    return Server(
        role=REPLICA if is_replica else PRIMARY,
        version=facts.get("valkey_version") or facts.get("redis_version", ""),
        loading=facts.get("loading", "0") != "0" or facts.get("async_loading", "0") != "0",
        keys=sum(int(_fields(value)["keys"]) for name, value in facts.items() if _is_database(name)),
        replid=facts.get("master_replid", ""),
        replid2=facts.get("master_replid2", ""),
        offset=int(facts.get("slave_repl_offset" if is_replica else "master_repl_offset", 0)),
        primary=(host, int(facts.get("master_port", 0))) if is_replica else None,
        link_up=facts.get("master_link_status") == "up",
        syncing=facts.get("master_sync_in_progress", "0") != "0",
        replicas=tuple(_online_replicas(facts)),
        write_failed=facts.get("aof_enabled") == "1" and facts.get("aof_last_write_status", "ok") != "ok",
        failover=facts.get("master_failover_state", "no-failover"),
        config=dict(config),
    )


def parse_sentinel(masters: list[dict[str, str]], replicas: list[dict[str, str]], master_name: str) -> Sentinel:
    """What ``SENTINEL MASTERS`` and ``SENTINEL REPLICAS`` say."""
    ours = next((master for master in masters if master["name"] == master_name), None)
    strangers = tuple(sorted(master["name"] for master in masters if master["name"] != master_name))
    if ours is None:
        return Sentinel(strangers=strangers)
    watched = Watched(
        host=ours["ip"],
        port=int(ours["port"]),
        flags=frozenset(ours["flags"].split(",")),
        quorum=int(ours["quorum"]),
        other_sentinels=int(ours["num-other-sentinels"]),
        down_after=int(ours["down-after-milliseconds"]),
        config_epoch=int(ours["config-epoch"]),
        replicas=tuple(sorted(replica["ip"] for replica in replicas)),
    )
    return Sentinel(watched=watched, strangers=strangers)


def _online_replicas(facts: Mapping[str, str]) -> Iterable[str]:
    for name, value in facts.items():
        if name.startswith("slave") and name[5:].isdigit():
            replica = _fields(value)
            if replica.get("state") == "online":
                yield replica["ip"]


def _is_database(name: str) -> bool:
    return name.startswith("db") and name[2:].isdigit()


def _fields(value: str) -> dict[str, str]:
    return dict(field.split("=", 1) for field in value.split(","))


def _pairs(flat: Any) -> dict[str, str]:
    return {str(name): str(value) for name, value in zip(flat[::2], flat[1::2], strict=True)}


async def _quiet(probe: Awaitable[_State]) -> _State | None:
    try:
        return await probe
    except UnreachableError:
        return None
