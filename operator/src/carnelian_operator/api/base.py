"""What the models of all our resources share: field types, references, and the shape of a status."""

from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from carnelian.policies import Name, PolicyModel
from carnelian.policies.cel import IMMUTABLE, Cel
from carnelian_operator.api.conditions import Condition, Conditions

GROUP = "carnelian.dev"
VERSION = "v1alpha1"

SpecModel = PolicyModel
"""Base of everything below ``spec``: camelCase, unknown fields refused, immutable once read."""


class ClusterRef(SpecModel):
    """The `RedisCluster` that serves a policy; it lives in the same namespace."""

    name: Name
    """The RedisCluster's name."""


class OnCluster(SpecModel):
    """Base of the specs of all policies: each belongs to one `RedisCluster`."""

    cluster_ref: Annotated[
        ClusterRef,
        Cel(
            IMMUTABLE,
            "clusterRef cannot be changed: delete this resource and create it anew for the other RedisCluster",
            reason="FieldValueForbidden",
        ),
    ]
    """The RedisCluster, in the same namespace, that serves this policy. Cannot be changed."""

    operator_only: ClassVar[frozenset[str]] = frozenset({"cluster_ref"})
    """Fields that concern the operator alone and are not delivered to pods."""

    def document_body(self) -> dict[str, Any]:
        """The part that library processes receive, as the wire's `Document.body`: camelCase, defaults included."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True, exclude=set(self.operator_only))


class StatusModel(BaseModel):
    """Base of everything below ``status``. Fields of another version of the operator are ignored, not refused."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="ignore",
        frozen=True,
        use_attribute_docstrings=True,
    )

    def dump(self) -> dict[str, Any]:
        """The status as the API server takes it: camelCase, absent fields left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class ResourceStatus(StatusModel):
    """What every status has, by the rules of kstatus."""

    observed_generation: int = -1
    """The `metadata.generation` that this status describes; -1 before the operator has looked at the resource."""
    conditions: Conditions = []
    """What is true of the resource now; one entry a type. See the page of conditions and reasons."""

    def condition(self, kind: str) -> Condition | None:
        """The condition of that type, or None."""
        return next((condition for condition in self.conditions if condition.type == kind), None)
