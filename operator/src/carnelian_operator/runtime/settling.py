"""A reconcile sees what the one before it wrote.

The cache is fed by watches, which come a moment after the answer to a write. A key that is reconciled again within that
moment would judge by what was before its own writes, and do them twice. So each reconcile's writes are noted, and its
key counts as running until the cache has caught up with them.
"""

import asyncio
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from carnelian_operator.runtime.api import Kind
from carnelian_operator.runtime.cache import ObjectCache, version_of

_LIMIT = 2.0  # seconds; what is written but not watched (another label, another namespace) is never seen


@dataclass(frozen=True, slots=True)
class Written:
    """What the API server answered to a write: this version of the object, or (version 0) that this uid is gone."""

    kind: Kind
    namespace: str
    name: str
    uid: str
    version: int


writes: ContextVar[list[Written] | None] = ContextVar("writes", default=None)
"""Where the writes of the present reconcile are noted; tasks that it starts share the list."""


def note(kind: Kind, namespace: str, name: str, answer: Mapping[str, Any], deleted_uid: str = "") -> None:
    """Note one write by the API server's answer to it."""
    noted = writes.get()
    if noted is None:
        return
    # Something that is deleted slowly comes back as an object, something that is gone as a Status.
    meta = answer.get("metadata", {}) if answer.get("kind") != "Status" else {}
    noted.append(Written(kind, namespace, name, meta.get("uid", deleted_uid), version_of(meta)))


async def caught_up(cache: ObjectCache, noted: Iterable[Written]) -> bool:
    """Return once the cache has seen all of it; False when it has not after a while."""
    outstanding = [each for each in noted if cache.watches(each.kind)]
    try:
        async with asyncio.timeout(_LIMIT):
            while outstanding := [each for each in outstanding if not _seen(cache, each)]:
                await cache.changed()
    except TimeoutError:
        return False
    return True


def _seen(cache: ObjectCache, written: Written) -> bool:
    known = cache.get(written.kind, written.namespace, written.name)
    if not written.version:
        return known is None or known["metadata"].get("uid") != written.uid
    if known is not None:
        return version_of(known["metadata"]) >= written.version
    # Not there: not yet, or already gone again. A watch tells in order, so later news of the kind settles it.
    return cache.newest(written.kind) > written.version
