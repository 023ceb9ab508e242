"""What the operator costs as instances grow: ``uv run python -m e2e.footprint 1 20 50``.

Creates Standalone instances in one namespace, in waves, and at each of the given counts prints the leader's memory, its
processor time and the writes it made while nothing changed. Needs a cluster with the operator installed
(``./dev demo --keep``, or helm); takes some minutes. Not one of the benchmarks, because it cannot end in 50 seconds.
"""

import argparse
import json
import re
import sys
import time
from collections.abc import Sequence
from functools import partial

from e2e.cluster.progress import say
from e2e.cluster.provider import ensure_cluster
from e2e.demo.install import SYSTEM
from e2e.kubectl import Kubectl, Manifest

NAMESPACE = "footprint"
WAVE = 10
QUIET_SECONDS = 30


def _instance(number: int) -> Manifest:
    return {
        "apiVersion": "carnelian.dev/v1alpha1",
        "kind": "RedisCluster",
        "metadata": {"name": f"cache-{number}"},
        "spec": {
            "profile": "Cache",
            "resources": {"requests": {"cpu": "5m", "memory": "32Mi"}, "limits": {"memory": "64Mi"}},
        },
    }


def _ready(kubectl: Kubectl) -> int:
    conditions = (c for item in kubectl.list("rediscluster") for c in item.get("status", {}).get("conditions", []))
    return sum(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def _reached(kubectl: Kubectl, count: int) -> bool:
    return _ready(kubectl) >= count


def leader(system: Kubectl) -> str:
    """The pod that leads, by its Lease."""
    lease = system.get("lease", "carnelian")
    if lease is None:
        raise SystemExit(f"no Lease in {SYSTEM}: is the operator installed? ./dev demo --keep installs it")
    return str(lease["spec"]["holderIdentity"]).rsplit("_", 1)[0]


def _cost(system: Kubectl, pod: str) -> tuple[float, float, float]:
    """Resident MiB, processor seconds and writes to the API server so far (Leases left out)."""
    status = system.run("exec", pod, "--", "cat", "/proc/1/status")
    times = system.run("exec", pod, "--", "cat", "/proc/1/stat").rsplit(")", 1)[1].split()
    metrics = system.run("get", "--raw", f"/api/v1/namespaces/{SYSTEM}/pods/{pod}:8080/proxy/metrics")
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found is not None
    writes = sum(
        float(line.rsplit(" ", 1)[1])
        for line in metrics.splitlines()
        if line.startswith("carnelian_operator_api_calls_total")
        and 'kind="Lease"' not in line
        and re.search(r'verb="(apply|create|patch-status|delete|update)"', line, re.IGNORECASE)
    )
    return int(found[1]) / 1024, (int(times[11]) + int(times[12])) / 100, writes


def main(argv: Sequence[str] | None = None) -> int:
    """Measure at each count; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m e2e.footprint", description=__doc__)
    parser.add_argument(
        "counts", nargs="*", type=int, default=[1, 20, 50], help="numbers of instances (default: 1 20 50)"
    )
    counts = sorted(parser.parse_args(argv).counts)
    cluster = ensure_cluster()
    kubectl = Kubectl(cluster.kubeconfig, NAMESPACE, str(cluster.kubectl))
    system = Kubectl(cluster.kubeconfig, SYSTEM, str(cluster.kubectl))
    kubectl.ensure_namespace()
    rows, made = [], 0
    try:
        for count in counts:
            began = time.monotonic()
            while made < count:
                wave = min(WAVE, count - made)
                kubectl.apply(*(_instance(made + n) for n in range(wave)))
                made += wave
                kubectl.wait(f"{made} instances Ready", partial(_reached, kubectl, made), seconds=240, every=1)
            took = time.monotonic() - began
            pod = leader(system)
            time.sleep(10)  # the last events of creation
            _, cpu, writes = _cost(system, pod)
            time.sleep(QUIET_SECONDS)
            rss, cpu_later, writes_later = _cost(system, pod)
            row = {
                "instances": count,
                "rss_mib": round(rss, 1),
                "cpu_percent": round(100 * (cpu_later - cpu) / QUIET_SECONDS, 1),
                "writes_while_quiet": writes_later - writes,
                "seconds_to_ready": round(took, 1),
            }
            say(json.dumps(row))
            rows.append(row)
    finally:
        kubectl.run("delete", "namespace", NAMESPACE, "--wait=false")
    print(json.dumps(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
