"""Which of the instance's objects have to be applied."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from carnelian_operator.api.conditions import Reason
from carnelian_operator.rediscluster.instance import APPLIED, CLUSTER_LABEL, DATA, Instance
from carnelian_operator.rediscluster.kinds import SECRET, STATEFUL_SET, VOLUME_CLAIM
from carnelian_operator.rediscluster.manifests import all_manifests
from carnelian_operator.rediscluster.plan.actions import Action, Apply, CreateCredentials
from carnelian_operator.rediscluster.quantity import parse_quantity, same_quantity
from carnelian_operator.rediscluster.snapshot import Snapshot, Trouble
from carnelian_operator.runtime.api import Kind, Object


@dataclass(frozen=True, slots=True)
class Children:
    """What to write, and what stands in the way."""

    actions: tuple[Action, ...] = ()
    trouble: Trouble | None = None


def plan_children(snapshot: Snapshot, primary: str | None) -> Children:
    """Objects that are missing or differ from what they should be.

    Passwords are made exactly once, before anything runs with them. If their Secret is lost later, servers go on
    with what they have mounted, and nothing here invents new ones over them: it must be restored.
    """
    instance = snapshot.instance
    foreign = [
        f"{kind.kind} {name}" for (kind, name), live in snapshot.live.items() if not belongs(instance, kind, live)
    ]
    if foreign:
        message = f"{', '.join(foreign)} exists and belongs to somebody else; delete it, or rename this RedisCluster"
        return Children(trouble=Trouble(Reason.CONFLICT, message))
    if snapshot.passwords is None:
        return _without_passwords(snapshot)
    claimed_size = _claimed_size(snapshot.live.get((STATEFUL_SET, instance.name)))
    actions: list[Action] = []
    for kind, manifest in all_manifests(instance, snapshot.passwords, claimed_size):
        wanted = _held_back(instance, manifest, primary)
        if needs_apply(wanted, snapshot.live.get((kind, wanted["metadata"]["name"]))):
            actions.append(Apply(kind, _stamped(wanted)))
    return Children(actions=(*actions, *_grow_volumes(snapshot)))


def needs_apply(manifest: Object, live: Object | None) -> bool:
    """Whether the live object lacks something of the manifest, or still has what an older one put there."""
    if live is None:
        return True
    annotations = live["metadata"].get("annotations") or {}
    return annotations.get(APPLIED) != digest(manifest) or differs(manifest, live)


def digest(manifest: Object) -> str:
    """Identifies a rendered manifest."""
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()[:16]


def differs(wanted: Any, live: Any) -> bool:
    """Whether any leaf of `wanted` is missing or another in `live`; what the API server adds is ignored."""
    if isinstance(wanted, Mapping):
        if not isinstance(live, Mapping):
            return bool(wanted)
        return any(differs(value, live.get(name)) for name, value in wanted.items())
    if isinstance(wanted, Sequence) and not isinstance(wanted, str):
        if not isinstance(live, Sequence) or isinstance(live, str):
            return bool(wanted)
        return len(wanted) != len(live) or any(map(differs, wanted, live))
    return bool(wanted != live) and not same_quantity(wanted, live)


def belongs(instance: Instance, kind: Kind, live: Object) -> bool:
    """Whether an object of a name that we need is ours."""
    meta = live["metadata"]
    controllers = [owner for owner in meta.get("ownerReferences") or () if owner.get("controller")]
    if controllers:
        return kind == VOLUME_CLAIM or any(owner["uid"] == instance.uid for owner in controllers)
    label = (meta.get("labels") or {}).get(CLUSTER_LABEL)
    if label is None and (kind, meta["name"]) == (SECRET, instance.credentials_name):
        # Restored by hand: what it must hold is checked when it is read.
        return True
    return bool(label == instance.name)


def _without_passwords(snapshot: Snapshot) -> Children:
    instance = snapshot.instance
    if snapshot.credentials_problem is not None:
        return Children(trouble=Trouble(Reason.SECRET_MISSING, snapshot.credentials_problem))
    running = any(kind == STATEFUL_SET for kind, _ in snapshot.live)
    if not running and (SECRET, instance.credentials_name) not in snapshot.live:
        return Children(actions=(CreateCredentials(),))
    message = (
        f"Secret {instance.credentials_name} is gone while servers run with its passwords; restore it from your "
        f"backup, or delete the StatefulSets of {instance.name} to start the servers anew with other passwords"
    )
    return Children(trouble=Trouble(Reason.SECRET_MISSING, message))


def _held_back(instance: Instance, manifest: Object, primary: str | None) -> Object:
    """While the primary is a pod that a smaller instance will not have, the pods stay until it has handed over."""
    if manifest["kind"] != STATEFUL_SET.kind or manifest["metadata"]["name"] != instance.name or primary is None:
        return manifest
    needed = int(primary.rpartition("-")[2]) + 1
    spec = manifest["spec"]
    return manifest if spec["replicas"] >= needed else {**manifest, "spec": {**spec, "replicas": needed}}


def _stamped(manifest: Object) -> Object:
    metadata = manifest["metadata"]
    annotations = {**metadata.get("annotations", {}), APPLIED: digest(manifest)}
    return {**manifest, "metadata": {**metadata, "annotations": annotations}}


def _claimed_size(stateful_set: Object | None) -> str | None:
    templates = stateful_set["spec"].get("volumeClaimTemplates") if stateful_set else None
    return templates[0]["spec"]["resources"]["requests"]["storage"] if templates else None


def _grow_volumes(snapshot: Snapshot) -> list[Action]:
    """A StatefulSet never changes its claims, so claims that are smaller than the spec are grown one by one."""
    instance = snapshot.instance
    if instance.spec.storage is None:
        return []
    size = instance.spec.storage.size
    grown: list[Action] = []
    for (kind, name), live in sorted(snapshot.live.items(), key=lambda item: item[0][1]):
        if kind != VOLUME_CLAIM or name not in {f"{DATA}-{pod}" for pod in instance.data_pods}:
            continue
        bound = (live.get("status") or {}).get("phase") == "Bound"  # before that its spec cannot change
        if bound and parse_quantity(live["spec"]["resources"]["requests"]["storage"]) < parse_quantity(size):
            manifest = {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "metadata": {"name": name, "namespace": instance.namespace},
                "spec": {"resources": {"requests": {"storage": size}}},
            }
            grown.append(Apply(kind, manifest))
    return grown
