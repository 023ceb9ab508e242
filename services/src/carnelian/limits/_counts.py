"""What a limiter decided, as plain numbers for whoever exports them."""

import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from carnelian.limits._rules import CompiledRule

LOG_EVERY = 1.0
"""Seconds between two log lines about a data plane that does not answer."""


@dataclass(slots=True)
class RuleCounts:
    """Decisions in which one rule took part."""

    allowed: int = 0
    """Checks to which the rule applied and that were allowed."""
    limited: int = 0
    """Checks that this rule refused."""
    shadowed: int = 0
    """Checks that it would have refused, had it been enforced for that caller."""


@dataclass(slots=True)
class Counts:
    """Decisions of one limiter in this process; a check adds to `allowed` or `limited`, whichever it answered."""

    allowed: int = 0
    limited: int = 0
    shadowed: int = 0
    """Of the allowed: would have been refused."""
    degraded: int = 0
    """Of all: answered by the policy's `onUnavailable`."""
    rules: dict[str, RuleCounts] = field(default_factory=dict)
    _logged: float = float("-inf")

    def add(self, rules: Iterable[CompiledRule], refusing: str | None, *, shadowed: bool) -> None:
        """Count a decision on a check to which `rules` applied."""
        if refusing is None:
            self.allowed += 1
            for rule in rules:
                self._of(rule.name).allowed += 1
        elif shadowed:
            self.allowed += 1
            self.shadowed += 1
            self._of(refusing).shadowed += 1
        else:
            self.limited += 1
            self._of(refusing).limited += 1

    def degrade(self, *, allowed: bool) -> bool:
        """Count a check that the data plane did not decide; true when it is time to log about it."""
        self.degraded += 1
        if allowed:
            self.allowed += 1
        else:
            self.limited += 1
        now = time.monotonic()
        if now - self._logged < LOG_EVERY:
            return False
        self._logged = now
        return True

    def snapshot(self) -> dict[str, Any]:
        """A copy as plain data."""
        return {
            "allowed": self.allowed,
            "limited": self.limited,
            "shadowed": self.shadowed,
            "degraded": self.degraded,
            "rules": {name: asdict(counts) for name, counts in self.rules.items()},
        }

    def _of(self, rule: str) -> RuleCounts:
        counts = self.rules.get(rule)
        if counts is None:
            counts = self.rules[rule] = RuleCounts()
        return counts
