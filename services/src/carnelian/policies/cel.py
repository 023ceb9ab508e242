"""Rules that the API server enforces, written beside the model they guard.

A pydantic model is also the schema of a custom resource. What a JSON schema cannot say (one field against
another, the old value against the new) is said once here, in the Common Expression Language, and ends up in the
resource definition as ``x-kubernetes-validations``. The library ignores these annotations; where it needs the
same judgement without an API server, the model has a pydantic validator too.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

VALIDATIONS = "x-kubernetes-validations"

CelReason = Literal["FieldValueInvalid", "FieldValueForbidden", "FieldValueRequired", "FieldValueDuplicate"]

_Model = TypeVar("_Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Cel:
    """One rule, as an annotation of a field: ``Annotated[int, Cel("self % 2 == 1", "…")]``.

    `message` names the field and the remedy. `message_expression` (CEL, yields the text) replaces it where the
    message must quote a value. `field` is the path below the annotated value that the error is reported at.
    """

    rule: str
    message: str
    message_expression: str = ""
    field: str = ""
    reason: CelReason = "FieldValueInvalid"

    def validation(self) -> dict[str, str]:
        """The rule as an item of ``x-kubernetes-validations``."""
        optional = {"messageExpression": self.message_expression, "fieldPath": self.field}
        return {
            "rule": self.rule,
            "message": self.message,
            **{key: value for key, value in optional.items() if value},
            "reason": self.reason,
        }

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Add the rule to the field's schema."""
        schema = handler(core)
        return {**schema, VALIDATIONS: [*schema.get(VALIDATIONS, []), self.validation()]}


@dataclass(frozen=True, slots=True)
class ListMap:
    """Marks a list as a map by one of its items' fields: duplicates are refused, and appliers merge by it."""

    key: str

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Add the list type to the field's schema."""
        return {**handler(core), "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [self.key]}


IMMUTABLE = "self == oldSelf"


def cel(
    rule: str,
    message: str,
    *,
    message_expression: str = "",
    field: str = "",
    reason: CelReason = "FieldValueInvalid",
) -> Callable[[type[_Model]], type[_Model]]:
    """Decorates a model with a rule over several of its fields; models that inherit from it inherit the rule."""

    def add(model: type[_Model]) -> type[_Model]:
        own: tuple[Cel, ...] = model.__dict__.get("__cel__", ())
        rules = (Cel(rule, message, message_expression, field, reason), *own)
        type.__setattr__(model, "__cel__", rules)
        return model

    return add


def rules_of(model: type[Any]) -> list[Cel]:
    """The rules of a model and of the models it inherits from, bases first."""
    return [rule for base in reversed(model.__mro__) for rule in base.__dict__.get("__cel__", ())]


def literal(text: str) -> str:
    r"""The CEL string literal for `text`; backslashes and quotes are escaped."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
    return f"'{escaped}'"


def length(path: str) -> str:
    """A CEL expression for the milliseconds of the `Duration` at `path`; CEL itself knows no days."""
    days = f"int('0' + {path}.find('[0-9]+d').replace('d', '')) * 86400000"
    return f"({days} + duration('0s' + {path}.find('[0-9]+[hms].*')).getMilliseconds())"


def matches(pattern: str, remedy: str) -> Cel:
    """The rule that a text matches `pattern`, with a message for people; goes beside the schema's own pattern."""
    return Cel(f"self.matches({literal(pattern)})", remedy)
