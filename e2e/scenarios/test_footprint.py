"""What the operator costs a cluster that is full of other people's objects."""

import asyncio
import re
from collections.abc import Iterator
from typing import Any

import pytest

from carnelian_operator.runtime import connection
from carnelian_operator.runtime.api import Kind
from carnelian_operator.runtime.kubeclient import KubeClient
from e2e.cluster.provider import ClusterHandle
from e2e.kubectl import Kubectl, Manifest

FOREIGN = 2000
KINDS = (Kind("", "v1", "Secret", "secrets"), Kind("", "v1", "ConfigMap", "configmaps"), Kind("", "v1", "Pod", "pods"))
SYSTEM = "carnelian-system"


def _foreign(kind: Kind, number: int, namespace: str) -> Manifest:
    manifest: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": kind.kind,
        "metadata": {"name": f"foreign-{number}", "namespace": namespace, "labels": {"app": "somebody-else"}},
    }
    if kind.kind == "Pod":
        # A scheduler that does not exist: the pod is an object, and costs no node anything.
        manifest["spec"] = {"schedulerName": "nobody", "containers": [{"name": "c", "image": "none"}]}
    else:
        manifest["data"] = {"content": "QUJD" * 200}
    return manifest


async def _create(cluster: ClusterHandle, namespace: str) -> None:
    kube = KubeClient(await connection.load(cluster.kubeconfig), timeout=60)
    gate = asyncio.Semaphore(16)

    async def one(kind: Kind, number: int) -> None:
        async with gate:
            await kube.create(kind, _foreign(kind, number, namespace))

    try:
        async with asyncio.TaskGroup() as group:
            for kind in KINDS:
                for number in range(FOREIGN):
                    group.create_task(one(kind, number))
    finally:
        await kube.aclose()


@pytest.fixture
def foreign(cluster: ClusterHandle, kubectl: Kubectl) -> Iterator[str]:
    """2,000 Secrets, ConfigMaps and Pods each that carry no label of ours."""
    asyncio.run(_create(cluster, kubectl.namespace))
    yield kubectl.namespace
    kubectl.run(
        "delete", "pods,secrets,configmaps", "--all", "--grace-period=0", "--force", "--wait=false", timeout=300
    )


def operator_pods(system: Kubectl) -> list[str]:
    """Names of the running pods of the operator."""
    selector = "app.kubernetes.io/name=carnelian-operator"
    return [
        pod["metadata"]["name"]
        for pod in system.list("pods", selector)
        if pod["status"]["phase"] == "Running" and "deletionTimestamp" not in pod["metadata"]
    ]


def rss_mib(system: Kubectl, pod: str) -> float:
    """Resident memory of the operator's process, in MiB."""
    found = re.search(r"VmRSS:\s+(\d+) kB", system.run("exec", pod, "--", "cat", "/proc/1/status"))
    assert found is not None
    return int(found[1]) / 1024


@pytest.mark.timeout(400)
def test_foreign_objects_cost_no_memory(operator: Kubectl, foreign: str) -> None:
    """A fresh operator that starts among 2,000 foreign objects of each kind stays within 110 MiB."""
    operator.run("rollout", "restart", "deployment/carnelian")
    operator.run("rollout", "status", "deployment/carnelian", "--timeout=120s", timeout=130)
    figures = {pod: rss_mib(operator, pod) for pod in operator_pods(operator)}
    print(f"beside {FOREIGN} foreign Secrets, ConfigMaps and Pods in {foreign}: {figures}")
    assert figures
    assert max(figures.values()) <= 110
