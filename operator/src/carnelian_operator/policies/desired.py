"""Which documents an instance should hold: what resources exist, and nothing else."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from pydantic import ValidationError

from carnelian.policies.wire import SCHEMA, Document, content_hash
from carnelian_operator.api.ratelimitrule import RateLimitRuleSpec
from carnelian_operator.runtime.api import Object


@dataclass(frozen=True, slots=True)
class Desired:
    """The documents of one instance. Their epochs are 0: the data plane numbers them."""

    documents: tuple[Document, ...] = ()
    kept: tuple[str, ...] = ()
    """Fields of documents whose resource cannot be read now; what is published of them stays."""
    problems: dict[str, str] = field(default_factory=dict)
    """Why, by field."""


def desired_documents(resources: Iterable[Object], cluster: str) -> Desired:
    """The documents that the resources of a namespace make for one instance."""
    documents: list[Document] = []
    problems: dict[str, str] = {}
    for resource in resources:
        if cluster_of(resource) != cluster or "deletionTimestamp" in resource["metadata"]:
            continue
        try:
            documents.append(document_of(resource))
        except ValidationError as error:
            problems[field_of(resource)] = _readable(error)
    return Desired(tuple(documents), tuple(problems), problems)


def document_of(resource: Object) -> Document:
    """The document that a resource becomes.

    Raises:
        ValidationError: its spec breaks a rule that the API server does not know.
    """
    body = RateLimitRuleSpec.model_validate(resource["spec"]).document_body()
    meta = resource["metadata"]
    return Document(
        schema=SCHEMA,
        kind=resource["kind"],
        name=meta["name"],
        generation=meta["generation"],
        epoch=0,
        hash=content_hash(body),
        body=body,
    )


def field_of(resource: Object) -> str:
    """The field of a resource's document."""
    return f"{resource['kind']}/{resource['metadata']['name']}"


def cluster_of(resource: Object) -> str | None:
    """The instance that a policy names."""
    name = ((resource.get("spec") or {}).get("clusterRef") or {}).get("name")
    return str(name) if name else None


def _readable(error: ValidationError) -> str:
    return "; ".join(f"spec.{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
