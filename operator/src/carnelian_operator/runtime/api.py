"""The surface between the runtime and the controllers.

A controller reconciles one kind. The runtime feeds its cache from watches, maps every event to the keys it
concerns, and calls `reconcile` for one key at a time (several keys side by side). Controllers read the cache,
write through `Kube`, and never touch kopf.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NamedTuple, Protocol

Object = Mapping[str, Any]
"""A Kubernetes object as the API server gave it, without ``metadata.managedFields``. Never changed in place."""


class Kind(NamedTuple):
    """A kind of Kubernetes object, as paths and manifests need it."""

    group: str
    version: str
    kind: str
    plural: str

    @property
    def api_version(self) -> str:
        """``group/version``, or only the version in the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version


class Key(NamedTuple):
    """What a reconcile is for."""

    kind: str
    namespace: str
    name: str


class Priority(IntEnum):
    """Smaller goes first."""

    CHANGED = 0
    RESYNC = 10


@dataclass(frozen=True, slots=True)
class Result:
    """How a reconcile ended; an exception instead means: again, with exponential back-off."""

    requeue_after: float | None = None
    """Seconds until the key wants to be looked at again; None: only on events and the slow resync."""


class KubeError(Exception):
    """The API server refused a call, or could not be reached.

    Attributes:
        status: the HTTP code; 0 when there was no answer (timeout, connection lost): the call may have been
            carried out.
        reason: Kubernetes' word for it, such as ``Conflict``, ``Forbidden``, ``Invalid``; ours are ``Unreachable``,
            ``Timeout`` and ``NotLeader`` (this process may not write any more).
        message: what the server said.
    """

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{status} {reason}: {message}" if status else f"{reason}: {message}")
        self.status = status
        self.reason = reason
        self.message = message


class Cache(Protocol):
    """The watched objects, as last seen."""

    def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        """The object, or None."""
        ...

    def list(self, kind: Kind, namespace: str, labels: Mapping[str, str] | None = None) -> list[Object]:
        """The namespace's objects of that kind that carry all of `labels`, by name."""
        ...


class Kube(Protocol):
    """The few calls to the API server that controllers make. Each has a timeout and is counted.

    Raises:
        KubeError: with `status` (HTTP code) and `reason`; 404 is answered as None where that is natural.
    """

    async def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        """Read one object afresh, or None."""
        ...

    async def list(self, kind: Kind, namespace: str, label_selector: str = "") -> list[Object]:
        """Read the objects of one namespace."""
        ...

    async def apply(self, kind: Kind, manifest: Object) -> Object:
        """Server-side apply of the complete intent, as field manager ``carnelian``, forced."""
        ...

    async def create(self, kind: Kind, manifest: Object) -> Object | None:
        """Create; None when it exists already."""
        ...

    async def patch_status(self, kind: Kind, namespace: str, name: str, status: Mapping[str, Any], uid: str) -> None:
        """Replace the whole status, which is ours alone; refused when the object's uid is another."""
        ...

    async def delete(self, kind: Kind, namespace: str, name: str, uid: str) -> None:
        """Delete with a precondition on the uid; gone already is fine."""
        ...

    async def event(self, regarding: Object, *, reason: str, note: str, action: str, warning: bool = False) -> None:
        """Post an Event about an object; a failure to post is logged, never raised."""
        ...


class Wake(Protocol):
    """Puts a key into the work queue; safe to call from any task."""

    def __call__(self, key: Key, priority: Priority = Priority.CHANGED) -> None:
        """Reconcile `key` soon."""
        ...


class Controller(Protocol):
    """One kind's reconciler."""

    @property
    def primary(self) -> Kind:
        """The kind that it reconciles; all its objects are watched."""
        ...

    @property
    def owned(self) -> Iterable[Kind]:
        """Kinds watched with the label selector ``app.kubernetes.io/managed-by=carnelian``."""
        ...

    def keys_of(self, kind: Kind, obj: Object) -> Iterable[Key]:
        """Which keys an event of any watched kind concerns (own kind, owned kinds, and other controllers' kinds)."""
        ...

    async def reconcile(self, key: Key) -> Result:
        """Observe, plan, act, once. Runs only on the leader, never twice at a time for one key."""
        ...

    async def aclose(self) -> None:
        """Stop background tasks (monitors) and close connections."""
        ...


@dataclass(frozen=True, slots=True)
class Runtime:
    """What the runtime hands to the controllers when it builds them (see ``carnelian_operator.controllers``)."""

    cache: Cache
    kube: Kube
    wake: Wake
