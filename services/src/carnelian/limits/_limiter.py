"""`svc.limits(name)`: asks whether a request may go on."""

import logging
from collections.abc import Mapping
from typing import Any, Protocol

from carnelian.errors import CarnelianError, PolicyError, RateLimitedError
from carnelian.limits._algorithms import Reading
from carnelian.limits._counts import Counts
from carnelian.limits._decider import Answer, Decider, reports
from carnelian.limits._kind import KIND
from carnelian.limits._rules import CompiledPolicy, CompiledRule, Selection, Value
from carnelian.limits._verdict import Verdict
from carnelian.policies import OnUnavailable, Stage

_log = logging.getLogger("carnelian.limits")

RETRY_UNAVAILABLE = 1.0
"""Seconds after which a caller may ask again who was refused because the data plane cannot be asked."""


class Engine(Protocol):
    """What a limiter asks of its `Carnelian`; a policy is named by its document's field, ``Kind/name``."""

    def held(self, field: str) -> Any | None:
        """The policy that is enforced now, or None when none of that name is known yet."""
        ...

    async def awaited(self, field: str) -> Any:
        """The policy, waited for within bounds.

        Raises:
            PolicyError: there is none.
        """
        ...

    @property
    def decider(self) -> Decider:
        """Where checks are decided."""
        ...


class Limiter:
    """One named limiter. The numbers are in the `RateLimitRule` of that name, never in code.

    Obtain it from `Carnelian.limits`; it may be kept for the life of the process and used by any number of tasks.
    """

    def __init__(self, name: str, engine: Engine) -> None:
        self.name = name
        self._field = f"{KIND}/{name}"
        self._engine = engine
        self._counts = Counts()

    @property
    def generation(self) -> int | None:
        """Generation of the policy that decides now; None while none is known, 0 for one from a file."""
        policy: CompiledPolicy | None = self._engine.held(self._field)
        return None if policy is None else policy.generation

    def counts(self) -> dict[str, Any]:
        """What this process decided since it started: totals of checks, and each rule's own counts under ``rules``."""
        return self._counts.snapshot()

    async def require(self, /, *, cost: int = 1, **attributes: Value) -> Verdict:
        """Like `check`, for code that goes on only when it may.

        Raises:
            RateLimitedError: the request is refused; carries the verdict.
        """
        verdict = await self.check(cost=cost, **attributes)
        if not verdict.allowed:
            raise RateLimitedError(verdict)
        return verdict

    async def check(self, /, *, cost: int = 1, **attributes: Value) -> Verdict:
        """Decide a request by every rule that applies to it, in one round trip.

        Args:
            cost: units to take; 0 asks without taking.
            attributes: what the rules' keys and conditions name, such as ``user="ada"``.

        Returns:
            The verdict. While the data plane cannot be asked it is the policy's `onUnavailable`, marked `degraded`.

        Raises:
            PolicyError: no policy of this name is known, or it needs an attribute that was not passed (in stage Shadow
                that is logged instead).
            ValueError: the cost is no integer of at least 0.
        """
        if cost.__class__ is not int or cost < 0:
            raise ValueError(f"limiter {self.name!r}: cost must be an integer of at least 0, got {cost!r}")
        policy: CompiledPolicy | None = self._engine.held(self._field)
        if policy is None:
            policy = await self._engine.awaited(self._field)
        if policy.stage is Stage.OFF:
            return self._unlimited(policy)
        try:
            selected = policy.select(attributes)
            if not selected.rules:
                return self._unlimited(policy)
            tag, keys = policy.keys(selected.rules, attributes)
        except PolicyError as error:
            if policy.stage is Stage.SHADOW:  # which has no effect on requests, not even this one
                return self._degraded(policy, error, attributes)
            raise
        decider = self._engine.decider
        try:
            answer = await decider.decide(tag, keys, selected.demands(cost))
        except CarnelianError as error:
            return self._degraded(policy, error, attributes)
        return self._verdict(policy, selected, answer, cost, attributes)

    def _verdict(
        self, policy: CompiledPolicy, selected: Selection, answer: Answer, cost: int, attributes: Mapping[str, Value]
    ) -> Verdict:
        rules, refused = selected.rules, answer[0]
        rule, reading, retry_after = _deciding(rules, answer, cost)
        effective = policy.stage is Stage.ENFORCE or policy.enforces_for(attributes)
        shadowed = refused > 0 and not effective
        allowed = refused == 0 or shadowed
        self._counts.add(rules, rule.name if refused else None, shadowed=shadowed)
        return Verdict(
            allowed=allowed,
            limiter=self.name,
            stage=policy.stage,
            generation=policy.generation,
            rule=rule.name,
            limit=rule.limit,
            remaining=reading.remaining,
            retry_after=retry_after,
            reset_after=reading.reset_after,
            shadowed=shadowed,
            policies=selected.headers if effective else (),
        )

    def _unlimited(self, policy: CompiledPolicy) -> Verdict:
        self._counts.allowed += 1
        return Verdict(allowed=True, limiter=self.name, stage=policy.stage, generation=policy.generation)

    def _degraded(self, policy: CompiledPolicy, error: CarnelianError, attributes: Mapping[str, Value]) -> Verdict:
        allowed = policy.on_unavailable is OnUnavailable.ALLOW or not policy.enforces_for(attributes)
        if self._counts.degrade(allowed=allowed):
            answer = "allowed" if allowed else "refused"
            _log.warning("limiter %r cannot decide, so requests are %s: %s", self.name, answer, error)
        return Verdict(
            allowed=allowed,
            limiter=self.name,
            stage=policy.stage,
            generation=policy.generation,
            retry_after=0.0 if allowed else RETRY_UNAVAILABLE,
            degraded=True,
        )


def _deciding(rules: tuple[CompiledRule, ...], answer: Answer, cost: int) -> tuple[CompiledRule, Reading, float]:
    """The rule that refused, or else has the least remaining; its reading; seconds until all rules would allow."""
    refused = answer[0]
    if len(rules) == 1:
        reading = rules[0].algorithm.read((answer[1], answer[2], answer[3]), cost)
        return rules[0], reading, reading.retry_after if refused else 0.0
    readings = [rule.algorithm.read(report, cost) for rule, report in zip(rules, reports(answer), strict=True)]
    if refused:
        return rules[refused - 1], readings[refused - 1], max(reading.retry_after for reading in readings)
    index = min(range(len(readings)), key=lambda position: readings[position].remaining)
    return rules[index], readings[index], 0.0
