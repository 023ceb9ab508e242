"""Reads everything about one instance, once."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime

from carnelian_operator.api.rediscluster import RedisClusterStatus
from carnelian_operator.dataplane.client import Address
from carnelian_operator.dataplane.probe import probe_sentinels, probe_servers
from carnelian_operator.engines.acl import OPERATOR
from carnelian_operator.engines.sentinel_conf import SENTINEL_PORT
from carnelian_operator.engines.server_conf import DATA_PORT, ELECTABLE, live_settings
from carnelian_operator.rediscluster.instance import DATA, SENTINEL, Instance
from carnelian_operator.rediscluster.kinds import (
    CONFIG_MAP,
    DISRUPTION_BUDGET,
    POD,
    SECRET,
    SERVICE,
    STATEFUL_SET,
    VOLUME_CLAIM,
)
from carnelian_operator.rediscluster.manifests.secrets import read_passwords
from carnelian_operator.rediscluster.pods import read_pod
from carnelian_operator.rediscluster.snapshot import Pod, Snapshot
from carnelian_operator.runtime.api import Cache, Kind, Kube, Object


async def observe(
    cache: Cache, kube: Kube, instance: Instance, status: RedisClusterStatus, undecided_seconds: float
) -> Snapshot:
    """One immutable reading: objects from the cache, servers over the network, all at once.

    Args:
        cache: The watched objects.
        kube: For objects that the cache lacks: absence decides about creation and must be certain.
        instance: What was asked for.
        status: The status as last written.
        undecided_seconds: See `Snapshot`.
    """
    live = await _objects(cache, kube, instance)
    passwords, problem = _passwords(live.get((SECRET, instance.credentials_name)))
    pods = _pods(cache, instance, DATA)
    sentinel_pods = _pods(cache, instance, SENTINEL)
    password = (passwords or {}).get(OPERATOR, "")
    servers, sentinels = await asyncio.gather(
        probe_servers(addresses(pods, DATA_PORT, password), live_settings(instance.settings) | ELECTABLE),
        probe_sentinels(addresses(sentinel_pods, SENTINEL_PORT, password), instance.master_name),
    )
    return Snapshot(
        now=datetime.now(UTC),
        instance=instance,
        status=status,
        passwords=passwords,
        credentials_problem=problem,
        live=live,
        pods=pods,
        sentinel_pods=sentinel_pods,
        data_revision=_revision(live.get((STATEFUL_SET, instance.name))),
        sentinel_revision=_revision(live.get((STATEFUL_SET, instance.sentinel_name))),
        servers={pod: state for pod, state in servers.items() if state is not None},
        sentinels={pod: state for pod, state in sentinels.items() if state is not None},
        undecided_seconds=undecided_seconds,
    )


def addresses(pods: Mapping[str, Pod], port: int, password: str) -> dict[str, Address]:
    """Where the operator reaches each pod's server; pods without an address are left out."""
    if not password:
        return {}
    return {name: Address(pod.ip, port, OPERATOR, password) for name, pod in pods.items() if pod.ip}


def needed_objects(instance: Instance) -> list[tuple[Kind, str]]:
    """Kind and name of every object that the instance is made of."""
    needed = [
        (SECRET, instance.credentials_name),
        (SECRET, instance.binding_name),
        (CONFIG_MAP, instance.config_name),
        (SERVICE, instance.nodes_name),
        (SERVICE, instance.primary_name),
        (STATEFUL_SET, instance.name),
    ]
    if instance.replicated:
        needed += [(SERVICE, instance.replicas_name), (SERVICE, instance.sentinel_name)]
        needed += [(STATEFUL_SET, instance.sentinel_name)]
        needed += [(DISRUPTION_BUDGET, instance.name), (DISRUPTION_BUDGET, instance.sentinel_name)]
    return needed


async def _objects(cache: Cache, kube: Kube, instance: Instance) -> dict[tuple[Kind, str], Object]:
    async def find(kind: Kind, name: str) -> Object | None:
        return cache.get(kind, instance.namespace, name) or await kube.get(kind, instance.namespace, name)

    needed = needed_objects(instance)
    found = await asyncio.gather(*(find(kind, name) for kind, name in needed))
    claims = cache.list(VOLUME_CLAIM, instance.namespace, instance.selector(DATA))
    live = {key: obj for key, obj in zip(needed, found, strict=True) if obj is not None}
    return live | {(VOLUME_CLAIM, claim["metadata"]["name"]): claim for claim in claims}


def _pods(cache: Cache, instance: Instance, component: str) -> dict[str, Pod]:
    pods = cache.list(POD, instance.namespace, instance.selector(component))
    return {pod["metadata"]["name"]: read_pod(pod) for pod in pods}


def _passwords(secret: Object | None) -> tuple[dict[str, str] | None, str | None]:
    if secret is None:
        return None, None
    try:
        return read_passwords(secret), None
    except ValueError as error:
        return None, str(error)


def _revision(stateful_set: Object | None) -> str | None:
    """The revision that pods should have, if its controller has seen the newest template."""
    if stateful_set is None:
        return None
    status = stateful_set.get("status") or {}
    if status.get("observedGeneration") != stateful_set["metadata"].get("generation"):
        return None
    revision = status.get("updateRevision")
    return str(revision) if revision else None
