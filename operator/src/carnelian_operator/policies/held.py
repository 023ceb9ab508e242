"""What an instance's data plane holds, as plain values."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from carnelian.policies.wire import Acknowledgement, Document
from carnelian_operator.api.rediscluster import PoliciesStatus
from carnelian_operator.policies.desired import Desired


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


def is_current(held: Held, desired: Desired) -> bool:
    """Whether publishing would change nothing."""
    wanted = {document.field: document for document in desired.documents}
    if held.documents.keys() - set(desired.kept) != wanted.keys():
        return False
    return all(msgspec.structs.replace(held.documents[name], epoch=0) == document for name, document in wanted.items())
