"""Amounts as Kubernetes writes them: ``500m`` of CPU, ``512Mi`` of memory."""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

from carnelian.policies.cel import VALIDATIONS, Cel

_CPU = r"^[0-9]{1,6}(\.[0-9]{1,3})?$|^[0-9]{1,9}m$"
_SIZE = r"^[0-9]{1,15}(k|Ki|M|Mi|G|Gi|T|Ti|P|Pi)?$"
_FACTORS: dict[str, int] = {"": 1, "k": 1000} | {
    unit + suffix: base**power
    for power, unit in enumerate("KMGTP", start=1)
    for suffix, base in (("", 1000), ("i", 1024))
}


def _quantity(pattern: str, remedy: str) -> Any:
    """A quantity above zero, written as a number or as text; kept as text."""
    positive = "isQuantity(string(self)) && quantity(string(self)).isGreaterThan(quantity('0'))"
    schema = {
        "anyOf": [{"type": "integer"}, {"type": "string"}],
        "x-kubernetes-int-or-string": True,
        "pattern": pattern,
        "maxLength": 24,
        VALIDATIONS: [Cel(positive, remedy).validation()],
    }
    as_text = BeforeValidator(lambda value: str(value) if isinstance(value, int) else value)
    return Annotated[str, Field(pattern=pattern, max_length=24), as_text, WithJsonSchema(schema)]


Cpu = _quantity(_CPU, "must be an amount of CPU above zero, like 500m, 2 or 1.5")
Size = _quantity(_SIZE, "must be a number of bytes above zero, like 512Mi or 10Gi")


def size_bytes(size: str) -> int:
    """The number of bytes of a `Size`.

    Raises:
        ValueError: the text is not a size.
    """
    if not re.fullmatch(_SIZE, size):
        raise ValueError(f"{size!r} is not a size; write it like 64Ki, 512Mi or 10Gi")
    number = size.rstrip("kKMGTPi")
    return int(number) * _FACTORS[size[len(number) :]]
