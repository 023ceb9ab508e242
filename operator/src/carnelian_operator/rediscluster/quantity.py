"""Kubernetes quantities."""

import re
from decimal import Decimal

_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(m|k|Ki|M|Mi|G|Gi|T|Ti|P|Pi|E|Ei)?")
_FACTOR = {
    "m": Decimal("0.001"),
    "": Decimal(1),
    **{unit: Decimal(1000) ** power for power, unit in enumerate(("k", "M", "G", "T", "P", "E"), 1)},
    **{f"{unit}i": Decimal(1024) ** power for power, unit in enumerate(("K", "M", "G", "T", "P", "E"), 1)},
}


def parse_quantity(text: str | int) -> Decimal:
    """The amount that a quantity such as ``500m`` or ``1.5Gi`` stands for.

    Raises:
        ValueError: the text is no quantity.
    """
    match = _QUANTITY.fullmatch(str(text))
    if match is None:
        raise ValueError(f"{text!r} is not a quantity; write it like 500m, 2 or 1.5Gi")
    return Decimal(match[1]) * _FACTOR[match[2] or ""]


def same_quantity(left: object, right: object) -> bool:
    """Whether both are quantities of the same amount; the API server rewrites ``1024Mi`` as ``1Gi``."""
    if not (isinstance(left, str | int) and isinstance(right, str | int)):
        return False
    try:
        return parse_quantity(left) == parse_quantity(right)
    except ValueError:
        return False
