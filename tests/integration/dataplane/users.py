"""The real servers of the fixtures, with our users."""

from carnelian_operator.api.rediscluster import Engine
from carnelian_operator.dataplane.client import Address
from carnelian_operator.engines.acl import USERS, server_users
from carnelian_operator.engines.releases import RELEASES
from tests.integration import servers

PASSWORDS = {user: f"secret-of-{user}" for user in USERS}


def user_lines(engine: str) -> list[str]:
    """Our users as directives, beside the fixtures' own open one."""
    release = RELEASES[Engine(engine.capitalize())][-1]
    return [line for line in server_users(release, PASSWORDS).splitlines() if not line.startswith("user default")]


def address(server: servers.Server, user: str = "operator") -> Address:
    return Address(server.host, server.port, user, PASSWORDS[user])


def sentinel_address(sentinel: servers.Server) -> Address:
    """The fixtures' Sentinels let everybody in."""
    return Address(sentinel.host, sentinel.port, "default", "any")
