"""When an Event is worth a write, and what it says.

The name is derived from what the Event is about, so that the same event again, also after a restart, is the same
object with a series that counts up. Repetitions are held back, and each object has a budget, as in client-go: a thing
that goes wrong every second must not fill etcd.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from carnelian_operator.runtime.api import Object

_REPEAT_AFTER = 300.0  # seconds during which a repetition is only counted
_BURST, _REFILL = 25.0, 1 / 300  # events an object may have at once, and events a second after that
_REMEMBERED = 4096
_NOTE_BYTES = 1024  # the API server refuses longer ones


@dataclass(slots=True)
class _Seen:
    count: int
    posted: float


@dataclass(slots=True)
class _Budget:
    left: float
    at: float


@dataclass(frozen=True, slots=True)
class Draft:
    """An Event to create, and the series to patch in when it exists already."""

    manifest: dict[str, Any]
    series: dict[str, Any]


class EventPolicy:
    """Decides which events are posted; holds the last few thousand in memory."""

    def __init__(self, *, instance: str, clock: Callable[[], float]) -> None:
        self._instance = instance
        self._clock = clock
        self._seen: OrderedDict[str, _Seen] = OrderedDict()
        self._budgets: OrderedDict[str, _Budget] = OrderedDict()

    def draft(self, regarding: Object, *, reason: str, note: str, action: str, warning: bool) -> Draft | None:
        """The Event to post now, or None when it is a repetition or over the object's budget."""
        meta = regarding["metadata"]
        kind = "Warning" if warning else "Normal"
        note = note.encode()[:_NOTE_BYTES].decode(errors="ignore")
        identity = "\0".join((meta.get("uid", ""), kind, reason, action, note))
        name = f"{meta['name'][:200]}.{hashlib.sha256(identity.encode()).hexdigest()[:16]}"
        count = self._count(name)
        if count is None or not self._affordable(meta.get("uid", "")):
            return None
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        manifest = {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": meta.get("namespace") or "default"},
            "eventTime": now,
            "reportingController": "carnelian.dev/operator",
            "reportingInstance": self._instance[:128],
            "type": kind,
            "reason": reason,
            "action": action,
            "note": note,
            "regarding": {
                "apiVersion": regarding["apiVersion"],
                "kind": regarding["kind"],
                "name": meta["name"],
                "namespace": meta.get("namespace") or "",
                "uid": meta.get("uid", ""),
                "resourceVersion": meta.get("resourceVersion", ""),
            },
        }
        return Draft(manifest, {"count": max(count, 2), "lastObservedTime": now})

    def _count(self, name: str) -> int | None:
        now = self._clock()
        seen = self._seen.get(name)
        if seen is None:
            self._seen[name] = _Seen(count=1, posted=now)
            if len(self._seen) > _REMEMBERED:
                self._seen.popitem(last=False)
            return 1
        self._seen.move_to_end(name)
        seen.count += 1
        if now - seen.posted < _REPEAT_AFTER:
            return None
        seen.posted = now
        return seen.count

    def _affordable(self, uid: str) -> bool:
        now = self._clock()
        budget = self._budgets.setdefault(uid, _Budget(_BURST, now))
        self._budgets.move_to_end(uid)
        if len(self._budgets) > _REMEMBERED:
            self._budgets.popitem(last=False)
        budget.left = min(_BURST, budget.left + (now - budget.at) * _REFILL)
        budget.at = now
        if budget.left < 1:
            return False
        budget.left -= 1
        return True
