"""The three acts of the demo. Each returns the lines of its summary."""

import asyncio
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from e2e.cluster.faults import kill_process
from e2e.demo.load import Load
from e2e.demo.table import Screen
from e2e.kubectl import Kubectl, NotInTimeError

CLUSTER = "shop"
RULE = "api"


class Stage:
    """What the acts share: the cluster, the load, the screen."""

    def __init__(self, kubectl: Kubectl, load: Load, screen: Screen, *, local: bool) -> None:
        self.kubectl = kubectl
        self.load = load
        self.screen = screen
        self.local = local

    async def until(self, what: str, ready: Callable[[], Any], seconds: float) -> float:
        """Wait for a condition while the table keeps moving; returns the seconds it took."""
        began = time.monotonic()
        while not await asyncio.to_thread(ready):
            if time.monotonic() - began > seconds:
                raise NotInTimeError(f"not within {seconds:.0f} s: {what}")
            self.screen.tick()
            await asyncio.sleep(0.02)
        return time.monotonic() - began

    async def steady(self, seconds: float) -> None:
        """Let the load run for a while."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.screen.tick()
            await asyncio.sleep(0.1)

    def enforced(self, generation: int) -> bool:
        """Whether every pod of the shop decides by this generation of the rule, or a later one."""
        return all(pod.generation >= generation for pod in self.load.pods)

    def cluster_ready(self) -> bool:
        """Whether the instance is Ready for its current spec."""
        return bool(self.kubectl.condition("rediscluster", CLUSTER, "Ready")["status"] == "True")

    def primary(self) -> str:
        """Name of the pod that is the primary, by the resource's status."""
        found = self.kubectl.get("rediscluster", CLUSTER) or {}
        return str(found.get("status", {}).get("primary", {}).get("name", ""))


async def change_rule(stage: Stage, manifest: Path) -> list[str]:
    """`kubectl apply` of a changed number: when does every process decide by it, and when does the status prove it?"""
    rule = yaml.safe_load(manifest.read_text())
    summary = []
    for limit in (5, 8):
        rule["spec"]["rules"][0]["limit"] = limit
        stage.screen.note(f"kubectl apply: {RULE} now allows {limit} requests a second for each user")
        await asyncio.to_thread(stage.kubectl.apply, rule)
        applied = time.monotonic()
        generation = (stage.kubectl.get("ratelimitrule", RULE) or {})["metadata"]["generation"]
        await stage.until("every pod enforces", partial(stage.enforced, generation), 20)
        everywhere = time.monotonic() - applied
        await asyncio.to_thread(stage.kubectl.wait_condition, "ratelimitrule", RULE, "Enforced", seconds=20)
        proved = time.monotonic() - applied
        times = f"every pod enforced it after {everywhere:.2f} s, Enforced=True after {proved:.2f} s"
        line = f"rule changed to {limit}/s: {times}"
        stage.screen.note(line)
        summary.append(line)
        await stage.steady(3)
    return summary


async def kill_primary(stage: Stage) -> list[str]:
    """SIGKILL of the primary's process, while orders come in."""
    victim = await asyncio.to_thread(stage.primary)
    stage.screen.note(f"killing the primary's process in {victim}")
    began = time.monotonic()
    if stage.local:
        await asyncio.to_thread(kill_process, stage.kubectl.namespace, victim)
    else:
        await asyncio.to_thread(stage.kubectl.delete, "pod", victim, "--grace-period=0", "--force")
    await stage.until("another pod is the primary", lambda: stage.primary() not in {"", victim}, 60)
    healed = await stage.until("the instance is whole again", stage.cluster_ready, 120)
    await stage.steady(2)
    return await _summary(stage, f"primary killed ({victim} → {stage.primary()})", began, healed)


async def roll(stage: Stage) -> list[str]:
    """A rolling restart of every server, asked for by an annotation."""
    before = {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in _data_pods(stage.kubectl)}
    stage.screen.note("rolling the servers: replicas first, then a planned handover, then the old primary")
    began = time.monotonic()
    stamp = f"carnelian.dev/restartedAt={int(time.time())}"
    await asyncio.to_thread(stage.kubectl.run, "annotate", "rediscluster", CLUSTER, stamp, "--overwrite")

    def rolled() -> bool:
        now = {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in _data_pods(stage.kubectl)}
        return set(now) == set(before) and all(now[name] != uid for name, uid in before.items())

    await stage.until("every server was replaced", rolled, 240)
    await stage.until("the instance is whole again", stage.cluster_ready, 120)
    took = time.monotonic() - began
    await stage.steady(2)
    return await _summary(stage, "rolled all servers", began, took)


def _data_pods(kubectl: Kubectl) -> list[dict[str, Any]]:
    selector = f"carnelian.dev/cluster={CLUSTER},app.kubernetes.io/component=data"
    return kubectl.list("pods", selector)


async def _summary(stage: Stage, what: str, began: float, took: float) -> list[str]:
    gap = stage.load.longest_gap(began)
    acknowledged, absent = await stage.load.lost()
    lost = f"{absent} of {acknowledged} acknowledged orders lost"
    line = f"{what}: longest gap between orders {gap:.2f} s, {lost}, whole after {took:.1f} s"
    stage.screen.note(line)
    return [line]
