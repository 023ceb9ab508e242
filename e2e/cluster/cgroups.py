"""Control groups of the nodes, version 1 or 2, made by hand because no systemd is assumed."""

from __future__ import annotations

import os
from pathlib import Path

from e2e.cluster.layout import CGROUP_ROOT

_V2_CONTROLLERS = ("cpu", "cpuset", "io", "memory", "pids")


def is_v2(root: Path = CGROUP_ROOT) -> bool:
    """Whether the machine has the unified hierarchy only."""
    return (root / "cgroup.controllers").exists()


def hierarchies(root: Path = CGROUP_ROOT) -> list[Path]:
    """Roots under which a node has a folder: one for each hierarchy of version 1, or the only one of version 2."""
    if is_v2(root):
        return [root]
    return sorted(path for path in root.iterdir() if path.is_dir() and not path.is_symlink())


def create(name: str) -> None:
    """Make the node's group in every hierarchy."""
    for root in hierarchies():
        if is_v2():
            offered = set((root / "cgroup.controllers").read_text().split())
            wanted = " ".join(f"+{each}" for each in _V2_CONTROLLERS if each in offered)
            (root / "cgroup.subtree_control").write_text(wanted)
        group = root / name
        group.mkdir(exist_ok=True)
        for knob in ("cpuset.cpus", "cpuset.mems"):  # version 1 starts them empty, and an empty set can run nothing
            if not is_v2() and (group / knob).exists():
                (group / knob).write_text((root / knob).read_text())


def members(name: str) -> list[int]:
    """Ids of all processes in the group and below it."""
    found: set[int] = set()
    for root in hierarchies():
        for file in (root / name).rglob("cgroup.procs"):
            try:
                found.update(int(word) for word in file.read_text().split())
            except OSError:
                continue  # the group went away, or is a threaded one
    return sorted(found)


def container_members(name: str, container: str) -> list[int]:
    """Ids of the processes of one container, by its id, below a node's group."""
    for root in hierarchies():
        for group in (root / name).rglob(container):
            words = (group / "cgroup.procs").read_text().split()
            if words:
                return sorted(int(word) for word in words)
    return []


def remove(name: str) -> None:
    """Remove the group and all below it; there must be no process left in it."""
    # The container runtime adds groups of its own kind in every hierarchy, so all are looked through.
    for root in hierarchies():
        for folder, _, _ in os.walk(root / name, topdown=False):
            Path(folder).rmdir()
