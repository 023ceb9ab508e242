"""The engines and versions that we run, and what each can do."""

from dataclasses import dataclass

from carnelian_operator.api.rediscluster import Engine


@dataclass(frozen=True, slots=True)
class Release:
    """One minor version of an engine."""

    engine: Engine
    number: tuple[int, int]
    image: str
    """The official image."""
    atomic_slot_migration: bool = False
    """Replicas need ``CLUSTER SYNCSLOTS`` to take part in a slot's move."""
    coordinated_failover: bool = False
    """Sentinel can hand a primary over by ``FAILOVER`` and so needs that command."""

    @property
    def version(self) -> str:
        """``major.minor``, as in ``spec.version``."""
        return f"{self.number[0]}.{self.number[1]}"

    @property
    def program(self) -> str:
        """What the engine's commands start with: ``<program>-server``, ``<program>-cli``."""
        return self.engine.value.lower()


def _valkey(major: int, minor: int, **features: bool) -> Release:
    return Release(Engine.VALKEY, (major, minor), f"docker.io/valkey/valkey:{major}.{minor}", **features)


def _redis(major: int, minor: int) -> Release:
    return Release(Engine.REDIS, (major, minor), f"docker.io/library/redis:{major}.{minor}")


RELEASES: dict[Engine, tuple[Release, ...]] = {
    Engine.VALKEY: (
        _valkey(8, 0),
        _valkey(8, 1),
        _valkey(9, 0, atomic_slot_migration=True, coordinated_failover=True),
        _valkey(9, 1, atomic_slot_migration=True, coordinated_failover=True),
    ),
    Engine.REDIS: (_redis(7, 2), _redis(7, 4), _redis(8, 0)),
}
"""Oldest first; the same versions as the API accepts."""


def find_release(engine: Engine, version: str) -> Release:
    """The release that a spec asks for.

    Args:
        engine: The server software.
        version: ``major.minor``.

    Raises:
        ValueError: the engine is not served in that version.
    """
    known = RELEASES[engine]
    for release in known:
        if release.version == version:
            return release
    served = ", ".join(release.version for release in known)
    raise ValueError(f"spec.version: {version!r} is not a served version of {engine}; use one of {served}")
