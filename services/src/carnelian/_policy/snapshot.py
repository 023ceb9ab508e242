"""All policies that a process enforces at one moment: never changed, only replaced as a whole."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

import msgspec
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from carnelian import __version__
from carnelian.policies.wire import EPOCH_FIELD, SCHEMA, Document

_decode = msgspec.json.Decoder(Document).decode


class Kind(Protocol):
    """How policies of one kind are made ready to be enforced."""

    def read(self, document: Document) -> Any:
        """The document's policy, validated.

        Raises:
            ValueError: this version cannot carry it out.
        """
        ...

    def removed(self, policy: Any) -> Any:
        """What a process that used `policy` enforces once its resource is deleted."""
        ...


Kinds = Mapping[str, Kind]


class Held(NamedTuple):
    """One policy, ready, and the document it came from; without a document once that is deleted."""

    document: Document | None
    policy: Any


@dataclass(frozen=True)
class Snapshot:
    """The policies by their document's field (``Kind/name``)."""

    epoch: int = 0
    """0 before anything was read from the data plane."""
    held: Mapping[str, Held] = field(default_factory=dict)
    rejected: Mapping[str, str] = field(default_factory=dict)
    """Documents that this version cannot read, and why; of these the last good one is held, if there was one."""

    def names(self, kind: str) -> list[str]:
        """Names of the policies of a kind."""
        return sorted(name.partition("/")[2] for name in self.held if name.startswith(f"{kind}/"))

    def renewed(self, fields: Mapping[bytes, bytes], kinds: Kinds) -> "Snapshot":
        """The snapshot after reading the hash of documents.

        A hash without an epoch was never published (or was lost), which is no reason to drop anything.
        """
        epoch = fields.get(EPOCH_FIELD.encode())
        if epoch is None:
            return self
        held: dict[str, Held] = {}
        rejected: dict[str, str] = {}
        for raw, text in fields.items():
            name = raw.decode(errors="replace")
            if name == EPOCH_FIELD:
                continue
            try:
                held[name] = self._read(name, text, kinds)
            except ValueError as error:
                rejected[name] = explain(error)
                if name in self.held:
                    held[name] = self.held[name]
        for name, last in self.held.items():
            if name not in held and name not in rejected:
                held[name] = Held(None, kinds[name.partition("/")[0]].removed(last.policy))
        return Snapshot(int(epoch), MappingProxyType(held), MappingProxyType(rejected))

    def _read(self, name: str, text: bytes, kinds: Kinds) -> Held:
        document = _decode(text)
        last = self.held.get(name)
        if last is not None and last.document == document:
            return last
        held = read(document, kinds)
        if document.field != name:
            raise ValueError(f"holds the document of {document.field}")
        return held


def read(document: Document, kinds: Kinds) -> Held:
    """Make one document ready.

    Raises:
        ValueError: this version cannot read it.
    """
    if document.schema > SCHEMA:
        raise ValueError(
            f"has schema {document.schema}, carnelian {__version__} reads up to {SCHEMA}; upgrade the library"
        )
    if document.kind not in kinds:
        raise ValueError(f"kind {document.kind} is not known to carnelian {__version__}; upgrade the library")
    return Held(document, kinds[document.kind].read(document))


def explain(error: ValueError) -> str:
    """One line, short enough for a resource's status."""
    if not isinstance(error, ValidationError):
        return " ".join(str(error).split())[:300]
    return "; ".join(_explain(one) for one in error.errors(include_url=False, include_context=False))[:300]


def _explain(error: ErrorDetails) -> str:
    where = ".".join(str(part) for part in error["loc"])
    value = "" if isinstance(error["input"], dict) else f" (got {str(error['input'])[:80]!r})"
    return f"{where}: {error['msg']}{value}".removeprefix(": ")
