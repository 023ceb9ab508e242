"""The cluster, the operator installed by helm, and namespaces that are gone after the test that used them."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.cluster.provider import ClusterHandle, ensure_cluster
from e2e.demo.install import helm_install
from e2e.kubectl import Kubectl
from e2e.scenarios.quiet import LeftAlone


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here is on the fourth floor."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="session")
def cluster() -> ClusterHandle:
    """A running cluster with the project's images."""
    handle = ensure_cluster()
    handle.load_images()
    return handle


@pytest.fixture(scope="session")
def operator(cluster: ClusterHandle) -> Kubectl:
    """The operator, installed by helm; answers with kubectl in its namespace."""
    helm_install(cluster)
    return Kubectl(cluster.kubeconfig, "carnelian-system", str(cluster.kubectl))


@pytest.fixture(scope="session")
def left_alone(cluster: ClusterHandle, operator: Kubectl) -> Iterator[LeftAlone]:
    """Instances and a rule that nobody touches while other tests run in other namespaces."""
    quiet = LeftAlone(Kubectl(cluster.kubeconfig, "t-left-alone", operator.program))
    yield quiet
    quiet.kubectl.run("delete", "namespace", quiet.kubectl.namespace, "--wait=false")


@pytest.fixture
def kubectl(cluster: ClusterHandle, operator: Kubectl) -> Iterator[Kubectl]:
    """kubectl in a namespace of the test's own."""
    own = Kubectl(cluster.kubeconfig, f"t-{uuid.uuid4().hex[:8]}", operator.program)
    own.ensure_namespace()
    yield own
    own.run("delete", "namespace", own.namespace, "--ignore-not-found", "--wait=false")
