"""The CustomResourceDefinition of a kind."""

from typing import Any

from carnelian.policies.cel import VALIDATIONS
from carnelian_operator.api.resources import CATEGORY, Column, Resource
from carnelian_operator.crdgen.schema import structural, without_defaults

_UNSEEN = {"observedGeneration": -1}
"""The status of a resource that the operator has not looked at; by it, waiting clients know to wait."""


def definition(resource: Resource) -> dict[str, Any]:
    """The kind's definition, as a manifest."""
    kind = resource.kind
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{kind.plural}.{kind.group}",
            "labels": {"app.kubernetes.io/name": "carnelian", "app.kubernetes.io/part-of": "carnelian"},
        },
        "spec": {
            "group": kind.group,
            "scope": "Namespaced",
            "names": {
                "kind": kind.kind,
                "listKind": f"{kind.kind}List",
                "plural": kind.plural,
                "singular": kind.kind.lower(),
                "shortNames": [resource.short_name],
                "categories": [CATEGORY],
            },
            "versions": [
                {
                    "name": kind.version,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [_column(column) for column in resource.columns],
                    "schema": {"openAPIV3Schema": _root(resource)},
                }
            ],
        },
    }


def _column(column: Column) -> dict[str, Any]:
    return {
        "name": column.name,
        "type": column.type,
        "jsonPath": column.path,
        "description": column.description,
        **({"priority": 1} if column.wide else {}),
    }


def _root(resource: Resource) -> dict[str, Any]:
    return {
        "description": resource.summary,
        "type": "object",
        "required": ["spec"],
        VALIDATIONS: [rule.validation() for rule in resource.rules],
        "properties": {
            "apiVersion": {"type": "string", "description": "Version of the schema of this representation."},
            "kind": {"type": "string", "description": f"Always {resource.kind.kind}."},
            "metadata": {"type": "object"},
            "spec": structural(resource.spec),
            "status": {**without_defaults(structural(resource.status)), "default": _UNSEEN},
        },
    }
