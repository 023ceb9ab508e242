"""`CachePolicy`: the behaviour of one named cache."""

from typing import Annotated

from pydantic import Field

from carnelian.policies import CachePolicy
from carnelian_operator.api.base import OnCluster, StatusModel
from carnelian_operator.api.ratelimitrule import PolicyStatus


class CachePolicySpec(CachePolicy, OnCluster):
    """How a cache behaves. Its name is the resource's name: ``svc.cache("<name>")``."""


class Recommendation(StatusModel):
    """A change of the spec that the measurements speak for."""

    field: Annotated[str, Field(max_length=253)]
    """The field of the spec."""
    value: Annotated[str, Field(max_length=253)]
    """The value to set."""
    because: Annotated[str, Field(max_length=1024)]
    """What was measured."""


class CachePolicyStatus(PolicyStatus):
    """How far the policy has come, and what its cache does."""

    entries: Annotated[int | None, Field(ge=0)] = None
    """Entries in the data plane."""
    used_bytes: Annotated[int | None, Field(ge=0)] = None
    """Memory that the entries take in the data plane."""
    hit_percent: Annotated[int | None, Field(ge=0, le=100)] = None
    """Share of reads that were answered from the cache."""
    recommendations: Annotated[list[Recommendation], Field(max_length=16)] = []
    """Changes that the measurements speak for."""
