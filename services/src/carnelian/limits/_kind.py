"""How documents of kind `RateLimitRule` are made ready to be enforced."""

from dataclasses import replace

from carnelian.limits._rules import CompiledPolicy, compile_policy
from carnelian.policies import RateLimitPolicy, Stage
from carnelian.policies.wire import Document

KIND = "RateLimitRule"


class RateLimitKind:
    """Reads rate limit policies."""

    def read(self, document: Document) -> CompiledPolicy:
        """The document's policy, ready to decide.

        Raises:
            ValueError: this version cannot carry it out.
        """
        return compile_policy(document.name, RateLimitPolicy.model_validate(document.body), document.generation)

    def removed(self, policy: CompiledPolicy) -> CompiledPolicy:
        """Nothing is limited any more: whoever deletes a limit does not want requests to fail."""
        return replace(policy, stage=Stage.OFF)
