"""What servers say about themselves, as plain values. Planners read these; nothing here does I/O."""

from collections.abc import Mapping
from dataclasses import dataclass, field

PRIMARY, REPLICA = "primary", "replica"
NOBODY = ("127.0.0.1", 1)
"""The address that a fenced server follows: nobody answers there."""


@dataclass(frozen=True, slots=True)
class Server:
    """One data node, as of one reading."""

    role: str
    """`PRIMARY` or `REPLICA`."""
    version: str = ""
    loading: bool = False
    """It still reads its data from disk and serves nothing."""
    keys: int = 0
    """Over all databases."""
    replid: str = ""
    """Names the history of changes that the data is a part of."""
    replid2: str = ""
    """The history that it came from, before its last promotion."""
    offset: int = 0
    """How much of the history it has, in bytes; comparable only within one history."""
    primary: tuple[str, int] | None = None
    """Host and port that a replica follows."""
    link_up: bool = False
    syncing: bool = False
    replicas: tuple[str, ...] = ()
    """Hosts of the replicas that are online, as the primary sees them."""
    write_failed: bool = False
    """It refuses writes, because its append-only file could not be written."""
    failover: str = "no-failover"
    """State of a ``FAILOVER`` command under way."""
    config: Mapping[str, str] = field(default_factory=dict)
    """Values of the live directives."""

    @property
    def is_primary(self) -> bool:
        """It takes writes from clients."""
        return self.role == PRIMARY

    @property
    def fenced(self) -> bool:
        """It follows nobody and waits to be told."""
        return self.primary == NOBODY

    def follows(self, host: str, port: int) -> bool:
        """Whether it is a replica of that address."""
        return self.role == REPLICA and self.primary == (host, port)

    def shares_history(self, other: "Server") -> bool:
        """Whether the two offsets can be compared."""
        mine = {self.replid, self.replid2} - _NO_HISTORY
        return bool(mine & ({other.replid, other.replid2} - _NO_HISTORY))


_NO_HISTORY = {"", "0" * 40}


@dataclass(frozen=True, slots=True)
class Watched:
    """A primary as one Sentinel sees it."""

    host: str
    port: int
    flags: frozenset[str] = frozenset()
    quorum: int = 0
    other_sentinels: int = 0
    """How many other Sentinels of this primary it knows."""
    down_after: int = 0
    """Milliseconds."""
    config_epoch: int = 0
    replicas: tuple[str, ...] = ()
    """Hosts of the replicas that it knows."""

    @property
    def down(self) -> bool:
        """It takes the primary for lost."""
        return bool(self.flags & {"s_down", "o_down"})

    @property
    def failing_over(self) -> bool:
        """A failover is under way."""
        return "failover_in_progress" in self.flags


@dataclass(frozen=True, slots=True)
class Sentinel:
    """One Sentinel, as of one reading."""

    watched: Watched | None = None
    """Our primary; None: it was not told of it, or forgot."""
    strangers: tuple[str, ...] = ()
    """Names of other primaries that it watches; there should be none."""
