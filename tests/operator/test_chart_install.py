"""The chart's objects on a real API server: valid, admitted, and with roles that grant what they should."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from carnelian_operator.crdgen.permissions import OPERATOR
from carnelian_operator.runtime.api import Kind
from carnelian_operator.runtime.kubeclient import KubeClient, path_of
from e2e.cluster import toolchain
from tests.operator.conftest import NAMESPACE
from tests.operator.waiting import until

CHART = Path(__file__).parents[2] / "helm" / "carnelian"
_REVIEW = Kind("authorization.k8s.io", "v1", "SubjectAccessReview", "subjectaccessreviews")
_KINDS = {
    "ClusterRole": Kind("rbac.authorization.k8s.io", "v1", "ClusterRole", "clusterroles"),
    "ClusterRoleBinding": Kind("rbac.authorization.k8s.io", "v1", "ClusterRoleBinding", "clusterrolebindings"),
    "CustomResourceDefinition": Kind(
        "apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions"
    ),
    "Deployment": Kind("apps", "v1", "Deployment", "deployments"),
    "Pod": Kind("", "v1", "Pod", "pods"),
    "PodDisruptionBudget": Kind("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets"),
    "Role": Kind("rbac.authorization.k8s.io", "v1", "Role", "roles"),
    "RoleBinding": Kind("rbac.authorization.k8s.io", "v1", "RoleBinding", "rolebindings"),
    "Service": Kind("", "v1", "Service", "services"),
    "ServiceAccount": Kind("", "v1", "ServiceAccount", "serviceaccounts"),
}
_LEASES = "coordination.k8s.io"
Json = dict[str, Any]


def rendered(namespace: str, *sets: str) -> list[Json]:
    toolchain.build({"helm"})
    command = [str(toolchain.tool("helm")), "template", "carnelian", str(CHART), "--namespace", namespace]
    for each in sets:
        command += ["--set-json", each]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [document for document in yaml.safe_load_all(text) if document]


async def apply(kube: KubeClient, manifest: Json, *, dry: bool = False) -> Json:
    kind = _KINDS[manifest["kind"]]
    path = path_of(kind, manifest["metadata"].get("namespace", ""), manifest["metadata"]["name"])
    query = [("fieldManager", "tests"), ("force", "true"), ("fieldValidation", "Strict")]
    query += [("dryRun", "All")] if dry else []
    return await kube.request(
        "PATCH", kind, path, query=query, body=manifest, content_type="application/apply-patch+yaml"
    )


@pytest.mark.parametrize("sets", [(), ('watchNamespaces=["default"]', "replicas=1", 'podAnnotations={"a":"b"}')])
async def test_every_object_is_valid(kube: KubeClient, namespace: str, sets: tuple[str, ...]) -> None:
    for manifest in rendered(namespace, *sets):
        await apply(kube, manifest, dry=True)


async def test_pods_are_admitted_where_only_restricted_ones_are(kube: KubeClient, namespace: str) -> None:
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    await kube.request(
        "PATCH",
        NAMESPACE,
        path_of(NAMESPACE, name=namespace),
        body={"metadata": {"labels": labels}},
        content_type="application/merge-patch+json",
    )
    objects = {manifest["kind"]: manifest for manifest in rendered(namespace, "crds.enabled=false")}
    await apply(kube, objects["ServiceAccount"])
    template = objects["Deployment"]["spec"]["template"]
    pod = {"apiVersion": "v1", "kind": "Pod", **template}
    pod["metadata"] = {**template["metadata"], "name": "operator", "namespace": namespace}
    await apply(kube, pod, dry=True)


@pytest.fixture
async def account(kube: KubeClient, namespace: str) -> str:
    """The operator's user name, with the roles of a release that serves the test's namespace alone."""
    sets = (f'watchNamespaces=["{namespace}"]', "crds.enabled=false", "rbac.aggregate=false")
    for manifest in rendered(namespace, *sets):
        if manifest["kind"] in {"Role", "RoleBinding", "ServiceAccount"}:
            await apply(kube, manifest)
    user = f"system:serviceaccount:{namespace}:carnelian"
    await until("the roles hold", lambda: may(kube, user, namespace, "get", "", "pods"))
    await until("the lease's role holds", lambda: may(kube, user, namespace, "create", _LEASES, "leases"))
    return user


async def may(
    kube: KubeClient, user: str, namespace: str, verb: str, group: str, resource: str, name: str = ""
) -> bool:
    plural, _, part = resource.partition("/")
    attributes = {"verb": verb, "group": group, "resource": plural, "subresource": part, "namespace": namespace}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": user, "resourceAttributes": {**attributes, "name": name}},
    }
    answer = await kube.request("POST", _REVIEW, path_of(_REVIEW), body=review)
    return bool(answer["status"]["allowed"])


async def test_roles_grant_the_list_and_nothing_beside_it(kube: KubeClient, namespace: str, account: str) -> None:
    verbs = ("get", "list", "watch", "create", "update", "patch", "delete")
    for permission in OPERATOR:
        for resource in permission.resources:
            for verb in verbs:
                granted = await may(kube, account, namespace, verb, permission.group, resource)
                assert granted == (verb in permission.verbs), f"{verb} {resource}"
    for verb, group, resource in [
        ("create", "", "pods"),
        ("create", "", "pods/exec"),
        ("list", "", "nodes"),
        ("create", "rbac.authorization.k8s.io", "rolebindings"),
        ("list", "apiextensions.k8s.io", "customresourcedefinitions"),
    ]:
        assert not await may(kube, account, namespace, verb, group, resource), f"{verb} {resource}"
    assert not await may(kube, account, "kube-system", "get", "", "secrets")


async def test_only_the_own_lease_can_be_taken(kube: KubeClient, namespace: str, account: str) -> None:
    assert await may(kube, account, namespace, "create", _LEASES, "leases")
    assert await may(kube, account, namespace, "update", _LEASES, "leases", "carnelian")
    assert not await may(kube, account, namespace, "update", _LEASES, "leases", "another")
    assert not await may(kube, account, "kube-system", "update", _LEASES, "leases", "carnelian")
