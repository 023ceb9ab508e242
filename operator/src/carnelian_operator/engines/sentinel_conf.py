"""``sentinel.conf``: what a Sentinel starts with. It is told later, by the operator, which primary to watch."""

from carnelian_operator.engines.quoting import quote

SENTINEL_PORT = 26379
SENTINEL_FOLDER = "/data"
SENTINEL_USERS_FILE = "/etc/carnelian/credentials/sentinel-users.acl"


def sentinel_conf() -> str:
    """The part that is the same for all Sentinels; the start script adds the pod's own name and the password."""
    lines = (
        ("port", SENTINEL_PORT),
        ("protected-mode", "no"),
        ("daemonize", "no"),
        ("dir", SENTINEL_FOLDER),
        ("aclfile", SENTINEL_USERS_FILE),
        # Both before anything names a host: addresses change with every restart of a pod, names do not.
        ("sentinel resolve-hostnames", "yes"),
        ("sentinel announce-hostnames", "yes"),
        ("sentinel deny-scripts-reconfig", "yes"),
    )
    return "".join(f"{name} {quote(value)}\n" for name, value in lines)


def sentinel_auth_conf(password: str) -> str:
    """How Sentinels log in to each other; belongs into a Secret."""
    return f"sentinel sentinel-user sentinel\nsentinel sentinel-pass {quote(password)}\n"


def server_auth_conf(password: str) -> str:
    """How a replica logs in to its primary; belongs into a Secret."""
    return f"masteruser replication\nmasterauth {quote(password)}\n"


def quorum(sentinels: int) -> int:
    """How many Sentinels must agree that the primary is down: a majority."""
    return sentinels // 2 + 1
