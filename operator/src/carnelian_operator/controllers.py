"""All controllers of the operator, for the runtime to serve."""

from collections.abc import Sequence

from carnelian_operator.runtime.api import Controller, Runtime


def build(runtime: Runtime) -> Sequence[Controller]:
    """Make every controller."""
    _ = runtime
    return []
