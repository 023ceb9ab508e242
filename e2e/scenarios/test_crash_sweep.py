"""The operator is killed before and after each of its writes during creation; what it leaves is always the same.

A proxy numbers the writes. First a run without a crash tells their number W and the final state; then, for each
write k and both sides of it, a fresh instance is created by an operator that dies there and one that comes after it.
"""

import os
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

import pytest

from e2e.cluster.provider import ClusterHandle
from e2e.kubectl import Kubectl, Manifest
from e2e.scenarios.final_state import final_state
from e2e.scenarios.instances import ratelimitrule, rediscluster
from e2e.scenarios.operators import HostOperator, cluster_operator_stopped
from tests.operator.proxy import FaultProxy, serve

LANES = 3
_ports = iter(range(18100, 19000))


@dataclass(frozen=True)
class Outcome:
    """How a creation ended."""

    state: dict[str, Any]
    writes: int
    crashed: bool


@pytest.fixture(scope="module")
def alone(operator: Kubectl) -> Iterator[None]:
    """The chart is installed, for its CRDs, but its operator does not work on the tests' namespaces."""
    with cluster_operator_stopped(operator):
        yield


def create(
    cluster: ClusterHandle, manifests: list[Manifest], crash: tuple[int, Literal["before", "after"]] | None
) -> Outcome:
    """Create an instance in a namespace of its own, with a crash at the given write, and take its final state."""
    kubectl = Kubectl(cluster.kubeconfig, f"t-{uuid.uuid4().hex[:8]}", str(cluster.kubectl))
    kubectl.ensure_namespace()
    operators: list[HostOperator] = []
    try:
        with serve(cluster.kubeconfig) as proxy:
            _start(operators, proxy, kubectl)
            if crash is not None:
                proxy.crash_at(*crash, operators[-1].process.kill)
            kubectl.apply(*manifests)
            _settle(operators, proxy, kubectl, manifests)
            state = final_state(kubectl, manifests[0]["metadata"]["name"])
            return Outcome(state=state, writes=len(proxy.writes), crashed=len(operators) > 1)
    finally:
        for operator in operators:
            operator.close()
        kubectl.run("delete", "namespace", kubectl.namespace, "--wait=false")


def _start(operators: list[HostOperator], proxy: FaultProxy, kubectl: Kubectl) -> None:
    lease = f"run-{len(operators)}"  # the next one must not wait for the dead one's lease: that is another test
    operators.append(HostOperator(proxy.kubeconfig, kubectl.namespace, lease, port=next(_ports)))


def _settle(operators: list[HostOperator], proxy: FaultProxy, kubectl: Kubectl, manifests: list[Manifest]) -> None:
    """Wait until everything is Ready and no write came for a while; a dead operator is replaced on the way."""
    deadline = time.monotonic() + 120
    quiet_since, count = time.monotonic(), -1
    while time.monotonic() < deadline:
        if not operators[-1].alive:
            _start(operators, proxy, kubectl)
        ready = _ready(kubectl) == len(manifests)
        if len(proxy.writes) != count or not ready:
            quiet_since, count = time.monotonic(), len(proxy.writes)
        elif time.monotonic() - quiet_since > 2:
            return
        time.sleep(0.4)
    log = operators[-1].log.read_text()[-3000:]
    raise AssertionError(f"not settled in {kubectl.namespace} after {len(proxy.writes)} writes:\n{log}")


def _ready(kubectl: Kubectl) -> int:
    """How many of our resources say that they are Ready; one question for all, because many namespaces ask."""
    conditions = (
        condition
        for item in kubectl.list("rediscluster,ratelimitrule")
        for condition in item.get("status", {}).get("conditions", [])
    )
    return sum(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)


def sweep(cluster: ClusterHandle, manifests: list[Manifest], every: int) -> None:
    """Crash at every write (or every n-th), on both sides, several namespaces at a time."""
    reference = create(cluster, manifests, None)
    assert not reference.crashed
    points: list[tuple[int, Literal["before", "after"]]] = [
        (number, when) for number in range(1, reference.writes + 1, every) for when in ("before", "after")
    ]
    with ThreadPoolExecutor(LANES) as lanes:
        outcomes = list(lanes.map(lambda point: create(cluster, manifests, point), points))
    crashed = sum(outcome.crashed for outcome in outcomes)
    print(
        f"{reference.writes} writes undisturbed; {crashed} crashes; with a crash at most "
        f"{max(outcome.writes for outcome in outcomes)} writes"
    )
    for point, outcome in zip(points, outcomes, strict=True):
        assert outcome.state == reference.state, f"another end after a crash {point[1]} write {point[0]}"
    assert crashed >= len(points) // 2


@pytest.mark.timeout(600)
@pytest.mark.usefixtures("alone")
def test_standalone_with_a_rule_ends_alike_after_a_crash_at_every_write(cluster: ClusterHandle) -> None:
    sweep(cluster, [rediscluster("a"), ratelimitrule("api", "a")], every=1)


@pytest.mark.timeout(1500)
@pytest.mark.usefixtures("alone")
def test_replication_ends_alike_after_a_crash_at_every_write(cluster: ClusterHandle) -> None:
    """Every sixth write unless `CARNELIAN_SWEEP=1` asks for all of them, which takes some ten minutes."""
    every = int(os.environ.get("CARNELIAN_SWEEP", "6"))
    sweep(cluster, [rediscluster("a", mode="Replication", replicas=1)], every=every)
