"""The parts of a pod's specification that our resources pass through, with bounds that Kubernetes leaves open."""

from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field

from carnelian.policies import Cpu, Size
from carnelian.policies.cel import Cel, cel, literal, matches
from carnelian_operator.api.base import SpecModel

_LABEL_KEY = r"^([a-zA-Z0-9]([-a-zA-Z0-9.]*[a-zA-Z0-9])?/)?[a-zA-Z0-9]([-a-zA-Z0-9_.]*[a-zA-Z0-9])?$"
_LABEL_VALUE = r"^([a-zA-Z0-9]([-a-zA-Z0-9_.]*[a-zA-Z0-9])?)?$"
_KEY_REMEDY = "must be a label key like kubernetes.io/arch: letters, digits, '-', '_', '.', at most one '/'"
_VALUE_REMEDY = "must be a label value: letters, digits, '-', '_' and '.', at most 63 of them"


class ResourceAmounts(SpecModel):
    """Amounts of a pod's resources."""

    cpu: Cpu | None = None
    """CPU, for example 500m or 2."""
    memory: Size | None = None
    """Memory, for example 512Mi or 4Gi."""
    ephemeral_storage: Annotated[Size | None, Field(alias="ephemeral-storage")] = None
    """Scratch space on the Kubernetes node, for example 1Gi."""


def _within(field: str) -> str:
    both = f"has(self.requests) && has(self.limits) && has(self.requests.{field}) && has(self.limits.{field})"
    request, limit = f"string(self.requests.{field})", f"string(self.limits.{field})"
    valid = f"isQuantity({request}) && isQuantity({limit})"
    return f"!({both}) || !({valid}) || quantity({request}).compareTo(quantity({limit})) <= 0"


@cel(
    _within("cpu"),
    "requests.cpu is above limits.cpu: lower the request, or raise the limit",
    field=".requests",
)
@cel(
    _within("memory"),
    "requests.memory is above limits.memory: lower the request, or raise the limit",
    field=".requests",
)
class Resources(SpecModel):
    """CPU and memory of a container."""

    requests: ResourceAmounts | None = None
    """What is set aside for it."""
    limits: ResourceAmounts | None = None
    """What it may use at most."""

    def requirements(self) -> dict[str, Any]:
        """The ``resources`` of a container."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class TolerationOperator(StrEnum):
    """How a toleration compares."""

    EQUAL = "Equal"
    EXISTS = "Exists"


class TaintEffect(StrEnum):
    """What a taint does."""

    NO_SCHEDULE = "NoSchedule"
    PREFER_NO_SCHEDULE = "PreferNoSchedule"
    NO_EXECUTE = "NoExecute"


@cel(
    "has(self.key) || self.operator == 'Exists'",
    "a toleration without key tolerates every taint: set operator Exists to say so, or name the key",
    field=".key",
)
@cel(
    "!has(self.value) || self.operator == 'Equal'",
    "value is only for operator Equal: remove value, or set operator Equal",
    field=".value",
    reason="FieldValueForbidden",
)
@cel(
    "!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')",
    "tolerationSeconds is only for effect NoExecute: remove it, or set effect NoExecute",
    field=".tolerationSeconds",
    reason="FieldValueForbidden",
)
class Toleration(SpecModel):
    """A taint that a pod puts up with."""

    key: Annotated[str | None, Field(pattern=_LABEL_KEY, max_length=317), matches(_LABEL_KEY, _KEY_REMEDY)] = None
    """The taint's key; every taint when absent."""
    operator: TolerationOperator = TolerationOperator.EQUAL
    """Equal compares the value, Exists takes any."""
    value: Annotated[str | None, Field(pattern=_LABEL_VALUE, max_length=63), matches(_LABEL_VALUE, _VALUE_REMEDY)] = (
        None
    )
    """The taint's value."""
    effect: TaintEffect | None = None
    """The taint's effect; every effect when absent."""
    toleration_seconds: Annotated[int | None, Field(ge=0, le=31_536_000)] = None
    """How long a running pod stays once the taint appears."""


NodeSelector = Annotated[
    dict[str, Annotated[str, Field(pattern=_LABEL_VALUE, max_length=63), matches(_LABEL_VALUE, _VALUE_REMEDY)]],
    Field(max_length=16),
    Cel(f"self.all(key, key.size() <= 317 && key.matches({literal(_LABEL_KEY)}))", f"every key {_KEY_REMEDY}"),
]
"""Labels of a Kubernetes node."""
