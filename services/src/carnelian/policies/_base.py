"""What every policy model shares: camelCase on the wire, no unknown fields, immutable once read."""

import re
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from carnelian.policies.cel import VALIDATIONS, Cel, length, literal, matches, rules_of

DNS_LABEL = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
"""A name that may become part of a host name, a key and a file name without quoting."""

ATTRIBUTE = r"^[a-zA-Z][a-zA-Z0-9_]*$"
"""The name of something a caller passes as a keyword argument."""

DURATION = r"^([0-9]{1,4}d)?([0-9]{1,5}h)?([0-9]{1,6}m)?([0-9]{1,8}s)?([0-9]{1,10}ms)?$"

TEXT = r"^[^\x00-\x1f\x7f\"'`\\]+$"
"""Text of any script on one line, without what ends a quoted string somewhere."""


Name = Annotated[
    str,
    Field(pattern=DNS_LABEL, min_length=1, max_length=63),
    matches(DNS_LABEL, "must be lower-case letters, digits and '-', and start and end with a letter or digit"),
]
Attribute = Annotated[
    str,
    Field(pattern=ATTRIBUTE, min_length=1, max_length=63),
    matches(ATTRIBUTE, "must be letters, digits and '_', and start with a letter, like tenant_id"),
]
Duration = Annotated[
    str,
    Field(pattern=DURATION, min_length=2, max_length=32),
    Cel(
        f"self.matches({literal(DURATION)}) && self.matches('[1-9]')",
        "must be a span of time longer than zero, like 500ms, 30s, 1m30s, 12h or 7d",
    ),
]
"""A span of time such as ``500ms``, ``1m30s`` or ``7d``, longer than zero."""
Text = Annotated[
    str,
    Field(pattern=TEXT, min_length=1, max_length=253),
    matches(TEXT, "must be one line without quotes, backslashes and control characters"),
]

_UNIT_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"([0-9]+)(ms|s|m|h|d)")


def seconds(duration: str) -> float:
    """The length of a `Duration` in seconds.

    Raises:
        ValueError: the text is not a duration.
    """
    if not duration or not re.fullmatch(DURATION, duration):
        raise ValueError(f"{duration!r} is not a duration; write it like 500ms, 30s, 1m30s or 7d")
    return sum(int(count) * _UNIT_SECONDS[unit] for count, unit in _PART.findall(duration))


def not_longer(one: str, other: str) -> str:
    """A CEL rule: the `Duration` at path `one` is at most the one at `other`, where both are well-formed."""
    formed = " && ".join(f"{path}.matches({literal(DURATION)})" for path in (one, other))
    return f"!({formed}) || {length(one)} <= {length(other)}"


class PolicyModel(BaseModel):
    """Base of everything that travels from a resource's ``spec`` to a pod."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
    )

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """The model's schema with the rules that decorate it."""
        schema = handler(core)
        rules = [rule.validation() for rule in rules_of(cls)]
        if rules:
            handler.resolve_ref_schema(schema)[VALIDATIONS] = rules
        return schema

    def body(self) -> dict[str, Any]:
        """The policy as the wire's `Document.body` carries it: camelCase, defaults included, nothing absent."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)
