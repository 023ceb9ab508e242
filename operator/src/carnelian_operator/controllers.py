"""All controllers of the operator, for the runtime to serve."""

from collections.abc import Sequence

from carnelian_operator.dataplane.monitor import Monitor
from carnelian_operator.policies.controller import RateLimitRuleController
from carnelian_operator.policies.kinds import UNSERVED
from carnelian_operator.policies.sync import PolicySync
from carnelian_operator.policies.unserved import UnservedController
from carnelian_operator.rediscluster.controller import RedisClusterController
from carnelian_operator.runtime.api import Controller, Key, Runtime


def build(runtime: Runtime) -> Sequence[Controller]:
    """Make every controller."""
    policies = PolicySync(runtime.cache)
    rules = RateLimitRuleController(runtime.cache, runtime.kube, runtime.wake, policies)

    def acknowledged(instance: Key) -> None:
        for concerned in rules.rules_of(instance.namespace, instance.name) or [instance]:
            runtime.wake(concerned)

    monitor = Monitor(runtime.wake, acknowledged)
    instances = RedisClusterController(runtime.cache, runtime.kube, monitor, policies)
    unserved = [UnservedController(kind, runtime.cache, runtime.kube) for kind in UNSERVED]
    return [instances, rules, *unserved]
