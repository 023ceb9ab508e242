"""The body of a `CachePolicy`: how long values live, who loads them, and what happens under stress."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from carnelian.policies._base import Attribute, Duration, Name, PolicyModel, not_longer, seconds
from carnelian.policies._quantity import Size
from carnelian.policies._shared import Encryption, Staged
from carnelian.policies.cel import cel


class RefreshMode(StrEnum):
    """When a value that is still fresh is loaded again."""

    XFETCH = "XFetch"
    THRESHOLD = "Threshold"
    OFF = "Off"


class NearMode(StrEnum):
    """How a process keeps its own copies honest."""

    OFF = "Off"
    INVALIDATE = "Invalidate"
    TTL = "Ttl"


class CoalesceScope(StrEnum):
    """Among whom one load serves all who wait for it."""

    FLEET = "Fleet"
    PROCESS = "Process"
    NONE = "None"


class LateResult(StrEnum):
    """What becomes of a load that ends after its caller was served otherwise."""

    KEEP = "Keep"
    DISCARD = "Discard"


class CacheOnUnavailable(StrEnum):
    """What a read does while the data plane cannot be asked in time."""

    BYPASS = "Bypass"
    FAIL = "Fail"


class CompressionAlgorithm(StrEnum):
    """How values are compressed."""

    ZSTD = "Zstd"
    NONE = "None"


class Tags(StrEnum):
    """Whether entries can be invalidated by tag."""

    ENABLED = "Enabled"
    DISABLED = "Disabled"


class WritePattern(StrEnum):
    """How a write reaches the system of record."""

    CACHE_ASIDE = "CacheAside"
    WRITE_THROUGH = "WriteThrough"
    WRITE_BEHIND = "WriteBehind"


class Stale(PolicyModel):
    """How long an expired value may still be served."""

    while_revalidate: Duration | None = None
    """Served for this long after its TTL while one load refreshes it."""
    on_error: Duration | None = None
    """Served for this long after its TTL when loading fails or times out."""
    retry_after: Duration = "30s"
    """After a failed load, the next one is tried no sooner."""


@cel(
    f"!has(self.softTimeout) || {not_longer('self.softTimeout', 'self.hardTimeout')}",
    "softTimeout must not be longer than hardTimeout: lower softTimeout, or raise hardTimeout",
    field=".softTimeout",
)
class Loader(PolicyModel):
    """Bounds on the application's own loading function."""

    soft_timeout: Duration | None = None
    """After this time a caller gets a stale value, if one may be served, and the load goes on."""
    hard_timeout: Duration = "10s"
    """After this time the load has failed."""
    late_result: LateResult = LateResult.KEEP
    """Keep: a load that ends late still fills the cache. Discard: it is thrown away."""


class Refresh(PolicyModel):
    """Loading ahead of expiry, so that no caller waits for it."""

    mode: RefreshMode = RefreshMode.XFETCH
    """XFetch: with a probability that rises towards expiry and with the measured cost of a load.
    Threshold: once a stated part of the TTL has passed. Off: only after expiry."""
    beta_percent: Annotated[int, Field(ge=10, le=1000)] = 100
    """XFetch: above 100 refreshes earlier, below 100 later."""
    threshold_percent: Annotated[int, Field(ge=10, le=99)] = 80
    """Threshold: the part of the TTL after which a read refreshes."""


class Coalesce(PolicyModel):
    """One load for many who want the same key."""

    scope: CoalesceScope = CoalesceScope.FLEET
    """Fleet: one load among all processes. Process: one in each process. None: everyone loads."""
    wait_for: Duration = "2s"
    """How long others wait for the one that loads before they load themselves."""


class Near(PolicyModel):
    """Copies in the process' own memory."""

    mode: NearMode = NearMode.OFF
    """Invalidate: kept until the server announces a change. Ttl: kept for `maxTtl`. Off: none."""
    max_entries: Annotated[int, Field(ge=1, le=10_000_000)] = 10_000
    """Most entries in a process; the least recently used go first."""
    max_bytes: Size = "64Mi"
    """Most memory that the values may take in a process."""
    max_ttl: Duration = "1m"
    """No copy is older than this, whatever the mode."""


class Compression(PolicyModel):
    """Compression of values before they are sent."""

    algorithm: CompressionAlgorithm = CompressionAlgorithm.ZSTD
    """Zstd, or None."""
    min_bytes: Size = "1Ki"
    """Smaller values are sent as they are."""
    level: Annotated[int, Field(ge=1, le=19)] = 3
    """Higher is smaller and slower."""


class Breaker(PolicyModel):
    """Stops asking a data plane that does not answer."""

    failures: Annotated[int, Field(ge=1, le=1000)] = 5
    """Failures in a row that open the breaker."""
    open_for: Duration = "5s"
    """How long it stays open before one call tries again."""


class Keys(PolicyModel):
    """How entries are named in the data plane."""

    version: Name = "v1"
    """Part of every key: a new version starts with an empty cache, the old one ends by its TTL."""
    hash_over: Annotated[int, Field(ge=32, le=1024)] = 200
    """Longer keys are replaced by their hash; the key itself is kept beside the value and compared."""


class Writes(PolicyModel):
    """How writes reach the system of record."""

    pattern: WritePattern = WritePattern.CACHE_ASIDE
    """CacheAside: the application writes and invalidates. WriteThrough: the writer runs before the cache changes.
    WriteBehind: the cache changes at once, the writer runs later, in order, from a durable log."""
    max_delay: Duration = "1s"
    """WriteBehind: the writer runs no later than this."""
    max_batch: Annotated[int, Field(ge=1, le=10_000)] = 100
    """WriteBehind: most writes handed to the writer at a time."""
    max_pending: Annotated[int, Field(ge=1, le=10_000_000)] = 100_000
    """WriteBehind: with more writes waiting, further ones are refused."""


class HttpCaching(PolicyModel):
    """What a cache of HTTP responses stores, within the bounds of RFC 9111."""

    statuses: Annotated[list[Annotated[int, Field(ge=200, le=599)]], Field(min_length=1, max_length=16)] = [
        200,
        301,
        404,
    ]
    """Response statuses that are stored."""
    vary: Annotated[
        list[Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9-]*$", max_length=63)]], Field(max_length=16)
    ] = []
    """Request headers that tell responses apart, in addition to those that the response names in Vary."""
    ignored_query: Annotated[list[Attribute], Field(max_length=64)] = []
    """Query parameters that make no difference, such as utm_source."""


class LlmScope(StrEnum):
    """Among whom an answer of a language model is shared."""

    TENANT = "Tenant"
    GLOBAL = "Global"


class LlmCaching(PolicyModel):
    """What a cache of language models' answers takes for the same question."""

    scope: LlmScope = LlmScope.TENANT
    """Tenant: answers never cross tenants. Global: all callers share them."""
    ignored_parameters: Annotated[list[Attribute], Field(max_length=32)] = []
    """Request parameters that make no difference, such as user."""
    similarity_percent: Annotated[int | None, Field(ge=80, le=100)] = None
    """Also answers questions this similar in meaning. Absent: only exact repetitions after normalisation."""


class AgentContext(PolicyModel):
    """Bounds of a conversation's context."""

    max_tokens: Annotated[int, Field(ge=1, le=10_000_000)] = 100_000
    """The oldest messages are dropped beyond this many tokens."""
    idle: Duration = "24h"
    """A conversation not touched for this long is forgotten."""


@cel(
    f"!has(self.negativeTtl) || {not_longer('self.negativeTtl', 'self.ttl')}",
    "negativeTtl must not be longer than ttl: lower negativeTtl, or raise ttl",
    field=".negativeTtl",
)
class CachePolicy(Staged):
    """What a library process needs in order to run one cache; in Shadow it counts what it would have answered."""

    ttl: Duration = "5m"
    """How long a value is fresh."""
    ttl_jitter_percent: Annotated[int, Field(ge=0, le=50)] = 10
    """Each TTL is shortened by a random part of up to this much, so that entries do not expire together."""
    negative_ttl: Duration | None = None
    """How long `nothing found` is remembered. Absent: not at all."""
    stale: Stale = Stale()
    """When an expired value may still be served."""
    loader: Loader = Loader()
    """Bounds on the application's loading function."""
    refresh: Refresh = Refresh()
    """Loading ahead of expiry."""
    coalesce: Coalesce = Coalesce()
    """One load for many callers."""
    near: Near = Near()
    """Copies in the process' own memory."""
    compression: Compression = Compression()
    """Compression of values."""
    encryption: Encryption | None = None
    """Encryption of values. Absent: none."""
    max_value_bytes: Size = "1Mi"
    """Larger values, after compression, are not stored; they are counted and reported."""
    budget_bytes: Size | None = None
    """Memory that the policy's entries may take in the data plane before its status advises against it."""
    tags: Tags = Tags.DISABLED
    """Enabled: entries carry tags, and one call invalidates all entries of a tag; costs a look at the tags' markers."""
    generation: Annotated[int, Field(ge=0, le=2_147_483_647)] = 0
    """Another number invalidates every entry of the policy at once."""
    keys: Keys = Keys()
    """How entries are named."""
    writes: Writes = Writes()
    """How writes reach the system of record."""
    breaker: Breaker = Breaker()
    """When to stop asking a data plane that does not answer."""
    on_unavailable: CacheOnUnavailable = CacheOnUnavailable.BYPASS
    """While the data plane cannot be asked: Bypass calls the loader, Fail raises an error."""
    http: HttpCaching | None = None
    """For caches of HTTP responses."""
    llm: LlmCaching | None = None
    """For caches of language models' answers."""
    context: AgentContext | None = None
    """For agents' conversation contexts."""

    @model_validator(mode="after")
    def _durations_fit(self) -> Self:
        if self.negative_ttl is not None and seconds(self.negative_ttl) > seconds(self.ttl):
            raise ValueError(f"negativeTtl {self.negative_ttl} is longer than ttl {self.ttl}: lower it, or raise ttl")
        soft, hard = self.loader.soft_timeout, self.loader.hard_timeout
        if soft is not None and seconds(soft) > seconds(hard):
            raise ValueError(f"loader.softTimeout {soft} is longer than loader.hardTimeout {hard}: lower it")
        return self
