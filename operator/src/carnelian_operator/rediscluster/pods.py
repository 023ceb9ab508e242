"""Reads a Pod object."""

from collections.abc import Mapping
from typing import Any

from carnelian_operator.api.conditions import Reason
from carnelian_operator.rediscluster.instance import RESTARTED_AT, ROLE_LABEL
from carnelian_operator.rediscluster.snapshot import Pod, Trouble
from carnelian_operator.runtime.api import Object

_NO_IMAGE = {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError"}
_PATIENT_RESTARTS = 3
"""A container that was killed once or twice comes back by itself; after that it is a loop."""


def read_pod(obj: Object) -> Pod:
    """What we need to know about a pod."""
    meta, status = obj["metadata"], obj.get("status") or {}
    labels = meta.get("labels") or {}
    conditions = {each["type"]: each for each in status.get("conditions") or ()}
    return Pod(
        name=meta["name"],
        uid=meta["uid"],
        revision=labels.get("controller-revision-hash", ""),
        ip=status.get("podIP"),
        node=obj["spec"].get("nodeName"),
        zone=labels.get("topology.kubernetes.io/zone"),
        ready=conditions.get("Ready", {}).get("status") == "True",
        terminating="deletionTimestamp" in meta,
        role=labels.get(ROLE_LABEL),
        restarted_at=(meta.get("annotations") or {}).get(RESTARTED_AT),
        trouble=_trouble(meta["name"], status, conditions),
    )


def _trouble(name: str, status: Mapping[str, Any], conditions: Mapping[str, Any]) -> Trouble | None:
    scheduled = conditions.get("PodScheduled", {})
    if scheduled.get("status") == "False" and scheduled.get("reason") == "Unschedulable":
        return Trouble(Reason.UNSCHEDULABLE, f"{name}: {scheduled.get('message', 'no node fits')}")
    for container in status.get("containerStatuses") or ():
        waiting = (container.get("state") or {}).get("waiting") or {}
        reason, message = waiting.get("reason"), waiting.get("message", "")
        if reason in _NO_IMAGE:
            return Trouble(Reason.IMAGE_UNAVAILABLE, f"{name}: image {container['image']}: {message or reason}")
        if reason == "CreateContainerConfigError":
            return Trouble(Reason.SECRET_MISSING, f"{name}: {message}")
        if reason == "CrashLoopBackOff" and container.get("restartCount", 0) >= _PATIENT_RESTARTS:
            return Trouble(Reason.CRASH_LOOPING, f"{name}: {_last_exit(container)}")
    return None


def _last_exit(container: Mapping[str, Any]) -> str:
    last = (container.get("lastState") or {}).get("terminated") or {}
    exit_code, reason = last.get("exitCode", "?"), last.get("reason", "Error")
    return (
        f"the server ended {container['restartCount']} times, last with exit code {exit_code} ({reason}); see its log"
    )
