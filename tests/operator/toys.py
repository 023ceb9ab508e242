"""A small kind and its controller: enough to see the runtime work, with nothing of the product in it.

A Toy with `spec.copies: n` owns n ConfigMaps; `status.copies` says how many there are.
"""

import time
from collections.abc import Iterable
from typing import Any

from carnelian_operator.runtime.api import Key, Kind, Object, Result, Runtime

GROUP = "test.carnelian.dev"
TOY = Kind(GROUP, "v1", "Toy", "toys")
CONFIG_MAP = Kind("", "v1", "ConfigMap", "configmaps")
SECRET = Kind("", "v1", "Secret", "secrets")
POD = Kind("", "v1", "Pod", "pods")
MANAGED = {"app.kubernetes.io/managed-by": "carnelian"}

CRD: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": f"toys.{GROUP}"},
    "spec": {
        "group": GROUP,
        "scope": "Namespaced",
        "names": {"kind": "Toy", "plural": "toys", "singular": "toy"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {
                                "type": "object",
                                "properties": {
                                    "copies": {"type": "integer", "minimum": 0},
                                    "fail": {"type": "boolean"},
                                },
                            },
                            "status": {
                                "type": "object",
                                "properties": {"copies": {"type": "integer"}, "note": {"type": "string"}},
                            },
                        },
                    }
                },
            }
        ],
    },
}


def toy(namespace: str, name: str, copies: int) -> dict[str, Any]:
    """A Toy's manifest."""
    return {
        "apiVersion": TOY.api_version,
        "kind": TOY.kind,
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"copies": copies},
    }


class ToyController:
    """See the module."""

    primary = TOY
    owned = (CONFIG_MAP, SECRET, POD)

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self.seen: list[tuple[float, Key]] = []
        """When which key was reconciled."""

    def keys_of(self, kind: Kind, obj: Object) -> Iterable[Key]:
        meta = obj["metadata"]
        name = meta["name"] if kind == TOY else (meta.get("labels") or {}).get("toy")
        if name:
            yield Key(TOY.kind, meta["namespace"], name)

    async def reconcile(self, key: Key) -> Result:
        self.seen.append((time.monotonic(), key))
        cache, kube = self._runtime.cache, self._runtime.kube
        owner = cache.get(TOY, key.namespace, key.name)
        have = cache.list(CONFIG_MAP, key.namespace, {"toy": key.name})
        if owner is None or "deletionTimestamp" in owner["metadata"]:
            for each in have:
                await kube.delete(CONFIG_MAP, key.namespace, each["metadata"]["name"], each["metadata"]["uid"])
            return Result()
        if owner["spec"].get("fail"):
            raise RuntimeError("told to fail")
        wanted = {f"{key.name}-{number}" for number in range(owner["spec"]["copies"])}
        for name in sorted(wanted - {each["metadata"]["name"] for each in have}):
            await kube.apply(CONFIG_MAP, self._copy(owner, name))
        for each in have:
            if each["metadata"]["name"] not in wanted:
                await kube.delete(CONFIG_MAP, key.namespace, each["metadata"]["name"], each["metadata"]["uid"])
        if (owner.get("status") or {}).get("copies") != len(wanted):
            await kube.patch_status(TOY, key.namespace, key.name, {"copies": len(wanted)}, owner["metadata"]["uid"])
        return Result()

    async def aclose(self) -> None:
        pass

    def _copy(self, owner: Object, name: str) -> Object:
        meta = {"namespace": owner["metadata"]["namespace"], "name": name}
        return {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {**meta, "labels": {**MANAGED, "toy": owner["metadata"]["name"]}},
            "data": {"of": owner["metadata"]["name"]},
        }
