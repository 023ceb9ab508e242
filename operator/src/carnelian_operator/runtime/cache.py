"""The watched objects, as last seen: what controllers read instead of asking the API server.

Two sources write here: complete lists (`replace`), which also tell what is gone, and single events (`put`, `drop`),
which may come late. A resource version tells which is newer, a uid an object from its successor of the same name.
"""

import asyncio
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from carnelian_operator.runtime.api import Kind, Object

_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_Names = dict[str, Object]


def slim(kind: Kind, obj: Mapping[str, Any]) -> dict[str, Any]:
    """A copy without what nobody reads and with shared field names: half the memory of what came over the wire.

    Items of a list come without their kind, so that is put back.
    """
    lean: dict[str, Any] = {"apiVersion": kind.api_version, "kind": kind.kind, **_shared(obj)}
    meta = lean.get("metadata", {})
    meta.pop("managedFields", None)
    if _LAST_APPLIED in (annotations := meta.get("annotations") or {}):
        del annotations[_LAST_APPLIED]
        if not annotations:
            del meta["annotations"]
    return lean


def _shared(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {sys.intern(key): _shared(item) for key, item in value.items() if key != "managedFields"}
    if isinstance(value, list):
        return [_shared(item) for item in value]
    return value


class ObjectCache:
    """`runtime.api.Cache`, with the methods that feed it. All are synchronous: no reader sees half a change."""

    def __init__(self) -> None:
        self._kinds: dict[Kind, dict[str, _Names]] = {}
        self._listed: dict[tuple[Kind, str], int] = {}
        self._newest: dict[Kind, int] = {}
        self._pulse = asyncio.Event()

    def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        """See `Cache.get`."""
        return self._kinds.get(kind, {}).get(namespace, {}).get(name)

    def list(self, kind: Kind, namespace: str, labels: Mapping[str, str] | None = None) -> list[Object]:
        """See `Cache.list`."""
        names = self._kinds.get(kind, {}).get(namespace, {})
        wanted = (labels or {}).items()
        return [
            names[name] for name in sorted(names) if wanted <= (names[name]["metadata"].get("labels") or {}).items()
        ]

    def every(self) -> Iterator[tuple[Kind, Object]]:
        """All objects of all kinds."""
        for kind, spaces in self._kinds.items():
            for names in spaces.values():
                for obj in names.values():
                    yield kind, obj

    def count(self, kind: Kind) -> int:
        """How many objects of a kind there are."""
        return sum(map(len, self._kinds.get(kind, {}).values()))

    def watches(self, kind: Kind) -> bool:
        """Whether objects of this kind come here."""
        return kind in self._newest

    def newest(self, kind: Kind) -> int:
        """The highest resource version that was heard of this kind."""
        return self._newest.get(kind, 0)

    async def changed(self) -> None:
        """Return after the next news of any kind."""
        await self._pulse.wait()

    def put(self, kind: Kind, obj: Mapping[str, Any], watched: str = "") -> bool:
        """Take in an event's object.

        Args:
            kind: of the object.
            obj: as it came.
            watched: the namespace of the watch, empty when that is cluster-wide.

        Returns:
            False when it is old news: we have this version or a newer one, or a newer list had it no more.
        """
        meta = obj["metadata"]
        version = version_of(meta)
        self._heard(kind, version)
        known = self.get(kind, meta.get("namespace", ""), meta["name"])
        newest = self._listed.get((kind, watched), 0) if known is None else version_of(known["metadata"])
        if version <= newest and not (known is not None and version == 0):
            return False
        self._store(kind, slim(kind, obj))
        return True

    def drop(self, kind: Kind, obj: Mapping[str, Any]) -> bool:
        """Take in an event that an object is gone; False when we hold another object of that name, or none."""
        meta = obj["metadata"]
        self._heard(kind, version_of(meta))
        known = self.get(kind, meta.get("namespace", ""), meta["name"])
        if known is None or known["metadata"].get("uid") != meta.get("uid"):
            return False
        self._remove(kind, meta.get("namespace", ""), meta["name"])
        return True

    def replace(self, kind: Kind, watched: str, objects: Iterable[Mapping[str, Any]], version: str) -> Sequence[Object]:
        """Take in a complete list of a namespace (empty: of all).

        Returns:
            The objects that are new, changed or gone since.
        """
        spaces = self._kinds.get(kind, {})
        before = {
            (space, name): obj
            for space, names in spaces.items()
            if not watched or space == watched
            for name, obj in names.items()
        }
        touched: deque[Object] = deque()
        for obj in objects:
            meta = obj["metadata"]
            known = before.pop((meta.get("namespace", ""), meta["name"]), None)
            if known is None or known["metadata"].get("resourceVersion") != meta.get("resourceVersion"):
                lean = slim(kind, obj)
                self._store(kind, lean)
                touched.append(lean)
        for (space, name), gone in before.items():
            self._remove(kind, space, name)
            touched.append(gone)
        self._listed[kind, watched] = listed = int(version) if version.isdigit() else 0
        self._heard(kind, listed)
        return touched

    def _heard(self, kind: Kind, version: int) -> None:
        self._newest[kind] = max(version, self._newest.get(kind, 0))
        self._pulse.set()
        self._pulse = asyncio.Event()

    def _store(self, kind: Kind, lean: Object) -> None:
        meta = lean["metadata"]
        self._kinds.setdefault(kind, {}).setdefault(meta.get("namespace", ""), {})[meta["name"]] = lean

    def _remove(self, kind: Kind, namespace: str, name: str) -> None:
        names = self._kinds[kind][namespace]
        del names[name]
        if not names:
            del self._kinds[kind][namespace]


def version_of(meta: Mapping[str, Any]) -> int:
    """The resource version as a number; 0 when there is none."""
    # Opaque by contract, an increasing integer in fact, and since Kubernetes 1.35 also by contract.
    version = meta.get("resourceVersion", "")
    return int(version) if version.isdigit() else 0
