"""What every policy model shares: camelCase on the wire, no unknown fields, immutable once read."""

import re
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

DNS_LABEL = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
"""A name that may become part of a host name, a key and a file name without quoting."""

ATTRIBUTE = r"^[a-zA-Z][a-zA-Z0-9_]*$"
"""The name of something a caller passes as a keyword argument."""

DURATION = r"^([0-9]+(ms|s|m|h|d))+$"

Name = Annotated[str, Field(pattern=DNS_LABEL, min_length=1, max_length=63)]
Attribute = Annotated[str, Field(pattern=ATTRIBUTE, max_length=63)]
Duration = Annotated[str, Field(pattern=DURATION, max_length=32)]
"""A span of time such as ``500ms``, ``1m30s`` or ``7d``."""

_UNIT_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"([0-9]+)(ms|s|m|h|d)")


def seconds(duration: str) -> float:
    """The length of a `Duration` in seconds.

    Raises:
        ValueError: the text is not a duration.
    """
    if not re.fullmatch(DURATION, duration):
        raise ValueError(f"{duration!r} is not a duration; write it like 500ms, 30s, 1m30s or 7d")
    return sum(int(count) * _UNIT_SECONDS[unit] for count, unit in _PART.findall(duration))


class PolicyModel(BaseModel):
    """Base of everything that travels from a resource's ``spec`` to a pod."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
    )
