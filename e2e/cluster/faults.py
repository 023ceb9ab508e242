"""Faults: each does one thing to a pod, a volume or a node, and has its counterpart that takes it back.

Those that need the machine (processes, cables, kubelets, volumes) work on the local cluster only; deleting a pod and
draining a node go through the API and work on any cluster.
"""

from __future__ import annotations

import errno
import json
import os
import signal as signals
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from e2e.cluster import cgroups, network, nodes, processes, storage
from e2e.cluster.layout import Node, node
from e2e.cluster.paths import kubeconfig
from e2e.cluster.shell import HarnessError, run
from e2e.cluster.toolchain import tool

_FILLER = ".carnelian-fill"
_BLOCK = 4096


def kill_process(
    namespace: str,
    pod: str,
    container: str | None = None,
    signal: signals.Signals = signals.SIGKILL,
    process: str | None = None,
) -> list[int]:
    """Send a signal to a container's first process, which takes the others with it, or to those of one name.

    Args:
        namespace: Of the pod.
        pod: Its name.
        container: Which one; the first when absent.
        signal: What is sent; SIGKILL cannot be caught.
        process: Name of the processes to hit instead, as `ps -o comm` shows it, such as `valkey-server`.

    Returns:
        Process ids, on the host, that were hit.

    Raises:
        HarnessError: There is no such pod, container or process.
    """
    members = container_pids(namespace, pod, container)
    hit = [pid for pid in members if (_is_first(pid) if process is None else _comm(pid) == process)]
    if not hit:
        names = sorted({_comm(pid) for pid in members})
        raise HarnessError(
            f"pod {namespace}/{pod}: no process {process or 'with id 1'!r}; there are {', '.join(names)}"
        )
    processes.send(hit, signal)
    return hit


def freeze(namespace: str, pod: str, container: str | None = None) -> list[int]:
    """Stop all processes of a container where they stand; connections stay open and nothing answers."""
    members = container_pids(namespace, pod, container)
    processes.send(members, signals.SIGSTOP)
    return members


def thaw(namespace: str, pod: str, container: str | None = None) -> list[int]:
    """Let a frozen container go on."""
    members = container_pids(namespace, pod, container)
    processes.send(members, signals.SIGCONT)
    return members


def cut_link(node_name: str) -> None:
    """Pull a node's network cable: packets vanish, in both directions; nothing on the node notices at first."""
    network.set_link(node(node_name), up=False)


def heal_link(node_name: str, seconds: float = 20) -> None:
    """Plug the cable back, put the routes back, and wait until the node answers."""
    target = node(node_name)
    network.set_link(target, up=True)
    network.restore_routes(target)
    _wait(f"{target.name} to answer", lambda: network.answers(target), seconds)


def stop_kubelet(node_name: str) -> None:
    """Stop a node's kubelet; its containers run on, unwatched."""
    processes.stop(f"kubelet-{node(node_name).index}")


def start_kubelet(node_name: str, seconds: float = 60) -> None:
    """Start a node's kubelet again and wait until the node is Ready; nothing to start when it runs."""
    target = node(node_name)
    if processes.main_pid(f"kubelet-{target.index}") is None:
        nodes.start_kubelet(target)
    wait_node_ready(target, seconds=seconds)


def wait_node_ready(target: Node, *, ready: bool = True, seconds: float = 60) -> None:
    """Wait until the API server says that a node is Ready, or that it is not."""
    said = "Ready" if ready else "not Ready"
    _wait(f"{target.name} to be {said}", lambda: (target.name in nodes.ready_nodes()) == ready, seconds)


def fill_volume(namespace: str, claim: str) -> int:
    """Leave no free block on a claim's volume; returns the bytes that were taken.

    Raises:
        HarnessError: The volume is a plain folder here, which has no size of its own.
    """
    folder = _volume_folder(namespace, claim)
    if not folder.parent.is_mount():
        raise HarnessError(f"claim {namespace}/{claim}: {folder} is a plain folder, this machine has no loop mounts")
    filler = folder / _FILLER
    with filler.open("ab") as file:
        step = _free(folder)
        while step >= _BLOCK:  # the file system's own needs grow with the file, so the last blocks are found by halving
            try:
                os.posix_fallocate(file.fileno(), file.seek(0, os.SEEK_END), step)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                step = step // 2 // _BLOCK * _BLOCK
    return filler.stat().st_size


def free_volume(namespace: str, claim: str) -> None:
    """Give back what `fill_volume` took."""
    (_volume_folder(namespace, claim) / _FILLER).unlink(missing_ok=True)


def delete_pod(namespace: str, pod: str, grace: int | None = None) -> None:
    """Delete a pod and return at once.

    Args:
        namespace: Of the pod.
        pod: Its name.
        grace: Seconds that it gets to end; its own setting when absent, 0 for by force.
    """
    extra = [] if grace is None else [f"--grace-period={grace}", *(["--force"] if grace == 0 else [])]
    _kubectl("delete", "pod", pod, f"--namespace={namespace}", "--wait=false", *extra)


def drain_node(node_name: str, seconds: int = 120) -> None:
    """Cordon a node and evict its pods, as an upgrade of the node would; respects disruption budgets.

    Raises:
        HarnessError: Not empty after `seconds`; says which pod could not be evicted.
    """
    options = ["--ignore-daemonsets", "--delete-emptydir-data", "--force", f"--timeout={seconds}s"]
    _kubectl("drain", _any_node(node_name), *options, seconds=seconds + 10)


def uncordon_node(node_name: str) -> None:
    """Let pods onto a drained node again."""
    _kubectl("uncordon", _any_node(node_name))


def container_pids(namespace: str, pod: str, container: str | None = None) -> list[int]:
    """Ids, on the host, of the processes in a pod's container.

    Raises:
        HarnessError: The pod is not on a node of the local cluster, or the container does not run.
    """
    found = _get("pod", namespace, pod)
    statuses: list[dict[str, Any]] = found["status"].get("containerStatuses", [])
    chosen = [each for each in statuses if container in {None, each["name"]}]
    if not chosen or "running" not in chosen[0].get("state", {}):
        state = ", ".join(f"{each['name']}: {', '.join(each.get('state', {}))}" for each in statuses)
        raise HarnessError(
            f"pod {namespace}/{pod}: container {container or 'first'} does not run ({state or 'none yet'})"
        )
    identity = chosen[0]["containerID"].rsplit("/", 1)[1]
    members = cgroups.container_members(node(found["spec"]["nodeName"]).name, identity)
    if not members:
        raise HarnessError(f"pod {namespace}/{pod}: container {chosen[0]['name']} has no process on this machine")
    return members


def _is_first(pid: int) -> bool:
    """Whether a process is process 1 of its own namespace."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    return next(line for line in status.splitlines() if line.startswith("NSpid")).split()[-1] == "1"


def _comm(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return "(gone)"


def _free(folder: Path) -> int:
    space = os.statvfs(folder)
    return space.f_bavail * space.f_frsize


def _volume_folder(namespace: str, claim: str) -> Path:
    volume = _get("pvc", namespace, claim)["spec"].get("volumeName")
    if not volume:
        raise HarnessError(f"claim {namespace}/{claim} is not bound to a volume yet")
    return storage.data(volume)


def _get(kind: str, namespace: str, name: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(_kubectl("get", kind, name, f"--namespace={namespace}", "--output=json"))
    return answer


def _any_node(name: str) -> str:
    """The full name of a local node given by number; a name of another cluster's node as it is."""
    return node(name).name if name.isdigit() else name


def _kubectl(*words: str, seconds: float = 30) -> str:
    config = os.environ.get("KUBECONFIG") or str(kubeconfig())
    program = tool("kubectl") if tool("kubectl").exists() else Path("kubectl")
    return run([program, f"--kubeconfig={config}", *words], timeout=seconds)


def _wait(what: str, ready: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            raise HarnessError(f"waited {seconds:.0f} s for {what}")
        time.sleep(0.1)
