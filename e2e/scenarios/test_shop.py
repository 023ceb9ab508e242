"""The walking skeleton as one story: instance, rule, failover and roll, as the shop's clients see them."""

import asyncio
import statistics
import time
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from e2e.cluster.faults import kill_process
from e2e.cluster.provider import ClusterHandle
from e2e.demo.acts import Stage, roll
from e2e.demo.install import EXAMPLES, Started, start_shop
from e2e.demo.table import Screen
from e2e.kubectl import Kubectl
from e2e.scenarios.shop import load_on_shop

CHANGES = 50


@pytest.fixture(scope="module")
def shop(cluster: ClusterHandle, operator: Kubectl) -> Iterator[tuple[Kubectl, Started]]:
    """One shop for this file: its tests leave it whole."""
    kubectl = Kubectl(cluster.kubeconfig, "t-shop", operator.program)
    yield kubectl, start_shop(kubectl)
    kubectl.run("delete", "namespace", "t-shop", "--wait=true", timeout=180)


def test_first_acknowledged_write_within_15_seconds(shop: tuple[Kubectl, Started]) -> None:
    kubectl, started = shop
    print(f"first write {started.first_write:.1f} s, Ready {started.ready:.1f} s")
    assert started.first_write <= 15
    ready = kubectl.condition("rediscluster", "shop", "Ready")
    assert ready["status"] == "True"


@pytest.mark.timeout(300)
async def test_a_changed_rule_is_enforced_everywhere_within_a_second(shop: tuple[Kubectl, Started]) -> None:
    """50 changes under load: p99 to every pod and to `Enforced=True`; no request fails, none meets half a rule."""
    kubectl, _ = shop
    rule: dict[str, Any] = yaml.safe_load((EXAMPLES / "ratelimitrule.yaml").read_text())
    everywhere, proved = [], []
    async with load_on_shop(kubectl) as load:
        await asyncio.to_thread(kubectl.wait_condition, "ratelimitrule", "api", "Enforced", seconds=30)
        for number in range(CHANGES):
            rule["spec"]["rules"][0]["limit"] = 15 + number % 10
            began = time.monotonic()
            await asyncio.to_thread(kubectl.apply, rule)
            generation = (kubectl.get("ratelimitrule", "api") or {})["metadata"]["generation"]
            applied = time.monotonic()
            while not all(pod.generation >= generation for pod in load.pods):
                assert time.monotonic() - began < 20, [pod.generation for pod in load.pods]
                await asyncio.sleep(0.01)
            everywhere.append(time.monotonic() - applied)
            await asyncio.to_thread(kubectl.wait_condition, "ratelimitrule", "api", "Enforced", seconds=20)
            proved.append(time.monotonic() - applied)
        failed = sum(pod.failed for pod in load.pods)
        requests = sum(pod.requests for pod in load.pods)
    status = (kubectl.get("ratelimitrule", "api") or {})["status"]
    print(
        f"{requests} requests; everywhere p50 {statistics.median(everywhere):.2f} max {max(everywhere):.2f} s; "
        f"proved p50 {statistics.median(proved):.2f} max {max(proved):.2f} s"
    )
    assert failed == 0
    assert (status["clients"], status["enforced"]) == (3, 3)
    assert max(everywhere) <= 1.0
    assert sorted(proved)[int(0.99 * len(proved)) - 1] <= 1.0


@pytest.mark.timeout(240)
async def test_primary_killed_writes_go_on_and_nothing_replicated_is_lost(
    shop: tuple[Kubectl, Started], cluster: ClusterHandle
) -> None:
    kubectl, _ = shop
    async with load_on_shop(kubectl) as load:
        stage = Stage(kubectl, load, Screen(load), local=cluster.kind == "local")
        await stage.steady(2)
        victim = stage.primary()
        began = time.monotonic()
        await asyncio.to_thread(kill_process, kubectl.namespace, victim)
        await stage.until("another pod is the primary", lambda: stage.primary() not in {"", victim}, 60)
        await stage.until("the instance is whole again", stage.cluster_ready, 90)
        await stage.steady(2)
        gap = load.longest_gap(began)
        acknowledged, lost = await load.lost()
    print(f"longest gap {gap:.2f} s, {lost} of {acknowledged} lost")
    assert lost == 0
    assert gap <= 5


@pytest.mark.timeout(420)
async def test_roll_replaces_every_server_and_loses_nothing(shop: tuple[Kubectl, Started]) -> None:
    kubectl, _ = shop
    async with load_on_shop(kubectl) as load:
        stage = Stage(kubectl, load, Screen(load), local=True)
        await stage.steady(1)
        began = time.monotonic()
        await roll(stage)
        gap = load.longest_gap(began)
        acknowledged, lost = await load.lost()
    print(f"longest gap {gap:.2f} s, {lost} of {acknowledged} lost")
    assert lost == 0
    assert gap <= 5
