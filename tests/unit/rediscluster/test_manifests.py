import base64
from typing import Any

import pytest

from carnelian_operator.api.rediscluster import Mode
from carnelian_operator.rediscluster.instance import Instance
from carnelian_operator.rediscluster.kinds import SECRET, STATEFUL_SET
from carnelian_operator.rediscluster.manifests import all_manifests
from carnelian_operator.rediscluster.manifests.secrets import new_passwords, read_passwords
from carnelian_operator.rediscluster.plan.children import digest
from carnelian_operator.runtime.api import Kind, Object
from tests.unit.rediscluster.builders import PASSWORDS, instance

pytestmark = pytest.mark.unit


def built(of: Instance) -> dict[tuple[Kind, str], Object]:
    return {(kind, obj["metadata"]["name"]): obj for kind, obj in all_manifests(of, PASSWORDS, None)}


def texts(secret: Object) -> dict[str, str]:
    return {name: base64.b64decode(value).decode() for name, value in secret["data"].items()}


@pytest.mark.parametrize(
    ("name", "of", "pinned"),
    [
        ("shop", instance(), "b39fa0e72355f52d"),
        ("shop-sentinel", instance(), "ad6c4842d6b28d4b"),
        ("shop", instance(Mode.STANDALONE), "9ec860603bb3d00b"),
        ("shop", instance(engine="Redis"), "5352440392d4b289"),
    ],
)
def test_a_new_version_of_the_operator_restarts_no_pod(name: str, of: Instance, pinned: str) -> None:
    """Changing one of these pins restarts every server of every user: say so in the changelog."""
    assert digest(built(of)[STATEFUL_SET, name]["spec"]["template"]) == pinned


def test_building_is_deterministic_and_everything_is_owned_and_labelled() -> None:
    first, second = built(instance()), built(instance())
    assert first == second
    for obj in first.values():
        assert obj["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "carnelian"
        assert obj["metadata"]["namespace"] == "web"
        owners = obj["metadata"].get("ownerReferences")
        assert owners is None or owners[0]["controller"]


@pytest.mark.parametrize(
    ("storage", "policy", "owned"),
    [(None, "Retain", True), ({"size": "1Gi"}, "Retain", False), ({"size": "1Gi"}, "Delete", True)],
)
def test_credentials_live_as_long_as_the_volumes(storage: Any, policy: str, owned: bool) -> None:
    objects = built(instance(storage=storage, deletionPolicy=policy))
    assert ("ownerReferences" in objects[SECRET, "shop-credentials"]["metadata"]) is owned
    retention = objects[STATEFUL_SET, "shop"]["spec"].get("persistentVolumeClaimRetentionPolicy")
    assert retention == (storage and {"whenDeleted": policy, "whenScaled": "Retain"})


def test_pods_are_restricted_and_never_hold_a_password_in_their_specification() -> None:
    for (kind, _), obj in built(instance()).items():
        if kind != STATEFUL_SET:
            continue
        pod = obj["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert container["securityContext"]["readOnlyRootFilesystem"]
        assert not any(password in str(obj) for password in PASSWORDS.values())


def test_data_pods_mount_no_password_but_that_of_replication() -> None:
    template = built(instance())[STATEFUL_SET, "shop"]["spec"]["template"]["spec"]
    mounted = {item["key"] for volume in template["volumes"] for item in volume.get("secret", {}).get("items", [])}
    assert mounted == {"users.acl", "server-auth.conf", "replication-password"}


def test_the_binding_is_all_that_a_client_needs() -> None:
    binding = built(instance())[SECRET, "shop-binding"]
    found = texts(binding)
    hosts = ",".join(f"shop-sentinel-{number}.shop-sentinel.web.svc:26379" for number in range(3))
    assert binding["type"] == "servicebinding.io/redis"
    assert found == {
        "type": "redis",
        "provider": "carnelian",
        "host": "shop-primary.web.svc",
        "port": "6379",
        "username": "app",
        "password": "secret-of-app",
        "cluster": "web/shop",
        "mode": "sentinel",
        "uri": f"redis+sentinel://app:secret-of-app@{hosts}/web.shop.11112222",
        "sentinels": hosts,
        "master-name": "web.shop.11112222",
        "sentinel-username": "app",
        "sentinel-password": "secret-of-app",
    }
    single = texts(built(instance(Mode.STANDALONE))[SECRET, "shop-binding"])
    assert single["mode"] == "standalone"
    assert single["uri"] == "redis://app:secret-of-app@shop-primary.web.svc:6379/0"


def test_passwords_are_long_random_and_read_back() -> None:
    passwords = new_passwords()
    assert len(set(passwords.values())) == 4
    assert all(len(password) == 32 for password in passwords.values())
    data = {f"{user}-password": base64.b64encode(word.encode()).decode() for user, word in passwords.items()}
    secret = {"metadata": {"name": "shop-credentials"}, "data": data}
    assert read_passwords(secret) == passwords
    del data["app-password"]
    with pytest.raises(ValueError, match="shop-credentials has no usable key 'app-password'"):
        read_passwords(secret)
