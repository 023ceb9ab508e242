"""Secrets: all passwords for the pods and the operator, and one user's way in for applications."""

import base64
import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from carnelian_operator.api.rediscluster import DeletionPolicy
from carnelian_operator.engines.acl import APP, REPLICATION, SENTINEL, USERS, sentinel_users, server_users
from carnelian_operator.engines.sentinel_conf import SENTINEL_PORT, sentinel_auth_conf, server_auth_conf
from carnelian_operator.engines.server_conf import DATA_PORT
from carnelian_operator.rediscluster.instance import Instance
from carnelian_operator.runtime.api import Object

_PASSWORD_BYTES = 24
"""32 characters in URL-safe base 64."""


def new_passwords() -> dict[str, str]:
    """A fresh password for every user."""
    return {user: secrets.token_urlsafe(_PASSWORD_BYTES) for user in USERS}


def read_passwords(secret: Object) -> dict[str, str]:
    """The passwords that a credentials Secret holds.

    Raises:
        ValueError: one is missing or empty; the message names the key.
    """
    data = secret.get("data") or {}
    passwords = {}
    for user in USERS:
        value = base64.b64decode(data.get(_key(user)) or "").decode(errors="replace")
        if not value.isascii() or not value.isprintable() or not value:
            name = secret["metadata"]["name"]
            raise ValueError(f"Secret {name} has no usable key {_key(user)!r}; restore it from your backup")
        passwords[user] = value
    return passwords


def credentials(instance: Instance, passwords: Mapping[str, str]) -> dict[str, Any]:
    """The operator's own Secret, from which pods mount what each needs.

    It outlives the resource exactly as the volumes do, so that an instance that is created anew over retained
    volumes lets the same clients in.
    """
    data = {_key(user): passwords[user] for user in USERS}
    data |= {"users.acl": server_users(instance.release, passwords)}
    data |= {"server-auth.conf": server_auth_conf(passwords[REPLICATION])}
    if instance.replicated:
        data |= {"sentinel-users.acl": sentinel_users(passwords)}
        data |= {"sentinel-auth.conf": sentinel_auth_conf(passwords[SENTINEL])}
    owned = instance.spec.deletion_policy is DeletionPolicy.DELETE or instance.spec.storage is None
    return _secret(instance.metadata(instance.credentials_name, owned=owned), "Opaque", data)


def binding(instance: Instance, passwords: Mapping[str, str]) -> dict[str, Any]:
    """What an application needs, by the Service Binding specification."""
    host, password = instance.service_host(instance.primary_name), passwords[APP]
    data = {
        "type": "redis",
        "provider": "carnelian",
        "host": host,
        "port": str(DATA_PORT),
        "username": APP,
        "password": password,
        "cluster": f"{instance.namespace}/{instance.name}",
    }
    login = f"{APP}:{quote(password, safe='')}"
    if instance.replicated:
        sentinels = ",".join(f"{instance.sentinel_host(pod)}:{SENTINEL_PORT}" for pod in instance.sentinel_pods)
        data |= {
            "mode": "sentinel",
            "uri": f"redis+sentinel://{login}@{sentinels}/{instance.master_name}",
            "sentinels": sentinels,
            "master-name": instance.master_name,
            "sentinel-username": APP,
            "sentinel-password": password,
        }
    else:
        data |= {"mode": "standalone", "uri": f"redis://{login}@{host}:{DATA_PORT}/0"}
    return _secret(instance.metadata(instance.binding_name), "servicebinding.io/redis", data)


def _key(user: str) -> str:
    return f"{user}-password"


def _secret(metadata: dict[str, Any], kind: str, data: Mapping[str, str]) -> dict[str, Any]:
    encoded = {name: base64.b64encode(value.encode()).decode() for name, value in data.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": kind, "data": encoded}
