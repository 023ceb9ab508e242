"""`SessionStore`: the life and the protection of one kind of session."""

from typing import Annotated

from pydantic import Field

from carnelian.policies import SessionPolicy
from carnelian_operator.api.base import OnCluster
from carnelian_operator.api.ratelimitrule import PolicyStatus


class SessionStoreSpec(SessionPolicy, OnCluster):
    """How sessions are kept. The store's name is the resource's name: ``svc.sessions("<name>")``."""


class SessionStoreStatus(PolicyStatus):
    """How far the policy has come, and what its store holds."""

    active: Annotated[int | None, Field(ge=0)] = None
    """Sessions that are alive."""
    principals: Annotated[int | None, Field(ge=0)] = None
    """Principals that have at least one session."""
    current_key: Annotated[str | None, Field(max_length=63)] = None
    """Id of the key that new values are encrypted with."""
    old_key_sessions: Annotated[int | None, Field(ge=0)] = None
    """Sessions that are still encrypted with an older key."""
