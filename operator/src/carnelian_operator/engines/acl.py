"""The users of an instance, each with no more than it needs, as ACL files.

The files hold hashes, never passwords. ``default`` is off everywhere, so nobody gets in without a name.
"""

import hashlib
from collections.abc import Mapping

from carnelian_operator.engines.releases import Release

OPERATOR, REPLICATION, SENTINEL, APP = "operator", "replication", "sentinel", "app"
USERS = (OPERATOR, REPLICATION, SENTINEL, APP)

_NOBODY = "user default off resetchannels -@all"
_SENTINEL_ON_SERVER = (
    "resetchannels &* -@all +multi +exec +slaveof +ping +subscribe +publish +role +info "
    "+config|rewrite +client|setname +client|kill +script|kill"
)
"""As both engines document it for Sentinel."""
_APP_ON_SERVER = "~* &* +@all -@admin -@dangerous +info +role"
"""Everything an application does with data, scripts and channels; INFO and ROLE tell a client whom it talks to."""
_SENTINEL_ON_SENTINEL = (
    "resetchannels &__sentinel__:hello -@all +auth +hello +ping +publish +client|setname "
    "+sentinel|is-master-down-by-addr"
)
_NODE_ON_SENTINEL = "resetchannels -@all +auth +hello +ping +sentinel|get-master-addr-by-name +sentinel|failover"
"""What a starting server asks."""
_APP_ON_SENTINEL = (
    "resetchannels &* -@all +auth +hello +ping +role +client|setname +client|setinfo +client|id "
    "+subscribe +psubscribe +unsubscribe +punsubscribe +sentinel|get-master-addr-by-name +sentinel|master "
    "+sentinel|masters +sentinel|replicas +sentinel|slaves +sentinel|sentinels +sentinel|myid"
)


def server_users(release: Release, passwords: Mapping[str, str]) -> str:
    """``users.acl`` of the data nodes.

    Args:
        release: Decides which commands exist.
        passwords: Password by user, for all of `USERS`.
    """
    replication = "resetchannels -@all +psync +replconf +ping"
    if release.atomic_slot_migration:
        replication += " +cluster|syncslots"
    sentinel = _SENTINEL_ON_SERVER + (" +failover" if release.coordinated_failover else "")
    rules = {OPERATOR: "~* &* +@all", REPLICATION: replication, SENTINEL: sentinel, APP: _APP_ON_SERVER}
    return _file(rules, passwords)


def sentinel_users(passwords: Mapping[str, str]) -> str:
    """``sentinel-users.acl`` of the Sentinels."""
    rules = {
        OPERATOR: "~* &* +@all",
        REPLICATION: _NODE_ON_SENTINEL,
        SENTINEL: _SENTINEL_ON_SENTINEL,
        APP: _APP_ON_SENTINEL,
    }
    return _file(rules, passwords)


def _file(rules: Mapping[str, str], passwords: Mapping[str, str]) -> str:
    users = (f"user {name} on #{_sha256(passwords[name])} {rule}" for name, rule in rules.items())
    return "\n".join([_NOBODY, *users]) + "\n"


def _sha256(password: str) -> str:
    return hashlib.sha256(password.encode()).hexdigest()
