"""Where the data plane is, and every default of the link, stated."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from carnelian.errors import ConfigurationError


class Topology(StrEnum):
    """How primaries are found."""

    STANDALONE = "standalone"
    SENTINEL = "sentinel"
    CLUSTER = "cluster"


class Address(NamedTuple):
    """Where a server listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Event(NamedTuple):
    """Something that happened to a connection, for metrics and logs."""

    kind: str
    """``connected``, ``lost``, ``unreachable``, ``primary`` (another one is followed) or ``slots`` (a new slot map)."""
    address: Address
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Timing:
    """Every time-out of the link, in seconds."""

    deadline: float = 2.0
    """How long a call may take when it does not say."""
    connect: float = 1.0
    """How long one attempt to connect may take, with its handshake."""
    silence: float = 5.0
    """A connection that owes replies and sent nothing for this long is dead."""
    ping: float = 5.0
    """An idle connection is asked for a sign of life this often."""
    retry: float = 0.02
    """First pause before something is tried again; doubles, with jitter."""
    retry_most: float = 0.5
    """Longest such pause."""
    ask: float = 0.5
    """How long Sentinels and servers are given to say where things are."""


@dataclass(frozen=True, slots=True)
class Target:
    """What `connect` needs to know. Make one with `standalone`, `sentinel` or `cluster`."""

    topology: Topology
    addresses: tuple[Address, ...]
    """The server; or the Sentinels; or some nodes of the cluster."""
    master_name: str = ""
    username: str = ""
    password: str = field(default="", repr=False)
    sentinel_username: str = ""
    sentinel_password: str = field(default="", repr=False)
    db: int = 0
    client_name: str = "carnelian"
    timing: Timing = field(default_factory=Timing)
    on_event: Callable[[Event], None] | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.addresses:
            raise ConfigurationError(f"a {self.topology} target needs at least one host:port")
        if self.topology is Topology.SENTINEL and not self.master_name:
            raise ConfigurationError("a sentinel target needs the name under which the Sentinels know the primary")
        if self.topology is Topology.CLUSTER and self.db:
            raise ConfigurationError(f"db {self.db}: a cluster has database 0 only; leave it out")
        if any(not 33 <= ord(char) <= 126 for char in self.client_name):
            raise ConfigurationError(f"client name {self.client_name!r}: use printable ASCII without spaces")
        if self.username and not self.password:
            raise ConfigurationError(f"user {self.username!r} has no password; state it too")

    @classmethod
    def standalone(
        cls, host: str, port: int = 6379, *, username: str = "", password: str = "", db: int = 0
    ) -> "Target":
        """One server, or one Service name behind which the primary is. `dataclasses.replace` sets the rest."""
        return cls(Topology.STANDALONE, (Address(host, port),), username=username, password=password, db=db)

    @classmethod
    def sentinel(
        cls,
        sentinels: Iterable[tuple[str, int]],
        master_name: str,
        *,
        username: str = "",
        password: str = "",
        sentinel_username: str = "",
        sentinel_password: str = "",
        db: int = 0,
    ) -> "Target":
        """A primary that the Sentinels at these addresses name."""
        return cls(
            Topology.SENTINEL,
            tuple(Address(*pair) for pair in sentinels),
            master_name=master_name,
            username=username,
            password=password,
            sentinel_username=sentinel_username,
            sentinel_password=sentinel_password,
            db=db,
        )

    @classmethod
    def cluster(cls, nodes: Iterable[tuple[str, int]], *, username: str = "", password: str = "") -> "Target":
        """A cluster, of which these nodes are known."""
        return cls(Topology.CLUSTER, tuple(Address(*pair) for pair in nodes), username=username, password=password)
