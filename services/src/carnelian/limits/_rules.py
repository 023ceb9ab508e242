"""A rate limit policy made ready to decide: immutable, with everything computed that does not depend on the request."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import NamedTuple
from urllib.parse import quote

from carnelian.errors import PolicyError
from carnelian.limits._algorithms import Algorithm, FixedWindow, SlidingWindow, TokenBucket
from carnelian.limits._headers import policy_item
from carnelian.policies import Algorithm as AlgorithmName
from carnelian.policies import OnUnavailable, RateLimitPolicy, Rule, Stage, seconds

Value = str | int
"""What an attribute of a request may be."""

RESERVED = frozenset({"cost"})
"""Names that `check` takes itself, so no rule can be keyed by them."""

_PLAIN = re.compile(r"[A-Za-z0-9_.@+-]{1,128}").fullmatch


def encode(value: str) -> str:
    """The value as part of a key: never empty, never long, no two alike, and free of what ends a part or a hash tag."""
    if _PLAIN(value):
        return value
    if len(value) > 128:
        return "%~" + blake2b(value.encode("utf-8", "surrogatepass"), digest_size=20).hexdigest()
    return quote(value, safe="@+", errors="surrogatepass") or "%"


Demands = tuple[tuple[int, ...], ...]
"""What a check asks of each of its limits, as the script takes it."""


@dataclass(frozen=True, eq=False)
class CompiledRule:
    """One limit: when it applies, where its state is, and how it counts."""

    limiter: str
    name: str
    limit: int
    algorithm: Algorithm
    matches: tuple[tuple[str, frozenset[str]], ...]
    own: tuple[str, ...]
    """Attributes of the key that are not in the limiter's hash tag."""
    stem: str
    """The state's key after the hash tag and before the values of `own`."""
    header: str
    """The rule as an item of ``RateLimit-Policy``."""

    def applies(self, attributes: Mapping[str, Value]) -> bool:
        """Whether the rule's conditions hold for a request."""
        return all(self.value(attributes, name) in values for name, values in self.matches)

    def value(self, attributes: Mapping[str, Value], name: str) -> str:
        """The attribute as text.

        Raises:
            PolicyError: the application did not pass it.
        """
        value = attributes.get(name)
        if value.__class__ is str:
            return value
        if isinstance(value, str | int):
            return str(value)
        given = ", ".join(sorted(attributes)) or "none"
        raise PolicyError(
            f"limiter {self.limiter!r}, rule {self.name!r}: needs attribute {name!r} as text or integer, got "
            f"{'nothing' if value is None else type(value).__name__} (attributes passed: {given}); "
            f"pass {name}=… to check(), or take it out of the rule's key and match"
        )


class Selection(NamedTuple):
    """Rules that apply together to some requests."""

    rules: tuple[CompiledRule, ...]
    headers: tuple[str, ...]
    """The rules as items of ``RateLimit-Policy``."""
    demands_one: Demands
    """For a cost of 1, which nearly all checks have."""

    @classmethod
    def of(cls, rules: tuple[CompiledRule, ...]) -> "Selection":
        """The selection of these rules."""
        headers = tuple(rule.header for rule in rules)
        return cls(rules, headers, tuple(rule.algorithm.demand(1) for rule in rules))

    def demands(self, cost: int) -> Demands:
        """What is asked of each rule."""
        return self.demands_one if cost == 1 else tuple([rule.algorithm.demand(cost) for rule in self.rules])


@dataclass(frozen=True)
class CompiledPolicy:
    """What decides a check: never changed, only replaced as a whole."""

    limiter: str
    generation: int
    stage: Stage
    canary_percent: int
    on_unavailable: OnUnavailable
    common: tuple[str, ...]
    """Attributes that every rule is keyed by: their values make the hash tag, so callers spread over a Cluster."""
    rules: tuple[CompiledRule, ...]
    whole: Selection = field(init=False)
    """All rules, which is what applies when none has conditions."""
    conditional: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "whole", Selection.of(self.rules))
        object.__setattr__(self, "conditional", any(rule.matches for rule in self.rules))

    def select(self, attributes: Mapping[str, Value]) -> Selection:
        """The rules that apply to a request, perhaps none.

        Raises:
            PolicyError: an attribute that a rule needs was not passed.
        """
        if not self.conditional:
            return self.whole
        rules = tuple([rule for rule in self.rules if rule.applies(attributes)])
        return self.whole if rules == self.rules else Selection.of(rules)

    def keys(self, rules: tuple[CompiledRule, ...], attributes: Mapping[str, Value]) -> tuple[str, list[str]]:
        """The hash tag, and with it the key of each rule's state.

        Raises:
            PolicyError: an attribute that a rule needs was not passed.
        """
        first = rules[0]
        if not self.common:
            tag = self.limiter
        elif len(self.common) == 1:
            tag = encode(first.value(attributes, self.common[0]))
        else:
            tag = ":".join([encode(first.value(attributes, name)) for name in self.common])
        head = f"carnelian:{{{tag}"
        return tag, [
            head + rule.stem + ":".join([encode(rule.value(attributes, name)) for name in rule.own])
            if rule.own
            else head + rule.stem
            for rule in rules
        ]

    def enforces_for(self, attributes: Mapping[str, Value]) -> bool:
        """Whether a refusal has an effect for this caller: always, never, or for the canary's share of callers.

        A caller is who the rules' common key says; without one, who all their keys say; without any, the request.
        """
        if self.stage is not Stage.CANARY:
            return self.stage is Stage.ENFORCE
        names = self.common or sorted({name for rule in self.rules for name in rule.own} & attributes.keys())
        identity = "\0".join(f"{name}={attributes[name]}" for name in names or sorted(attributes))
        digest = blake2b(f"{self.limiter}\0{identity}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
        return int.from_bytes(digest, "big") % 100 < self.canary_percent


def compile_policy(limiter: str, policy: RateLimitPolicy, generation: int = 0) -> CompiledPolicy:
    """Make a policy ready to decide.

    Raises:
        ValueError: a rule cannot be carried out; the message names it.
    """
    first = dict.fromkeys(policy.rules[0].key)
    common = tuple(name for name in first if all(name in rule.key for rule in policy.rules))
    return CompiledPolicy(
        limiter=limiter,
        generation=generation,
        stage=policy.stage,
        canary_percent=policy.canary_percent or 0,
        on_unavailable=policy.on_unavailable,
        common=common,
        rules=tuple(_compile_rule(limiter, rule, common) for rule in policy.rules),
    )


def _compile_rule(limiter: str, rule: Rule, common: tuple[str, ...]) -> CompiledRule:
    reserved = RESERVED & {*rule.key, *(match.attribute for match in rule.match)}
    if reserved:
        raise ValueError(f"rule {rule.name!r}: attribute {min(reserved)!r} is reserved; call it something else")
    try:
        algorithm = _algorithm(rule)
    except ValueError as error:
        raise ValueError(f"rule {rule.name!r}: {error}") from None
    own = tuple(name for name in dict.fromkeys(rule.key) if name not in common)
    key = ".".join(dict.fromkeys(rule.key))
    return CompiledRule(
        limiter=limiter,
        name=rule.name,
        limit=rule.limit,
        algorithm=algorithm,
        matches=tuple((match.attribute, frozenset(match.values)) for match in rule.match),
        own=own,
        stem=f"}}:limit:{limiter}:{rule.name}:{algorithm.tag}:{key}:",
        header=policy_item(rule.name, *algorithm.quota),
    )


def _algorithm(rule: Rule) -> Algorithm:
    period = round(seconds(rule.period) * 1000) * 1000  # whole milliseconds, so exact
    match rule.algorithm:
        case AlgorithmName.TOKEN_BUCKET:
            return TokenBucket(rule.limit, period, rule.burst or rule.limit)
        case AlgorithmName.SLIDING_WINDOW:
            return SlidingWindow(rule.limit, period)
        case AlgorithmName.FIXED_WINDOW:
            return FixedWindow(rule.limit, period)
