"""The chart, rendered by the real helm."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from carnelian_operator.api.resources import RESOURCES
from carnelian_operator.crdgen import permissions
from carnelian_operator.crdgen.definition import definition
from carnelian_operator.crdgen.values import Values
from carnelian_operator.rediscluster.kinds import OWNED
from e2e.cluster import toolchain

pytestmark = pytest.mark.unit

CHART = Path(__file__).parents[3] / "helm" / "carnelian"
Object = dict[str, Any]


@pytest.fixture(scope="session")
def helm() -> str:
    toolchain.build({"helm"})
    return str(toolchain.tool("helm"))


def render(helm: str, *sets: str) -> list[Object]:
    command = [helm, "template", "carnelian", str(CHART), "--namespace", "carnelian-system"]
    for each in sets:
        command += ["--set-json", each]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssertionError(done.stderr)
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def find(objects: list[Object], kind: str, name: str = "") -> list[Object]:
    return [each for each in objects if each["kind"] == kind and each["metadata"]["name"].endswith(name)]


def test_lint_finds_nothing(helm: str) -> None:
    done = subprocess.run([helm, "lint", "--strict", str(CHART)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_values_are_the_models_defaults() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert Values.model_validate(values) == Values()


def test_pods_meet_the_restricted_standard(helm: str) -> None:
    (deployment,) = find(render(helm), "Deployment")
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert deployment["spec"]["replicas"] == 2
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"]["limits"]["memory"]
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "health"}
    assert container["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "health"}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
    assert all("hostPath" not in volume for volume in pod["volumes"])


def test_arguments_are_those_of_the_command(helm: str) -> None:
    from carnelian_operator.cli import parser  # noqa: PLC0415

    (deployment,) = find(render(helm, 'watchNamespaces=["a","b"]', 'logLevel="DEBUG"', "workers=3"), "Deployment")
    args = parser().parse_args(deployment["spec"]["template"]["spec"]["containers"][0]["args"])
    assert (args.namespace, args.lease_namespace, args.lease_name) == (["a", "b"], "carnelian-system", "carnelian")
    assert (args.log_level, args.workers, args.health_port) == ("DEBUG", 3, 8080)


def test_all_namespaces_are_served_by_a_cluster_role(helm: str) -> None:
    objects = render(helm)
    (role,) = find(objects, "ClusterRole", "-carnelian")
    assert role["rules"] == [permission.rule() for permission in permissions.OPERATOR]
    (binding,) = find(objects, "ClusterRoleBinding")
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    assert [each["metadata"]["name"] for each in find(objects, "Role")] == ["carnelian-lease"]


def test_stated_namespaces_are_served_by_roles_in_them_alone(helm: str) -> None:
    objects = render(helm, 'watchNamespaces=["shop","mail"]')
    roles = {each["metadata"]["namespace"]: each for each in find(objects, "Role", "carnelian")}
    assert roles.keys() == {"shop", "mail"}
    assert all(each["rules"] == [permission.rule() for permission in permissions.OPERATOR] for each in roles.values())
    assert not find(objects, "ClusterRoleBinding")
    assert {each["metadata"]["name"] for each in find(objects, "ClusterRole")} == {
        "carnelian-system-carnelian-view",
        "carnelian-system-carnelian-edit",
    }


def test_the_operator_may_do_nothing_general(helm: str) -> None:
    for role in [*find(render(helm), "ClusterRole"), *find(render(helm), "Role")]:
        for rule in role["rules"]:
            assert "*" not in rule["verbs"] + rule["resources"] + rule["apiGroups"]
            assert not {"pods/exec", "nodes", "roles", "clusterroles"} & set(rule["resources"])
    specs = {resource.kind.plural for resource in RESOURCES}
    writes = {"create", "update", "patch", "delete"}
    assert all(not writes & set(each.verbs) for each in permissions.OPERATOR if specs & set(each.resources))


def test_the_operator_may_read_everything_that_it_watches() -> None:
    readable = {
        (each.group, plural) for each in permissions.OPERATOR for plural in each.resources if "watch" in each.verbs
    }
    assert {(kind.group, kind.plural) for kind in (*OWNED, *(resource.kind for resource in RESOURCES))} == readable


def test_the_lease_is_the_only_one_that_may_be_changed(helm: str) -> None:
    (role,) = find(render(helm, 'fullnameOverride="second"'), "Role", "second-lease")
    create, change = role["rules"]
    assert (create["verbs"], change["verbs"], change["resourceNames"]) == (["create"], ["get", "update"], ["second"])


def test_definitions_come_with_the_release_and_stay(helm: str) -> None:
    definitions = find(render(helm), "CustomResourceDefinition")
    wanted = {resource.kind.plural: definition(resource)["spec"] for resource in RESOURCES}
    assert {each["spec"]["names"]["plural"]: each["spec"] for each in definitions} == wanted
    assert all(each["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep" for each in definitions)
    loose = find(render(helm, "crds.keep=false"), "CustomResourceDefinition")
    assert len(loose) == len(wanted)
    assert all("annotations" not in each["metadata"] for each in loose)
    assert not find(render(helm, "crds.enabled=false"), "CustomResourceDefinition")


def test_one_replica_needs_no_disruption_budget(helm: str) -> None:
    assert len(find(render(helm), "PodDisruptionBudget")) == 1
    assert not find(render(helm, "replicas=1"), "PodDisruptionBudget")


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ("replicas=0", "replicas"),
        ("replica=1", "replica"),
        ('watchNamespaces=["A b"]', "watchNamespaces"),
        ('logLevel="loud"', "logLevel"),
        ('image.digest="latest"', "digest"),
        ("image.reposotory=1", "reposotory"),
    ],
)
def test_a_bad_value_is_refused_by_name(helm: str, given: str, named: str) -> None:
    with pytest.raises(AssertionError, match=named):
        render(helm, given)


def test_the_schema_is_valid_json() -> None:
    assert json.loads((CHART / "values.schema.json").read_text())["additionalProperties"] is False
