"""Every configuration directive that we render: since when each engine knows it, and how a change takes effect."""

from dataclasses import dataclass
from enum import StrEnum

from carnelian_operator.api.rediscluster import Engine
from carnelian_operator.engines.releases import Release


class Effect(StrEnum):
    """How a changed value reaches a running server."""

    LIVE = "live"
    """By ``CONFIG SET``; no restart."""
    RESTART = "restart"
    """Only by a restart."""


@dataclass(frozen=True, slots=True)
class Directive:
    """One directive of ``server.conf``."""

    effect: Effect
    valkey: tuple[int, int] | None = (8, 0)
    """First version of Valkey that knows it; None: none does."""
    redis: tuple[int, int] | None = (7, 2)
    """First version of Redis that knows it; None: none does."""

    def known_to(self, release: Release) -> bool:
        """Whether that release accepts the directive."""
        since = self.valkey if release.engine is Engine.VALKEY else self.redis
        return since is not None and release.number >= since


DIRECTIVES: dict[str, Directive] = {
    "aclfile": Directive(Effect.RESTART),
    "appendfsync": Directive(Effect.RESTART),
    "appendonly": Directive(Effect.RESTART),
    "daemonize": Directive(Effect.RESTART),
    "dir": Directive(Effect.RESTART),
    "hide-user-data-from-log": Directive(Effect.RESTART, redis=(8, 0)),
    "logfile": Directive(Effect.RESTART),
    "maxmemory": Directive(Effect.LIVE),
    "maxmemory-policy": Directive(Effect.LIVE),
    "min-replicas-max-lag": Directive(Effect.LIVE),
    "min-replicas-to-write": Directive(Effect.LIVE),
    "port": Directive(Effect.RESTART),
    "protected-mode": Directive(Effect.RESTART),
    "replica-priority": Directive(Effect.LIVE),
    "repl-diskless-sync": Directive(Effect.RESTART),
    "repl-diskless-sync-delay": Directive(Effect.RESTART),
    "repl-ping-replica-period": Directive(Effect.RESTART),
    "save": Directive(Effect.RESTART),
    "shutdown-on-sigterm": Directive(Effect.RESTART),
    "shutdown-timeout": Directive(Effect.RESTART),
    "tcp-keepalive": Directive(Effect.RESTART),
    # Two channels for a full synchronisation: the primary buffers nothing for the replica meanwhile.
    "dual-channel-replication-enabled": Directive(Effect.RESTART, redis=None),
}


def check(release: Release, name: str) -> Directive:
    """The directive, if that release may be given it.

    Raises:
        ValueError: the table does not list it, or the release does not know it; rendering it would stop the server.
    """
    directive = DIRECTIVES.get(name)
    if directive is None or not directive.known_to(release):
        raise ValueError(f"directive {name!r} is not known to {release.engine} {release.version}; do not render it")
    return directive
