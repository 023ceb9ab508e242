"""The runtime needs no more than it says: a role in the watched namespace, and nothing cluster-wide."""

from pathlib import Path
from typing import Any

import yaml

from carnelian_operator.runtime.api import Kind
from carnelian_operator.runtime.kubeclient import KubeClient, path_of
from tests.operator.conftest import Start
from tests.operator.test_reconciling import has_copies
from tests.operator.toys import GROUP, TOY, toy
from tests.operator.waiting import until

ACCOUNT = Kind("", "v1", "ServiceAccount", "serviceaccounts")
ROLE = Kind("rbac.authorization.k8s.io", "v1", "Role", "roles")
BINDING = Kind("rbac.authorization.k8s.io", "v1", "RoleBinding", "rolebindings")
READ = ["get", "list", "watch"]


def rule(group: str, resource: str, *verbs: str) -> dict[str, list[str]]:
    return {"apiGroups": [group], "resources": [resource], "verbs": list(verbs)}


RULES = [
    rule(GROUP, "toys", *READ),
    rule(GROUP, "toys/status", "patch"),
    rule("", "configmaps", *READ, "create", "patch", "delete"),
    rule("", "secrets", *READ),
    rule("", "pods", *READ),
    rule("coordination.k8s.io", "leases", "get", "create", "update"),
]


async def impersonate(kube: KubeClient, namespace: str, folder: Path) -> Path:
    """A kubeconfig of a service account that has `RULES` in the namespace, and no other right."""

    def manifest(kind: Kind, **fields: Any) -> dict[str, Any]:
        metadata = {"namespace": namespace, "name": "runtime"}
        return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, **fields}

    await kube.apply(ACCOUNT, manifest(ACCOUNT))
    await kube.apply(ROLE, manifest(ROLE, rules=RULES))
    subjects = [{"kind": "ServiceAccount", "name": "runtime", "namespace": namespace}]
    reference = {"apiGroup": ROLE.group, "kind": "Role", "name": "runtime"}
    await kube.apply(BINDING, manifest(BINDING, subjects=subjects, roleRef=reference))
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    answer = await kube.request("POST", ACCOUNT, path_of(ACCOUNT, namespace, "runtime", "token"), body=body)
    configuration = kube.api.configuration
    cluster = {"server": configuration.host, "certificate-authority": configuration.ssl_ca_cert}
    own = folder / "kubeconfig"
    own.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "test", "cluster": cluster}],
                "users": [{"name": "runtime", "user": {"token": answer["status"]["token"]}}],
                "contexts": [{"name": "test", "context": {"cluster": "test", "user": "runtime"}}],
                "current-context": "test",
            }
        )
    )
    return own


async def test_a_role_in_its_namespace_is_enough(
    kube: KubeClient, namespace: str, start: Start, tmp_path: Path
) -> None:
    own = await impersonate(kube, namespace, tmp_path)
    async with start(own) as running:
        await kube.apply(TOY, toy(namespace, "shop", 1))
        await until("the toy is done", lambda: has_copies(kube, namespace, "shop", 1))
        await until("it is ready", running.ready)


async def test_a_missing_permission_is_told_and_repairs_itself_when_it_is_given(
    kube: KubeClient, namespace: str, start: Start, tmp_path: Path
) -> None:
    own = await impersonate(kube, namespace, tmp_path)
    role = await kube.get(ROLE, namespace, "runtime")
    assert role is not None
    metadata = {"namespace": namespace, "name": "runtime"}
    without = {"apiVersion": ROLE.api_version, "kind": "Role", "metadata": metadata, "rules": RULES[1:]}
    await kube.apply(ROLE, without)
    async with start(own) as running:

        async def complains() -> bool:
            status, text = await running.ask("/readyz")
            return status == 503 and "toys" in text

        await until("health is served", lambda: running.health_port != 0)
        await until("it says what it lacks", complains)
        await kube.apply(ROLE, {**without, "rules": RULES})
        await kube.apply(TOY, toy(namespace, "shop", 1))
        await until("the toy is done", lambda: has_copies(kube, namespace, "shop", 1))
