"""``server.conf`` of the data nodes."""

from dataclasses import dataclass

from carnelian_operator.api.rediscluster import Profile
from carnelian_operator.engines.directives import DIRECTIVES, Effect, check
from carnelian_operator.engines.quoting import quote
from carnelian_operator.engines.releases import Release

DATA_PORT = 6379
USERS_FILE = "/etc/carnelian/credentials/users.acl"
DATA_FOLDER = "/data"


ELECTABLE = {"replica-priority": "100"}
"""Sentinel may promote it. Servers start with 0 where a primary is known: their data may be old, or nothing."""

_MEMORY_SHARE = {Profile.DURABLE: 60, Profile.CACHE: 75}
"""Percent of the memory limit for data; the rest is for buffers, fragmentation, and pages copied by a fork."""

_WHERE_KNOWN = {"hide-user-data-from-log": "yes", "dual-channel-replication-enabled": "no"}
"""Directives that not every release has."""


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """What the configuration of a data node depends on."""

    release: Release
    profile: Profile
    replicas: int
    """Replicas of the primary."""
    memory_limit: int | None
    """The container's memory limit in bytes; None: unlimited."""


def live_settings(settings: ServerSettings) -> dict[str, str]:
    """Directives that a running server takes by ``CONFIG SET``, as ``CONFIG GET`` shows them."""
    durable = settings.profile is Profile.DURABLE
    memory = 0 if settings.memory_limit is None else settings.memory_limit * _MEMORY_SHARE[settings.profile] // 100
    values = {
        "maxmemory": str(memory),
        "maxmemory-policy": "noeviction" if durable else "allkeys-lru",
        # With one replica only, its absence must not stop writes.
        "min-replicas-to-write": "1" if durable and settings.replicas >= 2 else "0",
        "min-replicas-max-lag": "10",
    }
    return {name: value for name, value in values.items() if check(settings.release, name).effect is Effect.LIVE}


def restart_settings(settings: ServerSettings) -> dict[str, str]:
    """Directives that take effect only by a restart."""
    durable = settings.profile is Profile.DURABLE
    values = {
        "port": str(DATA_PORT),
        "protected-mode": "no",
        "daemonize": "no",
        "logfile": "",
        "dir": DATA_FOLDER,
        "aclfile": USERS_FILE,
        "appendonly": "yes" if durable else "no",
        "save": "",
        "tcp-keepalive": "60",
        "repl-diskless-sync": "yes",
        "repl-diskless-sync-delay": "0",
        "repl-ping-replica-period": "2",
        "shutdown-on-sigterm": "default",
        "shutdown-timeout": "10",
    }
    if durable:
        values["appendfsync"] = "everysec"
    values |= {name: value for name, value in _WHERE_KNOWN.items() if DIRECTIVES[name].known_to(settings.release)}
    return {name: value for name, value in values.items() if check(settings.release, name)}


def render(values: dict[str, str]) -> str:
    """Directives as lines of a configuration file."""
    return "".join(f"{name} {quote(value) if value else chr(34) * 2}\n" for name, value in values.items())


def server_conf(settings: ServerSettings) -> str:
    """The whole file."""
    return (
        "# What takes effect only by a restart.\n"
        + render(restart_settings(settings))
        + "# What running servers are also told at once.\n"
        + render(live_settings(settings))
    )
