"""The generated schemas are structural, bounded and described."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from carnelian_operator.api.resources import RESOURCES, Resource
from carnelian_operator.crdgen.definition import definition
from carnelian_operator.crdgen.outputs import outputs, stale, write
from tests.resource_samples import SAMPLES, leaves

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[3]
BUILT_IN_SHORT_NAMES = {
    *("cm", "cs", "csr", "cj", "deploy", "ds", "ep", "ev", "hpa", "ing", "ip", "limits", "netpol", "no", "ns", "pc"),
    *("pdb", "po", "pv", "pvc", "quota", "rc", "rs", "sa", "sc", "sts", "svc", "vac", "crd", "crds"),
}
each_kind = pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource.kind.kind)


def root_schema(resource: Resource) -> dict[str, Any]:
    schema: dict[str, Any] = definition(resource)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


def nodes(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if key in schema:
            yield from nodes(schema[key], f"{path}.{key}")


def test_what_is_in_the_checkout_is_what_the_models_say() -> None:
    assert stale(ROOT) == [], "run `uv run python -m carnelian_operator.crdgen` and commit what it writes"


def test_writing_once_is_enough_and_removes_what_is_no_more(tmp_path: Path) -> None:
    assert set(write(tmp_path)) == set(outputs(tmp_path))
    (tmp_path / "crds" / "gone.yaml").write_text("")
    (tmp_path / "crds" / "redisclusters.yaml").write_text("edited by hand")
    assert stale(tmp_path) == ["crds/gone.yaml", "crds/redisclusters.yaml"]
    assert write(tmp_path) == ["crds/gone.yaml", "crds/redisclusters.yaml"]
    assert stale(tmp_path) == []


@each_kind
def test_every_node_states_its_type_and_refers_to_nothing(resource: Resource) -> None:
    for path, node in nodes(root_schema(resource)):
        if node.get("x-kubernetes-int-or-string"):
            assert node["anyOf"] == [{"type": "integer"}, {"type": "string"}], path
            assert "type" not in node
        else:
            assert node["type"] in {"object", "array", "string", "integer", "boolean"}, path
            assert "anyOf" not in node, path
        assert not node.keys() & {"$ref", "$defs", "allOf", "oneOf", "not", "title", "nullable", "const"}, path
        assert node.get("additionalProperties") is not False, path
        assert not ("properties" in node and "additionalProperties" in node), path
        assert "x-kubernetes-preserve-unknown-fields" not in node, path


@each_kind
def test_every_field_of_the_spec_is_described_and_bounded(resource: Resource) -> None:
    for path, node in nodes(root_schema(resource)["properties"]["spec"], "spec"):
        if not path.endswith((".items", ".additionalProperties")):
            assert node.get("description"), path
        match node.get("type", "int-or-string"):
            case "string":
                assert "enum" in node or ("pattern" in node and "maxLength" in node), path
            case "array":
                assert "maxItems" in node, path
            case "integer":
                assert {"minimum", "maximum"} <= node.keys(), path
            case "int-or-string":
                assert {"pattern", "maxLength"} <= node.keys(), path
            case "object":
                assert "properties" in node or "maxProperties" in node, path


@each_kind
def test_every_field_of_the_status_is_described_and_has_no_default(resource: Resource) -> None:
    status = root_schema(resource)["properties"]["status"]
    assert status["default"] == {"observedGeneration": -1}
    for path, node in nodes(status, "status"):
        assert node.get("description") or path.endswith(".items"), path
        assert path == "status" or "default" not in node, path
        assert node["type"] != "array" or "maxItems" in node, path
    assert status["properties"]["conditions"]["x-kubernetes-list-map-keys"] == ["type"]


@each_kind
def test_every_rule_has_a_message_that_says_what_to_do(resource: Resource) -> None:
    rules = [rule for _, node in nodes(root_schema(resource)) for rule in node.get("x-kubernetes-validations", ())]
    assert rules
    for rule in rules:
        assert len(rule["message"]) > 20, rule
        assert "\n" not in rule["message"], rule
        assert set(rule) <= {"rule", "message", "messageExpression", "fieldPath", "reason"}
        if "oldSelf" in rule["rule"]:
            assert rule["reason"] == "FieldValueForbidden", rule


@each_kind
def test_the_samples_have_every_field(resource: Resource) -> None:
    schema = root_schema(resource)["properties"]["spec"]
    covered = set()
    for sample in SAMPLES[resource.kind.kind]:
        for path, _ in leaves(schema, sample):
            covered.add("." + ".".join("items" if isinstance(step, int) else str(step) for step in path))
    wanted = {path for path, node in nodes(schema) if not node.keys() & {"properties", "items", "additionalProperties"}}
    assert {re.sub(r"\.additionalProperties$", "", path) for path in wanted} <= {
        re.sub(r"(\.nodeSelector)\..*", r"\1", path) for path in covered
    }


@each_kind
def test_patterns_mean_the_same_in_every_dialect(resource: Resource) -> None:
    for path, node in nodes(root_schema(resource)):
        if pattern := node.get("pattern"):
            assert pattern.startswith("^"), path
            assert pattern.endswith("$"), path
            assert not re.search(r"\(\?[=!<]|\\[dwsDWS]", pattern), f"{path}: {pattern}"


def test_names_clash_with_nothing_built_in_nor_each_other() -> None:
    short = [resource.short_name for resource in RESOURCES]
    assert len(set(short)) == len(short)
    assert not set(short) & BUILT_IN_SHORT_NAMES
    for resource in RESOURCES:
        names = definition(resource)["spec"]["names"]
        assert names["categories"] == ["carnelian"]
        assert names["singular"] == names["kind"].lower()
        assert names["plural"] == resource.kind.plural


@each_kind
def test_columns_show_fields_that_exist(resource: Resource) -> None:
    schema = root_schema(resource)
    for column in definition(resource)["spec"]["versions"][0]["additionalPrinterColumns"]:
        path = column["jsonPath"]
        if path.startswith((".metadata", ".status.conditions[")):
            continue
        node = schema
        for step in path.lstrip(".").split("."):
            node = node["properties"][step]
        assert node["type"] == column["type"], path
