"""Leader election by one Lease.

`Election` is the judgement: a pure state machine over what was read, with a clock from outside. `Elector` carries it
out.

A candidate takes a lease that it has seen unchanged for the lease's whole duration on its own clock (clocks of
different nodes are never compared), or one that was given back. Writes carry the resource version, so of two candidates
one wins. A leader that could not renew for `Timing.renew_deadline` stops, a good while before the lease's duration ends
and anybody else may lead; `Elector.fence` refuses its writes even when the event loop was too busy, or the process
frozen, to notice in time.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import Any, Literal

import structlog

from carnelian_operator.runtime import metrics
from carnelian_operator.runtime.api import Kind, KubeError, Object
from carnelian_operator.runtime.kubeclient import KubeClient, path_of

LEASE = Kind("coordination.k8s.io", "v1", "Lease", "leases")
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds, as in client-go."""

    duration: int = 15
    renew_deadline: float = 10.0
    retry: float = 2.0


@dataclass(frozen=True, slots=True)
class Claim:
    """A write that makes or keeps us leader."""

    verb: Literal["create", "update"]
    manifest: dict[str, Any]


class Election:
    """See the module. All times are of one monotonic clock, in seconds."""

    def __init__(self, identity: str, namespace: str, name: str, timing: Timing) -> None:
        self.identity = identity
        self._namespace = namespace
        self._name = name
        self._timing = timing
        self._seen: tuple[str, float] | None = None
        """The lease's resource version, and since when we know it."""
        self._held_since_request: float | None = None

    def consider(self, lease: Object | None, now: float, wall: datetime) -> Claim | None:
        """What to write, given the lease as it was just read (None: there is none)."""
        stamp = wall.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        if lease is None:
            metadata = {"namespace": self._namespace, "name": self._name}
            return Claim("create", self._manifest(metadata, stamp, stamp, 0))
        spec, metadata = lease.get("spec") or {}, lease["metadata"]
        version = metadata["resourceVersion"]
        if self._seen is None or self._seen[0] != version:
            self._seen = (version, now)
        holder = spec.get("holderIdentity") or ""
        duration = spec.get("leaseDurationSeconds") or self._timing.duration
        if holder not in ("", self.identity) and now < self._seen[1] + duration:
            return None
        kept = {
            key: metadata[key] for key in ("namespace", "name", "uid", "resourceVersion", "labels") if key in metadata
        }
        ours = holder == self.identity
        since = spec.get("acquireTime") or stamp if ours else stamp
        return Claim("update", self._manifest(kept, stamp, since, (spec.get("leaseTransitions") or 0) + (not ours)))

    def claimed(self, requested: float) -> None:
        """Our write was stored; it had been sent at `requested`, so the lease lasts at least from then."""
        self._held_since_request = requested

    def lost(self) -> None:
        """Another one leads, or we gave the lease back."""
        self._held_since_request = None

    def leads(self, now: float) -> bool:
        """Whether we may act: not after the renew deadline, which lies before the lease's end."""
        return self._held_since_request is not None and now < self._held_since_request + self._timing.renew_deadline

    def stops_at(self) -> float | None:
        """When we cease to lead unless we renew."""
        return None if self._held_since_request is None else self._held_since_request + self._timing.renew_deadline

    def release(self, lease: Object, wall: datetime) -> dict[str, Any]:
        """The lease, given back: the next candidate need not wait."""
        stamp = wall.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        released = dict(lease)
        released["spec"] = {**lease["spec"], "holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": stamp}
        return released

    def _manifest(self, metadata: dict[str, Any], renewed: str, acquired: str, transitions: int) -> dict[str, Any]:
        spec = {
            "holderIdentity": self.identity,
            "leaseDurationSeconds": self._timing.duration,
            "acquireTime": acquired,
            "renewTime": renewed,
            "leaseTransitions": transitions,
        }
        return {"apiVersion": LEASE.api_version, "kind": LEASE.kind, "metadata": metadata, "spec": spec}


class Elector:
    """Competes for the lease, and runs `lead` while it is held."""

    def __init__(self, kube: KubeClient, election: Election, namespace: str, name: str, timing: Timing) -> None:
        self._kube = kube
        self._election = election
        self._where = (namespace, name)
        self._path = path_of(LEASE, namespace, name)
        self._timing = timing
        self._clock = asyncio.get_running_loop().time
        self._random = Random()  # noqa: S311 - jitter

    def fence(self) -> None:
        """Refuse a write when we may not lead any more.

        Raises:
            KubeError: with reason ``NotLeader``.
        """
        if not self._election.leads(self._clock()):
            raise KubeError(0, "NotLeader", f"{self._election.identity} does not hold the lease {self._path}")

    @property
    def leading(self) -> bool:
        """Whether we lead now."""
        return self._election.leads(self._clock())

    async def run(self, lead: Callable[[], Awaitable[None]], stop: asyncio.Event) -> None:
        """Compete until `stop`, then give the lease back.

        Args:
            lead: started each time we become leader, cancelled when we lose the lease; when `stop` is set it ends by
                itself, with the lease still renewed. When it fails, so does this.
            stop: ends all.
        """
        while not stop.is_set():
            if await self._try():
                await self._term(lead, stop)
                continue
            await _sleep(self._timing.retry * (1 + 0.2 * self._random.random()), stop)

    async def _term(self, lead: Callable[[], Awaitable[None]], stop: asyncio.Event) -> None:
        _log.info("leading", identity=self._election.identity, lease=self._path)
        metrics.LEADER.set(1)
        work = asyncio.ensure_future(lead())
        renewing = asyncio.create_task(self._renew(), name="renew the lease")
        try:
            await asyncio.wait({work, renewing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            metrics.LEADER.set(0)
            for task in (work, renewing):
                task.cancel()
            await asyncio.wait({work, renewing})
            if self._election.leads(self._clock()):
                await self._release()
            self._election.lost()
        if not work.cancelled():
            work.result()
        if not stop.is_set():
            _log.warning("no longer leading; standing by", identity=self._election.identity)

    async def _renew(self) -> None:
        """Renew until that has failed for the renew deadline, or another one leads."""
        while (deadline := self._election.stops_at()) is not None:
            await asyncio.sleep(min(self._timing.retry, max(deadline - self._clock(), 0)))
            try:
                async with asyncio.timeout_at(deadline):
                    await self._try()
            except TimeoutError:
                pass
            if not self._election.leads(self._clock()):
                return

    async def _try(self) -> bool:
        """Read, judge, write. True when we hold the lease afterwards."""
        try:
            lease = await self._kube.get(LEASE, *self._where)
            claim = self._election.consider(lease, self._clock(), datetime.now(UTC))
            if claim is None:
                if self._election.stops_at() is not None:
                    self._election.lost()
                return False
            requested = self._clock()  # the lease lasts at least from here
            if claim.verb == "create":
                await self._kube.request(
                    "POST", LEASE, path_of(LEASE, self._where[0]), body=claim.manifest, verb="create"
                )
            else:
                await self._kube.request("PUT", LEASE, self._path, body=claim.manifest, verb="update")
        except KubeError as error:
            if error.status not in (404, 409):
                _log.warning("the lease could not be read or written", lease=self._path, error=str(error))
            return False
        self._election.claimed(requested)
        return True

    async def _release(self) -> None:
        try:
            lease = await self._kube.get(LEASE, *self._where)
            if lease is not None and lease["spec"].get("holderIdentity") == self._election.identity:
                body = self._election.release(lease, datetime.now(UTC))
                await self._kube.request("PUT", LEASE, self._path, body=body, verb="update")
                _log.info("gave the lease back", lease=self._path)
        except KubeError as error:
            _log.warning("the lease was not given back; others wait until it ends", error=str(error))


async def _sleep(seconds: float, stop: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return
