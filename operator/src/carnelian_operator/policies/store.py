"""The hash of documents and the acknowledgements, as they lie on an instance's primary."""

import re
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
from carnelian_operator.dataplane.client import Address, RefusedError, tell
from carnelian_operator.policies.desired import Desired
from carnelian_operator.policies.held import Client, Held

_EPOCH = re.compile(r"[0-9]{1,15}")
_EPOCH_SLOT = '"epoch":0,'


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
    # Applications can write here too: what they put there must not stop the instance's reconciles.
    epoch = fields.pop(EPOCH_FIELD, "0")
    return Held(
        epoch=int(epoch) if _EPOCH.fullmatch(epoch) else 0,
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


def _live(clients: list[str], seen: list[str], now: int) -> list[Client]:
    said = dict(zip(clients[::2], clients[1::2], strict=True))
    live: list[Client] = []
    for name, heard in zip(seen[::2], seen[1::2], strict=True):
        left = min(CLIENT_TTL_SECONDS, CLIENT_TTL_SECONDS - (now - float(heard)) / 1000)
        acknowledgement = _decode(said.get(name, ""), Acknowledgement)
        if left > 0 and acknowledgement is not None:
            live.append(Client(acknowledgement, left))
    return live


def _decode(text: str, kind: Any) -> Any:
    """The struct, or None for what another schema wrote."""
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.ValidationError, msgspec.DecodeError, RecursionError):
        return None


@cache
def _script() -> str:
    return (files("carnelian_operator.policies") / "publish.lua").read_text()
