"""The hash of documents and the acknowledgements, as they lie on an instance's primary."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec

from carnelian.policies.wire import (
    CHANGED,
    CLIENT_TTL_SECONDS,
    CLIENTS,
    DOCUMENTS,
    EPOCH_FIELD,
    SEEN,
    Acknowledgement,
    Document,
)
from carnelian_operator.api.rediscluster import PoliciesStatus
from carnelian_operator.dataplane.client import Address, RefusedError, tell
from carnelian_operator.policies.desired import Desired

_EPOCH_SLOT = '"epoch":0,'


@dataclass(frozen=True, slots=True)
class Client:
    """One live process of the library."""

    said: Acknowledgement
    expires_in: float
    """Seconds until it counts as gone unless it is heard of again."""


@dataclass(frozen=True, slots=True)
class Held:
    """What the data plane holds, as of one reading."""

    epoch: int = 0
    documents: Mapping[str, Document] = field(default_factory=dict)
    """By field."""
    clients: tuple[Client, ...] = ()

    def counts(self) -> PoliciesStatus:
        """The summary for an instance's status."""
        return PoliciesStatus(epoch=self.epoch, documents=len(self.documents), clients=len(self.clients))


async def read(primary: Address) -> Held:
    """Read everything at once.

    Raises:
        RefusedError: the server is no primary, so what it holds may be old.
        UnreachableError: no answer in time.
    """
    role, documents, clients, seen, time = await tell(
        primary,
        [
            ("ROLE",),
            ("HGETALL", DOCUMENTS),
            ("HGETALL", CLIENTS),
            ("ZRANGE", SEEN, 0, -1, "WITHSCORES"),
            ("TIME",),
        ],
    )
    if role[0] != "master":
        raise RefusedError(f"{primary} is no primary any more")
    fields = dict(zip(documents[::2], documents[1::2], strict=True))
    epoch = int(fields.pop(EPOCH_FIELD, 0))
    return Held(
        epoch=epoch,
        documents={name: document for name, text in fields.items() if (document := _decode(text, Document))},
        clients=tuple(_live(clients, seen, int(time[0]) * 1000 + int(time[1]) // 1000)),
    )


async def publish(primary: Address, desired: Desired) -> int:
    """Bring the documents to what is desired, atomically; equal ones are not written.

    Returns:
        How many documents changed or went away.

    Raises:
        RefusedError: the server takes no writes.
        UnreachableError: no answer in time; it may have been done.
    """
    words: list[str] = []
    for document in desired.documents:
        before, after = msgspec.json.encode(document).decode().split(_EPOCH_SLOT, 1)
        words += [document.field, f'{before}"epoch":', f",{after}"]
    for name in desired.kept:
        words += [name, "", ""]
    (reply,) = await tell(primary, [("EVAL", _script(), 1, DOCUMENTS, CHANGED, *words)])
    return int(reply[1])


def is_current(held: Held, desired: Desired) -> bool:
    """Whether publishing would change nothing."""
    wanted = {document.field: document for document in desired.documents}
    if held.documents.keys() - set(desired.kept) != wanted.keys():
        return False
    return all(msgspec.structs.replace(held.documents[name], epoch=0) == document for name, document in wanted.items())


def _live(clients: list[str], seen: list[str], now: int) -> list[Client]:
    said = dict(zip(clients[::2], clients[1::2], strict=True))
    live: list[Client] = []
    for name, heard in zip(seen[::2], seen[1::2], strict=True):
        left = CLIENT_TTL_SECONDS - (now - float(heard)) / 1000
        acknowledgement = _decode(said.get(name, ""), Acknowledgement)
        if left > 0 and acknowledgement is not None:
            live.append(Client(acknowledgement, left))
    return live


def _decode(text: str, kind: Any) -> Any:
    """The struct, or None for what another schema wrote."""
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.ValidationError, msgspec.DecodeError):
        return None


@cache
def _script() -> str:
    return (files("carnelian_operator.policies") / "publish.lua").read_text()
