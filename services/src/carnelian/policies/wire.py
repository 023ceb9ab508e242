"""The contract between the operator, which writes policies, and library processes, which enforce them.

All of it lives on the instance's primary, in one hash slot, so that one script changes it atomically:

``{carnelian:policies}:documents``  hash. One field a policy, named ``Kind/name``, its value a `Document` as JSON;
    and the field ``@epoch``, the number of the last change. One ``HGETALL`` is a consistent snapshot.
``{carnelian:policies}:clients``    hash. One field a library process (its client id), its value an
    `Acknowledgement` as JSON.
``{carnelian:policies}:seen``       sorted set. Client id by the server's time, in milliseconds, of its last heartbeat.
``{carnelian:policies}:changed``    channel. The new epoch, after every change of the documents.
``{carnelian:policies}:acks``       channel. A client id, when it starts to enforce another epoch or goes away.

An epoch never repeats, not even after data was lost: it is the larger of the last epoch plus one and the
server's time in milliseconds. A document carries the epoch of its own last change, so a process that
acknowledges epoch E enforces every document whose epoch is at most E.
"""

import hashlib
from typing import Any

import msgspec

SCHEMA = 1
DOCUMENTS = "{carnelian:policies}:documents"
EPOCH_FIELD = "@epoch"
CLIENTS = "{carnelian:policies}:clients"
SEEN = "{carnelian:policies}:seen"
CHANGED = "{carnelian:policies}:changed"
ACKS = "{carnelian:policies}:acks"

HEARTBEAT_SECONDS = 5.0
"""How often a process renews its acknowledgement when nothing changes."""
CLIENT_TTL_SECONDS = 15.0
"""A process not heard of for this long counts no more."""


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """One policy as every process receives it."""

    schema: int
    kind: str
    name: str
    generation: int
    """``metadata.generation`` of the resource that this body was taken from."""
    epoch: int
    """The epoch at which this document last changed."""
    hash: str
    """`content_hash` of the body."""
    body: dict[str, Any]

    @property
    def field(self) -> str:
        """The document's field in the hash of documents."""
        return f"{self.kind}/{self.name}"


class Acknowledgement(msgspec.Struct, frozen=True, kw_only=True):
    """What one library process says that it enforces."""

    client: str
    """Unique to the process: pod or host name, and a random part."""
    epoch: int
    """Every document up to this epoch is enforced."""
    pod: str = ""
    namespace: str = ""
    version: str = ""
    """Version of the library."""
    rejected: dict[str, str] = {}
    """Documents (by field) that this version of the library could not read, and why; it keeps the last good ones."""


def content_hash(body: dict[str, Any]) -> str:
    """SHA-256 over the body's canonical JSON (sorted keys), as hexadecimal text."""
    return hashlib.sha256(msgspec.json.encode(body, order="sorted")).hexdigest()
