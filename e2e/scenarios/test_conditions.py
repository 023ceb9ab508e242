"""`Ready` agrees with reality both ways; a cause is named, and its repair needs nobody."""

import pytest

from e2e.cluster.faults import freeze, thaw
from e2e.kubectl import Kubectl
from e2e.scenarios.instances import ratelimitrule, rediscluster


def _stalled(kubectl: Kubectl, name: str, reason: str, *, seconds: float = 60) -> str:
    """Wait until the instance says Stalled for this reason, and is not Ready; returns the message."""

    def seen() -> str | None:
        stalled = kubectl.condition("rediscluster", name, "Stalled")
        if stalled["status"] == "True" and stalled["reason"] == reason:
            assert kubectl.condition("rediscluster", name, "Ready")["status"] == "False"
            return str(stalled["message"])
        return None

    return str(kubectl.wait(f"Stalled with reason {reason}", seen, seconds=seconds))


def test_an_image_that_cannot_be_pulled_is_named_and_repairs(kubectl: Kubectl) -> None:
    kubectl.apply(rediscluster("a", image="docker.io/valkey/valkey:none-such"))
    assert "none-such" in _stalled(kubectl, "a", "ImageUnavailable")
    kubectl.apply(rediscluster("a"))
    kubectl.wait_condition("rediscluster", "a", "Ready", seconds=60)
    assert kubectl.condition("rediscluster", "a", "Stalled")["status"] != "True"


def test_an_unschedulable_pod_is_named_and_repairs(kubectl: Kubectl) -> None:
    kubectl.apply(rediscluster("a", nodeSelector={"disktype": "none-such"}))
    assert "a-0" in _stalled(kubectl, "a", "Unschedulable")
    kubectl.apply(rediscluster("a"))
    kubectl.wait_condition("rediscluster", "a", "Ready", seconds=60)


def test_a_deleted_credentials_secret_does_not_break_a_running_instance_silently(kubectl: Kubectl) -> None:
    kubectl.apply(rediscluster("a"))
    kubectl.wait_condition("rediscluster", "a", "Ready", seconds=60)
    kept = kubectl.get("secret", "a-credentials")
    assert kept is not None
    kubectl.delete("secret", "a-credentials")
    _stalled(kubectl, "a", "SecretMissing")
    kept["metadata"] = {
        key: kept["metadata"][key] for key in ("name", "labels", "annotations") if key in kept["metadata"]
    }
    kubectl.apply(kept)
    kubectl.wait_condition("rediscluster", "a", "Ready", seconds=60)


def test_a_frozen_server_is_not_ready(kubectl: Kubectl) -> None:
    kubectl.apply(rediscluster("a"))
    kubectl.wait_condition("rediscluster", "a", "Ready", seconds=60)
    freeze(kubectl.namespace, "a-0")
    try:
        kubectl.wait_condition("rediscluster", "a", "Ready", status="False", seconds=30)
    finally:
        thaw(kubectl.namespace, "a-0")
    kubectl.wait_condition("rediscluster", "a", "Ready", seconds=60)


def test_a_rule_without_its_cluster_says_so_and_is_served_once_it_comes(kubectl: Kubectl) -> None:
    kubectl.apply(ratelimitrule("api", "late"))

    def says() -> bool:
        ready = kubectl.condition("ratelimitrule", "api", "Ready")
        return ready["status"] == "False" and ready.get("reason") == "ClusterNotFound" and "late" in ready["message"]

    kubectl.wait("reason ClusterNotFound", says, seconds=20)
    kubectl.apply(rediscluster("late"))
    kubectl.wait_condition("ratelimitrule", "api", "Ready", seconds=60)
    assert kubectl.condition("ratelimitrule", "api", "Enforced")["reason"] == "NoClients"


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("CachePolicy", {}),
        ("SessionStore", {}),
        ("JobQueue", {}),
    ],
)
def test_a_kind_that_is_not_served_yet_says_so(kubectl: Kubectl, kind: str, spec: dict[str, object]) -> None:
    manifest = {
        "apiVersion": "carnelian.dev/v1alpha1",
        "kind": kind,
        "metadata": {"name": "a"},
        "spec": {"clusterRef": {"name": "shop"}, **spec},
    }
    kubectl.apply(manifest)
    condition = kubectl.wait_condition(kind, "a", "Ready", status="False", seconds=20)
    assert condition["reason"] == "NotYetServed"
