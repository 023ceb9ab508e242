"""Snapshots for tests, healthy unless said otherwise."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from carnelian_operator.api.rediscluster import Mode, PrimaryStatus, RedisClusterSpec, RedisClusterStatus
from carnelian_operator.dataplane.state import PRIMARY, REPLICA, Sentinel, Server, Watched
from carnelian_operator.engines.acl import USERS
from carnelian_operator.engines.server_conf import DATA_PORT, live_settings
from carnelian_operator.rediscluster.instance import Instance
from carnelian_operator.rediscluster.kinds import STATEFUL_SET
from carnelian_operator.rediscluster.manifests import all_manifests
from carnelian_operator.rediscluster.plan.children import _stamped
from carnelian_operator.rediscluster.snapshot import Pod, Snapshot
from carnelian_operator.runtime.api import Kind, Object

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SINCE = "2026-01-01T00:00:00Z"
PASSWORDS = {user: f"secret-of-{user}" for user in USERS}
REVISION = "shop-7d9f"


def instance(mode: Mode = Mode.REPLICATION, *, restarted_at: str | None = None, **spec: Any) -> Instance:
    return Instance(
        namespace="web",
        name="shop",
        uid="11112222-3333-4444-5555-666677778888",
        generation=3,
        spec=RedisClusterSpec.model_validate({"mode": mode.value, **spec}),
        restarted_at=restarted_at,
    )


def pods(names: tuple[str, ...], role_of: Mapping[str, str] | None = None) -> dict[str, Pod]:
    roles = role_of or {}
    return {
        name: Pod(
            name=name,
            uid=f"uid-{name}",
            revision=REVISION,
            ip=f"10.0.0.{position}",
            node=f"node{position}",
            ready=True,
            role=roles.get(name),
        )
        for position, name in enumerate(names, 1)
    }


def live_objects(of: Instance) -> dict[tuple[Kind, str], Object]:
    """The instance's objects as the API server would hold them."""
    found: dict[tuple[Kind, str], Object] = {}
    for kind, manifest in all_manifests(of, PASSWORDS, None):
        obj = dict(_stamped(manifest))
        if kind == STATEFUL_SET:
            obj = {**obj, "metadata": {**obj["metadata"], "generation": 1}}
        found[kind, obj["metadata"]["name"]] = obj
    return found


def healthy(of: Instance | None = None, *, primary: str = "shop-0", keys: int = 5, offset: int = 1000) -> Snapshot:
    """An instance in which nothing is left to do."""
    of = of or instance()
    config = live_settings(of.settings)
    replicas = [pod for pod in of.data_pods if pod != primary]
    servers = {primary: Server(role=PRIMARY, keys=keys, replid="a", offset=offset, config=config)}
    servers[primary] = replace(servers[primary], replicas=tuple(of.data_host(pod) for pod in replicas))
    for pod in replicas:
        servers[pod] = Server(
            role=REPLICA,
            keys=keys,
            replid="a",
            offset=offset,
            primary=(of.data_host(primary), DATA_PORT),
            link_up=True,
            config=config,
        )
    roles = {pod: "primary" if pod == primary else "replica" for pod in of.data_pods}
    return Snapshot(
        now=NOW,
        instance=of,
        status=RedisClusterStatus(primary=PrimaryStatus(name=primary, epoch=1, since=SINCE)),
        passwords=PASSWORDS,
        live=live_objects(of),
        pods=pods(of.data_pods, roles),
        sentinel_pods=pods(of.sentinel_pods),
        data_revision=REVISION,
        sentinel_revision=REVISION if of.replicated else None,
        servers=servers,
        sentinels={pod: watching(of, primary) for pod in of.sentinel_pods},
    )


def watching(of: Instance, primary: str, *flags: str) -> Sentinel:
    detection = of.spec.sentinels.detection_milliseconds if of.spec.sentinels else 0
    return Sentinel(
        watched=Watched(
            host=of.data_host(primary),
            port=DATA_PORT,
            flags=frozenset({"master", *flags}),
            quorum=of.quorum,
            other_sentinels=of.sentinel_count - 1,
            down_after=detection,
            replicas=tuple(of.data_host(pod) for pod in of.data_pods if pod != primary),
        )
    )


def fenced(server: Server, **changes: Any) -> Server:
    """The server as it is after its process died and started anew."""
    changes = {"replid": "new", "offset": 0, **changes}
    return replace(server, role=REPLICA, primary=("127.0.0.1", 1), link_up=False, replicas=(), **changes)


def without(snapshot: Snapshot, *pods_away: str) -> Snapshot:
    """The same, where these servers do not answer."""
    servers = {pod: server for pod, server in snapshot.servers.items() if pod not in pods_away}
    return replace(snapshot, servers=servers)


def with_servers(snapshot: Snapshot, **changed: Server) -> Snapshot:
    """The same, with other servers; underscores of the names stand for dashes."""
    servers = {pod.replace("_", "-"): server for pod, server in changed.items()}
    return replace(snapshot, servers={**snapshot.servers, **servers})
