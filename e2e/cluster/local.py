"""Bringing the local cluster up and taking it down again, without a trace."""

from __future__ import annotations

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from e2e.cluster import cgroups, control_plane, images, network, nodes, packages, pki, processes, toolchain
from e2e.cluster.images import Archive
from e2e.cluster.layout import BRIDGE, NODES
from e2e.cluster.ledger import Ledger
from e2e.cluster.paths import kubeconfig, state_dir
from e2e.cluster.progress import say, step
from e2e.cluster.shell import HarnessError, lock, run

_LOCK = Path("/run/lock/carnelian-cluster.lock")
# Folders that kubelet and the CNI library make outside of what they are told; ours to remove when we made them appear.
_STRAY = ("/var/lib/kubelet", "/var/lib/cni", "/var/log/containers", "/var/log/pods", "/etc/cni/net.d")


def up() -> None:
    """Bring the cluster up; returns at once when it runs, and clears away one that is half dead.

    Raises:
        HarnessError: Something is missing or did not start; says what, and shows the end of its log.
    """
    if os.geteuid() != 0:
        raise HarnessError("the local cluster needs root (network namespaces, mounts): run this with sudo")
    with lock(_LOCK, "the local cluster"):
        if is_healthy():
            say("the cluster is running")
            return
        packages.ensure(packages.CLUSTER)
        toolchain.build()
        archives = images.all_archives()
        if ledger().entries():
            say("found a cluster that is not whole (crashed, or from before a reboot); clearing it away first")
            _down()
        begin = time.monotonic()
        try:
            _start(archives)
        except BaseException:
            say(f"up failed; logs are in {state_dir() / 'log'}; `down` clears everything away")
            raise
        say(f"cluster is up in {time.monotonic() - begin:.1f}s: {len(NODES)} nodes Ready, KUBECONFIG={kubeconfig()}")


def down() -> None:
    """Take away everything that `up` made on this machine; the cache of programs and images stays."""
    with lock(_LOCK, "the local cluster"):
        if not ledger().entries():
            say("no local cluster on this machine")
            return
        with step("taking the cluster down"):
            _down()


def load_images(archives: list[Archive]) -> None:
    """Import those into every node that are not there in this version."""
    record = state_dir() / "images.json"
    loaded: dict[str, str] = json.loads(record.read_text()) if record.exists() else {}
    todo = [each for each in archives if loaded.get(each.names[0]) != each.key]
    if not todo:
        return
    names = ", ".join(each.names[0].rsplit("/", 1)[1] for each in todo)
    with step(f"importing {names} into {len(NODES)} nodes"), ThreadPoolExecutor(len(NODES)) as pool:
        list(pool.map(lambda node: nodes.import_images(node, [each.path for each in todo]), NODES))
    record.write_text(json.dumps({**loaded, **{each.names[0]: each.key for each in todo}}, indent=1))


def import_archive(path: Path) -> None:
    """Import a docker archive of any image into every node."""
    with step(f"importing {path.name} into {len(NODES)} nodes"), ThreadPoolExecutor(len(NODES)) as pool:
        list(pool.map(lambda node: nodes.import_images(node, [path]), NODES))


def is_healthy() -> bool:
    """Whether every process of the cluster lives, the API server is ready and so are all nodes."""
    return not dead_processes() and control_plane.api_ready() and len(nodes.ready_nodes()) == len(NODES)


def dead_processes() -> list[str]:
    """Names of the processes that should be running and are not."""
    per_node = [f"{kind}-{node.index}" for kind in ("containerd", "kubelet", "proxy") for node in NODES]
    return [name for name in [*control_plane.COMPONENTS, *per_node] if processes.main_pid(name) is None]


def ledger() -> Ledger:
    """The table of what was made."""
    return Ledger(state_dir() / "ledger.jsonl")


def _start(archives: list[Archive]) -> None:
    book = ledger()
    for stray in _STRAY:
        if not Path(stray).exists():
            book.add("directory", stray)
    # A mount of its own, shared, so that mounts made for containers spread among the nodes' programs and no further.
    book.add("mount", str(state_dir()))
    run(["mount", "--bind", str(state_dir()), str(state_dir())])
    run(["mount", "--make-rshared", str(state_dir())])
    pki.create()
    network.create(book)
    with ThreadPoolExecutor(2) as pool:
        api = pool.submit(_start_control_plane)
        pool.submit(_start_runtimes, book, archives).result()
        api.result()
    with step("kubelets and kube-proxies"):
        for node in NODES:
            nodes.start_kubelet(node)
            nodes.start_proxy(node)
        nodes.wait_ready()


def _start_control_plane() -> None:
    with step("etcd and API server"):
        control_plane.start_api()
    with step("controllers, DNS, storage"):
        control_plane.start_rest()


def _start_runtimes(book: Ledger, archives: list[Archive]) -> None:
    for node in NODES:
        nodes.prepare(node, book)
    with ThreadPoolExecutor(len(NODES)) as pool:
        list(pool.map(nodes.start_containerd, NODES))
    load_images(archives)


def _down() -> None:
    for name in (f"kubelet-{node.index}" for node in NODES):
        processes.kill_all(lambda name=name: processes.pids(name), name)  # type: ignore[misc]
    processes.kill_all(_everything_alive, "the cluster")
    nodes.forget_shim_sockets()
    entries = ledger().entries()
    _unmount_below(state_dir())
    for entry in entries:
        if entry.kind == "cgroup":
            cgroups.remove(entry.name)
        elif entry.kind == "netns":
            network.delete_netns(entry.name)
        elif entry.kind == "link":
            network.delete_link(entry.name)
        elif entry.kind == "firewall":
            network.delete_firewall(entry.name)
    nodes.forget_traces()
    for entry in entries:
        if entry.kind == "directory":
            nodes.remove_folder(Path(entry.name))
    nodes.remove_folder(state_dir())


def _everything_alive() -> list[int]:
    return [*processes.pids(), *(pid for node in NODES for pid in cgroups.members(node.name))]


def _unmount_below(folder: Path) -> None:
    """Unmount everything in the folder and the folder itself, however many times it is mounted.

    Raises:
        HarnessError: Something stays mounted, so that removing files would be dangerous.
    """
    for _ in range(5):
        points = mounts_below(folder, Path("/proc/self/mounts").read_text())
        if not points:
            return
        for point in points:
            run(["umount", "--lazy", point], check=False)
    raise HarnessError(f"still mounted below {folder}: {mounts_below(folder, Path('/proc/self/mounts').read_text())}")


def mounts_below(folder: Path, table: str) -> list[str]:
    """Mount points at and below a folder in the text of /proc/mounts, deepest and latest first."""
    points = [line.split()[1].encode().decode("unicode_escape") for line in table.splitlines() if line]
    return [point for point in reversed(points) if Path(point).is_relative_to(folder)]


def describe() -> str:
    """What runs, in a few lines for people."""
    if not ledger().entries():
        return "no local cluster on this machine; `up` starts one"
    dead, ready = dead_processes(), nodes.ready_nodes()
    lines = [f"state       {state_dir()}", f"KUBECONFIG  {kubeconfig()}", f"programs    {toolchain.bin_dir()}"]
    lines.append(f"API server  {'ready' if control_plane.api_ready() else 'not ready'}")
    lines += [f"{node.name}  {'Ready' if node.name in ready else 'not Ready'}  {node.address}" for node in NODES]
    if dead:
        lines.append(f"not running: {', '.join(dead)} (logs: {state_dir() / 'log'})")
    lines.append(f"bridge      {BRIDGE}")
    return "\n".join(lines)
