"""What a server or a connection answers instead of a value, and what may be done about it."""

from carnelian._link.target import Address
from carnelian.errors import ServerError

RETRIED = frozenset({"LOADING", "BUSY", "MASTERDOWN", "READONLY", "TRYAGAIN", "CLUSTERDOWN", "NOREPLICAS"})
"""The command was not carried out, and soon may be: a failover or a start is under way."""

UNAVAILABLE = RETRIED | {"MISCONF", "OOM", "UNBLOCKED", "MOVED", "ASK"}
"""The server's state refused the command, not the command itself."""

UNAUTHENTICATED = frozenset({"NOAUTH", "WRONGPASS"})


class ReplyError(ServerError):
    """An error reply as it came off the wire; inside the reply of a transaction it reaches the caller as it is."""

    def __init__(self, message: str) -> None:
        super().__init__(redacted(message), code=message.partition(" ")[0])


class ExpiredError(Exception):
    """The deadline of a call ended before its reply came. Its connection is kept."""


class LostError(Exception):
    """The connection ended before the reply came; `sent` says whether the server may have seen the command."""

    def __init__(self, address: Address, reason: str, *, sent: bool) -> None:
        super().__init__(f"connection to {address} ended: {reason}")
        self.sent = sent


class UnreachableError(Exception):
    """No connection could be made (in time), so nothing was sent."""


def redacted(message: str) -> str:
    """`message` without the arguments that servers quote when they do not know a command."""
    return message.partition(", with args beginning with")[0]
