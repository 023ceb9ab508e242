"""Brings the product and the shop up on a cluster, as a user would: helm and kubectl."""

import time
from dataclasses import dataclass
from pathlib import Path

from e2e.cluster.images import operator_sources
from e2e.cluster.progress import say, step
from e2e.cluster.provider import ClusterHandle
from e2e.cluster.shell import run
from e2e.kubectl import Kubectl

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples" / "demo"
CHART = ROOT / "helm" / "carnelian"
SYSTEM = "carnelian-system"


@dataclass(frozen=True)
class Started:
    """Seconds from `kubectl apply` of the RedisCluster."""

    first_write: float
    ready: float


def helm_install(cluster: ClusterHandle, *values: str) -> None:
    """Install or upgrade the chart, and wait until the operator serves."""
    command = [str(cluster.helm), "upgrade", "--install", "carnelian", str(CHART), "--namespace", SYSTEM]
    # CRDs that were applied by hand before are taken into the release instead of refused.
    command += [
        "--create-namespace",
        "--take-ownership",
        "--wait",
        "--timeout",
        "3m",
        "--kubeconfig",
        str(cluster.kubeconfig),
    ]
    images = ("image.repository=carnelian/operator", "image.tag=dev", "image.pullPolicy=IfNotPresent")
    # The tag stays when the sources change; an annotation of theirs makes the pods roll to the new image.
    sources = f"podAnnotations.sources={operator_sources()}"
    for value in (*images, sources, *values):
        command += ["--set-string" if value is sources else "--set", value]
    with step("helm upgrade --install carnelian"):
        run(command, timeout=240)


def helm_uninstall(cluster: ClusterHandle) -> None:
    """Remove the chart's release; the CRDs stay, as the chart says."""
    run(
        [str(cluster.helm), "uninstall", "carnelian", "-n", SYSTEM, "--kubeconfig", str(cluster.kubeconfig)],
        check=False,
    )


def start_shop(kubectl: Kubectl) -> Started:
    """Apply the RedisCluster, wait for its first acknowledged write, then start the shop."""
    kubectl.ensure_namespace()
    applied = time.monotonic()
    kubectl.apply(EXAMPLES / "rediscluster.yaml")
    say("kubectl apply -f examples/demo/rediscluster.yaml")
    first_write = kubectl.wait("an acknowledged write", lambda: _write(kubectl), seconds=90) - applied
    say(f"first acknowledged write after {first_write:.1f} s")
    kubectl.wait_condition("rediscluster", "shop", "Ready", seconds=90)
    ready = time.monotonic() - applied
    say(f"Ready=True after {ready:.1f} s")
    with step("the shop: a rule and three pods"):
        kubectl.apply(EXAMPLES / "ratelimitrule.yaml", EXAMPLES / "shop.yaml")
        kubectl.run("rollout", "status", "deployment/shop", "--timeout=120s", timeout=130)
    return Started(first_write=first_write, ready=ready)


def _write(kubectl: Kubectl) -> float | None:
    """The time at which a client wrote by what its binding Secret says; None when it could not yet."""
    password = kubectl.secret("shop-binding").get("password")
    pod = next(iter(kubectl.list("pods", "carnelian.dev/cluster=shop,carnelian.dev/role=primary")), None)
    if password is None or pod is None:
        return None
    script = (
        'export REDISCLI_AUTH="$(cat)"; cli="$(command -v valkey-cli || command -v redis-cli)"; '
        '"$cli" --user app -h shop-primary -p 6379 -t 1 set demo:first-write yes'
    )
    name = pod["metadata"]["name"]
    answer = kubectl.run("exec", "-i", name, "--", "sh", "-c", script, stdin=password, check=False, timeout=10)
    return time.monotonic() if answer.strip() == "OK" else None
