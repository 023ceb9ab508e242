"""Which servers the tests run against."""

from typing import Literal

from e2e.cluster.rootfs import server_command

Engine = Literal["valkey", "redis"]
ENGINES: tuple[Engine, ...] = ("valkey", "redis")


def command(engine: Engine) -> list[str]:
    """How to run the engine's server so that it dies with the test run."""
    return ["setpriv", "--pdeathsig", "KILL", *server_command(engine)]
