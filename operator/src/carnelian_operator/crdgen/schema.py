"""From a pydantic model to the structural OpenAPI v3 schema that the API server takes.

Structural means: every node states its type, nothing is referenced, nothing is said by ``anyOf`` but "integer or
string", and no node forbids further properties (the API server prunes them, or refuses them when the client asks
for strict validation, as kubectl does).
"""

from typing import Any

from pydantic import BaseModel

from carnelian.policies.cel import VALIDATIONS

Schema = dict[str, Any]

INT_OR_STRING = "x-kubernetes-int-or-string"
_DROPPED = ("title", "$defs")


def structural(model: type[BaseModel]) -> Schema:
    """The model's structural schema, with descriptions, defaults and rules."""
    raw = model.model_json_schema(by_alias=True, mode="validation")
    return _convert(raw, raw.get("$defs", {}))


def _convert(node: Schema, definitions: dict[str, Schema]) -> Schema:
    node = _flatten(node, definitions)
    result: Schema = {key: value for key, value in node.items() if key not in _DROPPED}
    if "description" in result:
        result["description"] = " ".join(result["description"].split())
    if "default" in result:
        result["default"] = _present(result["default"])
        if result["default"] in (None, [], {}):
            del result["default"]
    if result.get("additionalProperties") is False:
        del result["additionalProperties"]
    for key in ("items", "additionalProperties"):
        if isinstance(result.get(key), dict):
            result[key] = _convert(result[key], definitions)
    if "properties" in result:
        result["properties"] = {name: _convert(child, definitions) for name, child in result["properties"].items()}
    if result.get("type") == "integer":
        result.setdefault("format", "int64")
    return _ordered(result)


def without_defaults(node: Schema) -> Schema:
    """The same schema without defaults: in a status, a value that nobody observed must not appear."""
    result = {key: value for key, value in node.items() if key != "default"}
    if "items" in node:
        result["items"] = without_defaults(node["items"])
    if "properties" in node:
        result["properties"] = {name: without_defaults(child) for name, child in node["properties"].items()}
    return result


def _present(value: Any) -> Any:
    """A default without what is absent in it: null is no value of any field."""
    if isinstance(value, dict):
        present = {key: _present(child) for key, child in value.items()}
        return {key: child for key, child in present.items() if child not in (None, [], {})}
    return [_present(child) for child in value] if isinstance(value, list) else value


def _flatten(node: Schema, definitions: dict[str, Schema]) -> Schema:
    """Follow references and drop "or null", so that what remains states its own type.

    What is said beside a reference wins over what the referenced definition says; rules of both hold.
    """
    while True:
        if "$ref" in node:
            inner = definitions[node["$ref"].removeprefix("#/$defs/")]
            outer = {key: value for key, value in node.items() if key != "$ref"}
        elif "anyOf" in node and INT_OR_STRING not in node:
            choices = [choice for choice in node["anyOf"] if choice != {"type": "null"}]
            if len(choices) != 1:
                raise ValueError(f"a structural schema has no alternatives: {node['anyOf']}")
            inner = choices[0]
            outer = {key: value for key, value in node.items() if key != "anyOf"}
        else:
            return node
        rules = [*inner.get(VALIDATIONS, []), *outer.get(VALIDATIONS, [])]
        node = {**inner, **outer, **({VALIDATIONS: rules} if rules else {})}


_RULE = ("rule", "message", "messageExpression", "fieldPath", "reason")
_FIRST = ("description", "type", "format", "default", "enum", "pattern")
_LAST = ("x-kubernetes-list-type", "x-kubernetes-list-map-keys", VALIDATIONS, "required", "items", "properties")


def _ordered(node: Schema) -> Schema:
    """The same node in the order in which people read it."""
    if VALIDATIONS in node:
        rules = node[VALIDATIONS]
        node = {**node, VALIDATIONS: [{key: rule[key] for key in _RULE if key in rule} for rule in rules]}
    middle = [key for key in node if key not in _FIRST and key not in _LAST]
    return {key: node[key] for key in (*_FIRST, *middle, *_LAST) if key in node}
