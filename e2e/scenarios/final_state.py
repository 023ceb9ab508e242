"""What a scenario leaves behind, without what differs from run to run: two runs that end alike compare equal."""

import json
from typing import Any

from e2e.kubectl import Kubectl, Manifest

COMPARED = ("statefulset", "service", "configmap", "secret", "pdb", "pvc", "pod", "ratelimitrule")
_PASSING = {"uid", "resourceVersion", "creationTimestamp", "generation", "managedFields", "selfLink", "generateName"}
_TIMES = {"lastTransitionTime", "since"}
_MOVING = {"offset", "lagBytes", "node", "zone", "epoch"}


def final_state(kubectl: Kubectl, cluster: str) -> dict[str, Any]:
    """Every object that belongs to the instance, and the instance's status; names, uids and times masked."""
    owner = kubectl.get("rediscluster", cluster)
    assert owner is not None
    found: dict[str, Any] = {"status": _status(owner)}
    for kind in COMPARED:
        for item in kubectl.list(kind):
            if kind in {"configmap", "secret"} and "carnelian.dev/cluster" not in item["metadata"].get("labels", {}):
                continue
            found[f"{kind}/{item['metadata']['name']}"] = _reduced(kind, item)
    uid = owner["metadata"]["uid"]
    text = json.dumps(found, sort_keys=True).replace(uid, "UID").replace(uid[:8], "UID8")
    masked: dict[str, Any] = json.loads(text.replace(kubectl.namespace, "NAMESPACE"))
    return masked


def _reduced(kind: str, item: Manifest) -> Any:
    metadata = {key: value for key, value in item["metadata"].items() if key not in _PASSING}
    metadata.get("annotations", {}).pop("carnelian.dev/applied", None)  # a hash over the owner's uid as well
    labels = metadata.get("labels", {})
    for hashed in ("controller-revision-hash", "apps.kubernetes.io/pod-index"):
        labels.pop(hashed, None)
    if kind == "secret":
        return {"metadata": metadata, "keys": sorted(item["data"])}
    if kind == "configmap":
        return {"metadata": metadata, "data": item["data"]}
    if kind in {"pod", "pvc"}:
        return {"labels": labels}
    if kind == "ratelimitrule":
        return {"status": _status(item)}
    spec = {key: value for key, value in item["spec"].items() if key not in {"clusterIP", "clusterIPs"}}
    return {"metadata": metadata, "spec": spec}


def _status(item: Manifest) -> Any:
    status = json.loads(json.dumps(item["status"]), object_hook=_without_times)
    status.get("primary", {}).pop("epoch", None)
    return status


def _without_times(pairs: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in pairs.items() if key not in _TIMES | _MOVING}
