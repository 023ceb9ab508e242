"""A provisioner of volumes on the host's disk: creates, expands and deletes them as claims ask.

One loop, driven by level: at every change it lists claims and volumes, `decide` says what is missing, and that is done.
A volume is a small ext4 file system in a sparse file, so that it can really be full. It is made with the largest size
that the file may have, and a reserve file, out of sight of the pods, holds back what was not asked for: shrinking the
reserve expands the volume while it is in use (growing a file system online needs rights that many machines deny).
"""

from __future__ import annotations

import decimal
import os
import threading
import traceback
from dataclasses import dataclass
from pathlib import Path

from e2e.cluster import pki
from e2e.cluster.kube import Kube, KubeError, Object
from e2e.cluster.layout import NODES, PROVISIONER, STORAGE_CLASS
from e2e.cluster.paths import state_dir
from e2e.cluster.shell import HarnessError, run, succeeds

LARGEST = 64 * 2**30
_ROOM = 2**20  # what stays free for the file system's own use
_RESYNC = 20
_CLAIMS = "/api/v1/persistentvolumeclaims"
_VOLUMES = "/api/v1/persistentvolumes"
_UNITS = {"": 0, "Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4}
_DECIMAL_UNITS = {"m": -1, "k": 1, "M": 2, "G": 3, "T": 4}


@dataclass(frozen=True)
class Create:
    """Make a volume for a claim."""

    claim: Object


@dataclass(frozen=True)
class Expand:
    """Raise a bound volume to what its claim asks for."""

    claim: Object
    volume: str


@dataclass(frozen=True)
class Delete:
    """Remove a volume whose claim is gone."""

    volume: str


Action = Create | Expand | Delete


def parse_size(text: str) -> int:
    """Bytes of a Kubernetes quantity.

    Raises:
        ValueError: It is none.
    """
    number = text.rstrip("KMGTikm")
    unit = text[len(number) :]
    if unit in _UNITS:
        factor = decimal.Decimal(1024) ** _UNITS[unit]
    elif unit in _DECIMAL_UNITS:
        factor = decimal.Decimal(1000) ** _DECIMAL_UNITS[unit]
    else:
        raise ValueError(f"not a quantity: {text!r}")
    try:
        return int(decimal.Decimal(number) * factor)
    except decimal.InvalidOperation as error:
        raise ValueError(f"not a quantity: {text!r}") from error


def requested(claim: Object) -> int:
    """Bytes that a claim asks for."""
    return parse_size(claim["spec"]["resources"]["requests"]["storage"])


def decide(claims: list[Object], volumes: list[Object]) -> list[Action]:
    """What is missing between the claims and the volumes of our class."""
    ours = {each["metadata"]["name"]: each for each in volumes if each["spec"].get("storageClassName") == STORAGE_CLASS}
    actions: list[Action] = []
    for claim in claims:
        if claim["spec"].get("storageClassName") != STORAGE_CLASS or claim["metadata"].get("deletionTimestamp"):
            continue
        name = claim["spec"].get("volumeName")
        if not name:
            if volume_name(claim) not in ours:
                actions.append(Create(claim))
        elif name in ours:
            capacities = (ours[name]["spec"], claim.get("status", {}))
            held = min(parse_size(each.get("capacity", {}).get("storage", "0")) for each in capacities)
            if claim.get("status", {}).get("phase") == "Bound" and requested(claim) > held:
                actions.append(Expand(claim, name))
    for name, volume in ours.items():
        released = volume.get("status", {}).get("phase") == "Released"
        if released and volume["spec"]["persistentVolumeReclaimPolicy"] == "Delete":
            actions.append(Delete(name))
    return actions


def volume_name(claim: Object) -> str:
    """Name of the volume that is made for a claim."""
    return f"pvc-{claim['metadata']['uid']}"


def folder(volume: str) -> Path:
    """Where a volume's file and mount are."""
    return state_dir() / "volumes" / volume


def data(volume: str) -> Path:
    """What pods see of a volume."""
    return folder(volume) / "mount" / "data"


def render_volume(claim: Object) -> Object:
    """The PersistentVolume for a claim: a local one, so that fsGroup works, and on every node (they share a disk)."""
    names = [node.name for node in NODES]
    affinity = {"key": "kubernetes.io/hostname", "operator": "In", "values": names}
    meta, name = claim["metadata"], volume_name(claim)
    reference = {"apiVersion": "v1", "kind": "PersistentVolumeClaim"}
    reference |= {key: meta[key] for key in ("namespace", "name", "uid")}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, "annotations": {"pv.kubernetes.io/provisioned-by": PROVISIONER}},
        "spec": {
            "storageClassName": STORAGE_CLASS,
            "capacity": {"storage": claim["spec"]["resources"]["requests"]["storage"]},
            "accessModes": claim["spec"]["accessModes"],
            "persistentVolumeReclaimPolicy": "Delete",
            "volumeMode": "Filesystem",
            "local": {"path": str(data(name))},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [affinity]}]}},
            "claimRef": reference,
        },
    }


def make_disk(volume: str, size: int) -> None:
    """Make and mount the volume's file system; a plain folder where mounts of files are not to be had."""
    base = folder(volume)
    mount = base / "mount"
    mount.mkdir(parents=True, exist_ok=True)
    if not mount.is_mount():
        image = base / "disk.img"
        with image.open("wb") as file:
            file.truncate(LARGEST)
        options = ["-q", "-m0", "-N", "16384", "-O", "^has_journal", "-E", "lazy_itable_init=1,nodiscard"]
        run(["mkfs.ext4", *options, str(image)], timeout=60)
        if not succeeds(["mount", "-o", "loop,noinit_itable", str(image), str(mount)]):
            image.unlink()
            print(f"{volume}: no loop mounts on this machine; a plain folder of no fixed size", flush=True)
    data(volume).mkdir(mode=0o777, exist_ok=True)
    data(volume).chmod(0o777)
    resize_disk(volume, size)


def resize_disk(volume: str, size: int) -> None:
    """Give pods that many bytes, by what the reserve file holds back; nothing to do for a plain folder."""
    mount = folder(volume) / "mount"
    if not mount.is_mount():
        return
    reserve = mount / "reserve"
    held = reserve.stat().st_size if reserve.exists() else 0
    space = os.statvfs(mount)
    used = _used(data(volume))
    wanted = max(0, held + space.f_bavail * space.f_frsize + used - size - _ROOM)
    wanted -= wanted % space.f_frsize
    if wanted > held:
        run(["fallocate", "--length", str(wanted), str(reserve)])
    elif wanted < held:
        os.truncate(reserve, wanted)


def remove_disk(volume: str) -> None:
    """Unmount and remove the volume."""
    base = folder(volume)
    if (base / "mount").is_mount():
        run(["umount", str(base / "mount")])
    if base.exists():
        run(["rm", "-rf", "--one-file-system", str(base)])


def carry_out(kube: Kube, action: Action) -> None:
    """Do one of the things that `decide` found missing; doing it twice is harmless."""
    if isinstance(action, Create):
        if requested(action.claim) > LARGEST - 2**30:
            print(f"{volume_name(action.claim)}: asks for more than the largest volume, {LARGEST} bytes", flush=True)
            return
        make_disk(volume_name(action.claim), requested(action.claim))
        kube.request("POST", _VOLUMES, render_volume(action.claim))
    elif isinstance(action, Expand):
        size = {"storage": action.claim["spec"]["resources"]["requests"]["storage"]}
        meta, merge = action.claim["metadata"], "application/merge-patch+json"
        resize_disk(action.volume, requested(action.claim))
        kube.request("PATCH", f"{_VOLUMES}/{action.volume}", {"spec": {"capacity": size}}, merge)
        path = f"/api/v1/namespaces/{meta['namespace']}/persistentvolumeclaims/{meta['name']}/status"
        kube.request("PATCH", path, {"status": {"capacity": size, "conditions": None}}, merge)
    else:
        remove_disk(action.volume)
        kube.request("DELETE", f"{_VOLUMES}/{action.volume}")
    name = volume_name(action.claim) if isinstance(action, Create) else action.volume
    print(f"{type(action).__name__}: {name}", flush=True)


def main() -> None:
    """Serve claims until killed."""
    kube = Kube(pki.kubeconfig("storage"))
    changed = threading.Event()
    for path in (_CLAIMS, _VOLUMES):
        threading.Thread(target=_watch, args=(kube, path, changed), daemon=True).start()
    while True:
        changed.clear()
        try:
            actions = decide(kube.list(_CLAIMS), kube.list(_VOLUMES))
        except (OSError, KubeError) as error:
            print(f"cannot list: {error}", flush=True)
            actions = []
        for action in actions:
            try:
                carry_out(kube, action)
            except (OSError, KubeError, HarnessError):
                traceback.print_exc()
        changed.wait(_RESYNC)


def _watch(kube: Kube, path: str, changed: threading.Event) -> None:
    pause = threading.Event()
    while True:
        try:
            for _ in kube.watch(path, seconds=300):
                changed.set()
        except (OSError, KubeError, ValueError) as error:
            print(f"watch of {path} ended: {error}", flush=True)
            pause.wait(1)


def _used(tree: Path) -> int:
    return sum(file.lstat().st_blocks * 512 for file in tree.rglob("*") if not file.is_symlink())
