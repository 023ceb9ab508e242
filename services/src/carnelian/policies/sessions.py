"""The body of a `SessionStore`: how long sessions live and how they are protected."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from carnelian.policies._base import Duration, PolicyModel, not_longer, seconds
from carnelian.policies._quantity import Size
from carnelian.policies._shared import Durability, Encryption
from carnelian.policies.cel import cel, matches


class OnExceed(StrEnum):
    """What a new session beyond the cap does."""

    EVICT_OLDEST = "EvictOldest"
    REJECT = "Reject"


class RotateOn(StrEnum):
    """When a session gets a new id by itself."""

    PRINCIPAL_CHANGE = "PrincipalChange"
    NEVER = "Never"


class Merge(StrEnum):
    """What concurrent requests of one session do to each other's changes."""

    PER_FIELD = "PerField"
    LAST_WRITE = "LastWrite"


class SessionEvents(StrEnum):
    """Whether the store tells about its sessions."""

    STREAM = "Stream"
    OFF = "Off"


class OnChange(StrEnum):
    """What a sign of theft does."""

    IGNORE = "Ignore"
    REPORT = "Report"
    REVOKE = "Revoke"


class SessionsOnUnavailable(StrEnum):
    """What a request meets while the data plane cannot be asked in time."""

    FAIL = "Fail"
    ANONYMOUS = "Anonymous"


class SameSite(StrEnum):
    """The cookie's SameSite attribute."""

    LAX = "Lax"
    STRICT = "Strict"
    NONE = "None"


class Secure(StrEnum):
    """The cookie's Secure attribute."""

    ALWAYS = "Always"
    WHEN_HTTPS = "WhenHttps"


_COOKIE = r"^[A-Za-z0-9_-]+$"
_DOMAIN = r"^\.?[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"
_PATH = r"^/[A-Za-z0-9/_.~-]*$"


@cel(
    "self.sameSite != 'None' || self.secure == 'Always'",
    "browsers drop a cookie with sameSite None that is not secure: set secure Always, or sameSite Lax",
    field=".secure",
)
@cel(
    "!self.name.startsWith('__Host-') || (!has(self.domain) && self.path == '/' && self.secure == 'Always')",
    "a name that starts with __Host- allows no domain, only path / and secure Always: change these, or the name",
    field=".name",
)
class Cookie(PolicyModel):
    """The cookie that carries the session's id; always HttpOnly."""

    name: Annotated[
        str,
        Field(pattern=_COOKIE, min_length=1, max_length=63),
        matches(_COOKIE, "must be letters, digits, '_' and '-'"),
    ] = "session"
    """The cookie's name."""
    domain: Annotated[
        str | None,
        Field(pattern=_DOMAIN, max_length=253),
        matches(_DOMAIN, "must be a domain name like example.org, in lower case"),
    ] = None
    """The Domain attribute. Absent: only the host that set the cookie."""
    path: Annotated[
        str,
        Field(pattern=_PATH, min_length=1, max_length=253),
        matches(_PATH, "must be a path that starts with '/', like /app"),
    ] = "/"
    """The Path attribute."""
    same_site: SameSite = SameSite.LAX
    """The SameSite attribute."""
    secure: Secure = Secure.ALWAYS
    """Always, or only on requests that came by HTTPS (for development)."""


class Suspicion(PolicyModel):
    """What a change that may mean theft does to a session."""

    user_agent_change: OnChange = OnChange.REPORT
    """Another user agent than before."""
    address_change: OnChange = OnChange.IGNORE
    """Another network address than before."""


@cel(
    not_longer("self.idle", "self.absolute"),
    "idle must not be longer than absolute: lower idle, or raise absolute",
    field=".idle",
)
@cel(
    not_longer("self.touchEvery", "self.idle"),
    "touchEvery must not be longer than idle, or sessions in use would end: lower touchEvery, or raise idle",
    field=".touchEvery",
)
@cel(
    "self.onExceed == 'EvictOldest' || has(self.maxPerPrincipal)",
    "onExceed Reject has no effect without a cap: set maxPerPrincipal, or remove onExceed",
    field=".maxPerPrincipal",
    reason="FieldValueRequired",
)
class SessionPolicy(PolicyModel):
    """What a library process needs in order to keep one kind of session."""

    idle: Duration = "30m"
    """A session that is not used for this long ends; the server enforces it."""
    absolute: Duration = "12h"
    """A session ends after this long, used or not; the server enforces it."""
    touch_every: Duration = "1m"
    """A read extends the session only when the last extension is older, so most reads write nothing."""
    max_per_principal: Annotated[int | None, Field(ge=1, le=10_000)] = None
    """Most sessions that one principal may have at a time. Absent: any number."""
    on_exceed: OnExceed = OnExceed.EVICT_OLDEST
    """Beyond the cap: EvictOldest ends the oldest session, Reject refuses the new one."""
    rotate_on: RotateOn = RotateOn.PRINCIPAL_CHANGE
    """PrincipalChange: a session gets a new id when somebody signs in or out. Never: only when asked."""
    merge: Merge = Merge.PER_FIELD
    """PerField: concurrent requests lose nothing but writes to the same field. LastWrite: the last one wins all."""
    max_bytes: Size = "64Ki"
    """Largest session; a write beyond it is refused."""
    tombstone_for: Duration = "1h"
    """For this long after its end, a request still under way cannot bring a session back."""
    encryption: Encryption | None = None
    """Encryption of the sessions' content. Absent: none."""
    durability: Durability = Durability.ASYNC
    """What a change has survived when it is acknowledged: Async the primary's memory, Replicated a replica too,
    Fsync a disk."""
    events: SessionEvents = SessionEvents.STREAM
    """Stream: created, expired, revoked and suspicious sessions are told in a stream. Off: not at all."""
    events_retention: Duration = "1d"
    """How long the stream keeps an event."""
    suspicion: Suspicion = Suspicion()
    """What a change that may mean theft does."""
    cookie: Cookie = Cookie()
    """The cookie that the middleware sets."""
    on_unavailable: SessionsOnUnavailable = SessionsOnUnavailable.FAIL
    """While the data plane cannot be asked: Fail raises an error, Anonymous goes on without a session."""

    @model_validator(mode="after")
    def _durations_fit(self) -> Self:
        if seconds(self.idle) > seconds(self.absolute):
            raise ValueError(f"idle {self.idle} is longer than absolute {self.absolute}: lower idle, or raise absolute")
        if seconds(self.touch_every) > seconds(self.idle):
            raise ValueError(f"touchEvery {self.touch_every} is longer than idle {self.idle}: lower it, or raise idle")
        return self
