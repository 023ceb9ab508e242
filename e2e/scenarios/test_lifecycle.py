"""From creation to deletion: nothing is left behind, and data is kept if asked."""

import pytest

from e2e.kubectl import Kubectl
from e2e.scenarios.instances import ratelimitrule, rediscluster

pytestmark = pytest.mark.usefixtures("left_alone")  # what `test_steady_state.py` looks at again, minutes later


def test_deletion_keeps_volumes_by_default_and_a_new_instance_finds_its_data(kubectl: Kubectl) -> None:
    spec = {"storage": {"size": "64Mi"}}
    kubectl.apply(rediscluster("a", **spec))
    kubectl.wait_condition("rediscluster", "a", "Ready", seconds=90)
    assert _cli(kubectl, "set kept yes") == "OK"
    kept = kubectl.secret("a-credentials")
    kubectl.delete("rediscluster", "a")
    kubectl.wait("the pod is gone", lambda: not kubectl.list("pods"), seconds=60)
    kubectl.wait("the binding is gone", lambda: kubectl.get("secret", "a-binding") is None, seconds=30)
    assert kubectl.secret("a-credentials") == kept, "volumes and credentials stay together"
    assert [pvc["metadata"]["name"] for pvc in kubectl.list("pvc")] == ["data-a-0"]
    kubectl.apply(rediscluster("a", **spec))
    kubectl.wait_condition("rediscluster", "a", "Ready", seconds=90)
    assert _cli(kubectl, "get kept") == "yes"


def test_deletion_policy_delete_takes_the_volumes_too(kubectl: Kubectl) -> None:
    kubectl.apply(rediscluster("a", storage={"size": "64Mi"}, deletionPolicy="Delete"))
    kubectl.wait_condition("rediscluster", "a", "Ready", seconds=90)
    kubectl.delete("rediscluster", "a")
    kubectl.wait("the volume is gone", lambda: not kubectl.list("pvc"), seconds=60)


def test_a_deleted_rule_is_gone_from_the_data_plane(kubectl: Kubectl) -> None:
    kubectl.apply(rediscluster("a"), ratelimitrule("api", "a"))
    kubectl.wait_condition("ratelimitrule", "api", "Ready", seconds=60)
    count = "hexists {carnelian:policies}:documents RateLimitRule/api"
    assert _cli(kubectl, count) == "1"
    kubectl.delete("ratelimitrule", "api")
    kubectl.wait("the document is gone", lambda: _cli(kubectl, count) == "0", seconds=20)


def _cli(kubectl: Kubectl, command: str, pod: str = "a-0") -> str:
    """What the server answers to a command of the user `app`, given on its own pod."""
    script = 'export REDISCLI_AUTH="$(cat)"; exec valkey-cli --user app ' + command
    return kubectl.run("exec", "-i", pod, "--", "sh", "-c", script, stdin=_password(kubectl)).strip()


def _password(kubectl: Kubectl) -> str:
    return kubectl.secret("a-binding")["password"]
