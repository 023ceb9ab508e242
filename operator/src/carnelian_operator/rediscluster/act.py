"""Carries out a plan's actions. Each disruptive one first looks, on fresh data, whether it is still right."""

import asyncio
from collections.abc import Coroutine, Sequence
from functools import singledispatchmethod
from itertools import groupby
from typing import Any

import structlog

from carnelian_operator.dataplane import commands
from carnelian_operator.dataplane.client import Address, RefusedError, UnreachableError
from carnelian_operator.dataplane.probe import probe_server, probe_servers
from carnelian_operator.dataplane.state import Server
from carnelian_operator.engines.acl import OPERATOR, SENTINEL
from carnelian_operator.engines.sentinel_conf import SENTINEL_PORT
from carnelian_operator.engines.server_conf import DATA_PORT
from carnelian_operator.rediscluster.instance import ROLE_LABEL
from carnelian_operator.rediscluster.kinds import POD, REDIS_CLUSTER, SECRET
from carnelian_operator.rediscluster.manifests.secrets import credentials, new_passwords
from carnelian_operator.rediscluster.observe import addresses
from carnelian_operator.rediscluster.plan.actions import (
    Action,
    Apply,
    CreateCredentials,
    Follow,
    Handover,
    KillClients,
    LabelRole,
    Promote,
    RecordPrimary,
    RestartPod,
    SetConfig,
    Unwatch,
    WatchPrimary,
)
from carnelian_operator.rediscluster.plan.candidates import would_lose_data
from carnelian_operator.rediscluster.plan.events import Happening
from carnelian_operator.rediscluster.snapshot import Snapshot
from carnelian_operator.runtime.api import Kube, KubeError, Object

_log = structlog.get_logger(__name__)
_HANDOVER_SECONDS = 5.0
_ORDERED = (CreateCredentials, Apply, RecordPrimary, Promote, Handover, RestartPod)
"""What comes after one of these relies on it, so a failure ends the pass. The others are independent repairs."""


class ChangedError(Exception):
    """The world is no longer what the plan was made for; nothing was done."""


DATA_PLANE_ERRORS = (UnreachableError, RefusedError, ChangedError)
"""Failures that the next look at the servers will explain; not the API server's."""


class Actor:
    """Carries out the actions of one pass.

    Args:
        kube: Writes to the API server.
        resource: The `RedisCluster` object.
        snapshot: What the plan was made from.
    """

    def __init__(self, kube: Kube, resource: Object, snapshot: Snapshot) -> None:
        self._kube = kube
        self._resource = resource
        self._snapshot = snapshot
        self._instance = snapshot.instance
        password = (snapshot.passwords or {}).get(OPERATOR, "")
        self._servers = addresses(snapshot.pods, DATA_PORT, password)
        self._sentinels = addresses(snapshot.sentinel_pods, SENTINEL_PORT, password)

    async def carry_out(self, actions: Sequence[Action]) -> bool:
        """Do everything in order; repairs of one sort side by side.

        Returns:
            Whether everything succeeded; what did not is logged, and observed anew by the next pass.

        Raises:
            KubeError: the API server refused a write.
        """
        complete = True
        for sort, group in groupby(actions, type):
            if sort in _ORDERED:
                for action in group:
                    if not await self._attempt(action):
                        return False
            else:
                complete &= all(await asyncio.gather(*(self._attempt(action) for action in group)))
        return complete

    async def _attempt(self, action: Action) -> bool:
        if not isinstance(action, Apply):
            _log.info("acting", action=type(action).__name__, **_loggable(action))
        try:
            await self._do(action)
        except DATA_PLANE_ERRORS as error:
            _log.warning("an action did not succeed", action=type(action).__name__, error=str(error))
            return False
        return True

    @singledispatchmethod
    def _do(self, action: Any) -> Coroutine[Any, Any, None]:
        raise TypeError(f"no such action: {action}")

    @_do.register
    async def _(self, action: CreateCredentials) -> None:
        _ = action
        await self._kube.create(SECRET, credentials(self._instance, new_passwords()))

    @_do.register
    async def _(self, action: Apply) -> None:
        _log.info("acting", action="Apply", kind=action.kind.kind, name=action.manifest["metadata"]["name"])
        await self._kube.apply(action.kind, action.manifest)

    @_do.register
    async def _(self, action: RecordPrimary) -> None:
        status = self._snapshot.status.model_copy(update={"primary": action.primary})
        instance = self._instance
        await self._kube.patch_status(REDIS_CLUSTER, instance.namespace, instance.name, status.dump(), instance.uid)

    @_do.register
    async def _(self, action: Promote) -> None:
        await self._require_record(action.pod)
        states = await probe_servers(self._servers, ())
        living = [pod for pod, state in states.items() if state is not None and state.is_primary]
        if living == [action.pod]:
            return
        if living:
            raise ChangedError(f"{', '.join(living)} takes writes already; not promoting {action.pod}")
        chosen = states.get(action.pod)
        if chosen is None or chosen.loading:
            raise ChangedError(f"{action.pod} does not answer any more; not promoting it")
        fuller = [pod for pod, state in states.items() if state is not None and state.keys > 0]
        if chosen.keys == 0 and fuller:
            raise ChangedError(f"{action.pod} is empty while {', '.join(fuller)} holds data; not promoting it")
        await commands.promote(self._servers[action.pod])

    @_do.register
    async def _(self, action: Handover) -> None:
        await self._require_record(action.new)
        old, new = await asyncio.gather(self._probe(action.old), self._probe(action.new))
        if new.is_primary and not old.is_primary:
            return
        if not old.is_primary or not new.link_up:
            raise ChangedError(f"{action.new} is no linked replica of {action.old} any more; not handing over")
        await commands.failover_to(
            self._servers[action.old], self._instance.data_host(action.new), DATA_PORT, seconds=_HANDOVER_SECONDS
        )

    @_do.register
    async def _(self, action: Follow) -> None:
        replica, primary = await asyncio.gather(self._probe(action.pod), self._probe(action.primary))
        if not primary.is_primary:
            raise ChangedError(f"{action.primary} is no primary any more; {action.pod} stays as it is")
        if would_lose_data(primary, replica):
            raise ChangedError(f"{action.pod} holds data that the empty {action.primary} lacks; it stays as it is")
        await commands.follow(self._servers[action.pod], self._instance.data_host(action.primary), DATA_PORT)

    @_do.register
    async def _(self, action: KillClients) -> None:
        await commands.kill_clients(self._server(action.pod))

    @_do.register
    async def _(self, action: WatchPrimary) -> None:
        instance = self._instance
        if not (await self._probe(action.primary)).is_primary:
            raise ChangedError(f"{action.primary} is no primary any more; {action.sentinel} stays as it is")
        sentinels = instance.spec.sentinels
        target = commands.Watch(
            instance.master_name,
            instance.data_host(action.primary),
            DATA_PORT,
            instance.quorum,
            sentinels.detection_milliseconds if sentinels else 0,
        )
        await commands.watch(self._sentinels[action.sentinel], target, (self._snapshot.passwords or {})[SENTINEL])

    @_do.register
    async def _(self, action: Unwatch) -> None:
        await commands.unwatch(self._sentinels[action.sentinel], action.master_name)

    @_do.register
    async def _(self, action: SetConfig) -> None:
        await commands.set_config(self._server(action.pod), action.values)

    @_do.register
    async def _(self, action: LabelRole) -> None:
        metadata: dict[str, Any] = {"name": action.pod, "namespace": self._instance.namespace, "uid": action.uid}
        if action.role is not None:
            metadata["labels"] = {ROLE_LABEL: action.role}
        try:
            await self._kube.apply(POD, {"apiVersion": "v1", "kind": "Pod", "metadata": metadata})
        except KubeError as error:
            if error.status not in {404, 409, 422}:
                raise
            raise ChangedError(f"pod {action.pod} is another one by now: {error.reason}") from error

    @_do.register
    async def _(self, action: RestartPod) -> None:
        instance = self._instance
        pod = await self._kube.get(POD, instance.namespace, action.pod)
        if pod is None or pod["metadata"]["uid"] != action.uid or "deletionTimestamp" in pod["metadata"]:
            return
        if instance.replicated and action.pod in self._servers:
            state = (await probe_servers({action.pod: self._servers[action.pod]}, ()))[action.pod]
            if state is not None and state.is_primary:
                raise ChangedError(f"{action.pod} became the primary; not restarting it")
        note = f"restarting {action.pod}: {action.why}"
        await self._kube.event(self._resource, reason=Happening.ROLLING_OUT.value, note=note, action="RestartPod")
        await self._kube.delete(POD, instance.namespace, action.pod, action.uid)

    async def _require_record(self, pod: str) -> None:
        """The record must name the pod, as the API server has it now: another process may have decided otherwise."""
        instance = self._instance
        fresh = await self._kube.get(REDIS_CLUSTER, instance.namespace, instance.name)
        if fresh is None or fresh["metadata"]["uid"] != instance.uid:
            raise ChangedError(f"{instance.name} is gone")
        recorded = ((fresh.get("status") or {}).get("primary") or {}).get("name")
        if recorded != pod:
            raise ChangedError(f"the status names {recorded} as primary, not {pod}")

    async def _probe(self, pod: str) -> Server:
        return await probe_server(self._server(pod), ())

    def _server(self, pod: str) -> Address:
        address = self._servers.get(pod)
        if address is None:
            raise ChangedError(f"{pod} has no address")
        return address


def _loggable(action: Action) -> dict[str, Any]:
    return {name: str(getattr(action, name)) for name in type(action).__dataclass_fields__ if name != "uid"}
