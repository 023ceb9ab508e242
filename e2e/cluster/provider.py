"""Which cluster tests and the demo use: the caller's, one of kind where Docker can pull images, else the local one."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pytest_kind import KindCluster

from e2e.cluster import images, local, toolchain
from e2e.cluster.images import Archive
from e2e.cluster.paths import REPOSITORY, cache_dir, kubeconfig
from e2e.cluster.progress import say, step
from e2e.cluster.shell import HarnessError, run, succeeds
from e2e.cluster.versions import KIND

Kind = Literal["existing", "kind", "local"]
_KIND_NAME = "carnelian"
_PROBE_IMAGE = "docker.io/library/busybox:stable"


@dataclass(frozen=True)
class ClusterHandle:
    """A cluster that can be used.

    Attributes:
        kubeconfig: File that reaches it as an administrator.
        kind: `existing` (KUBECONFIG was set), `kind`, or `local`.
        started: Whether this run brought it up, so that `close` takes it down.
    """

    kubeconfig: Path
    kind: Kind
    started: bool

    @property
    def kubectl(self) -> Path:
        """Path of kubectl."""
        return _program("kubectl")

    @property
    def helm(self) -> Path:
        """Path of helm."""
        return _program("helm")

    def load_image(self, archive: Archive) -> None:
        """Make one image known to every node."""
        self._load([archive])

    def load_images(self) -> None:
        """Make the repository's own images, as the sources are now, known to every node."""
        if self.kind == "existing":
            names = ", ".join(f"carnelian/{target}:dev" for target in images.TARGETS)
            say(f"KUBECONFIG is set: {names} are expected on its nodes or in its registry (see Dockerfile)")
        elif self.kind == "kind":
            for target in images.TARGETS:
                _docker_build(target)
                run(["docker", "tag", f"carnelian/{target}:dev", f"docker.io/carnelian/{target}:dev"])
                _kind().load_docker_image(f"carnelian/{target}:dev")
        else:
            self._load([images.build_image(target) for target in images.TARGETS])

    def close(self) -> None:
        """Take the cluster down if this run brought it up."""
        if not self.started:
            return
        if self.kind == "kind":
            _kind().delete()
        elif self.kind == "local":
            local.down()

    def _load(self, archives: list[Archive]) -> None:
        if self.kind == "local":
            local.load_images(archives)
        elif self.kind == "kind":
            for each in archives:
                run([_kind().kind_path, "load", "image-archive", str(each.path), "--name", _KIND_NAME], timeout=300)


def ensure_cluster() -> ClusterHandle:
    """The cluster to use, brought up when there is none.

    Raises:
        HarnessError: It cannot be brought up; says what is missing.
    """
    named = os.environ.get("KUBECONFIG")
    if named and Path(named) != kubeconfig():
        return ClusterHandle(Path(named), "existing", started=False)
    if kubeconfig().exists() or not docker_can_pull():
        was_running = local.is_healthy()
        if not was_running:
            _up()
        return ClusterHandle(kubeconfig(), "local", started=not was_running)
    toolchain.build({"kubectl", "helm"})
    cluster = _kind()
    with step(f"kind cluster {_KIND_NAME}"):
        cluster.create()
    return ClusterHandle(Path(cluster.kubeconfig_path), "kind", started=True)


def is_running() -> bool:
    """Whether there is a cluster that was here before this run, and is therefore not to be taken down by it."""
    named = os.environ.get("KUBECONFIG")
    return bool(named and Path(named) != kubeconfig()) or local.is_healthy()


def docker_can_pull() -> bool:
    """Whether a Docker daemon answers and reaches a registry."""
    if shutil.which("docker") is None or not succeeds(["docker", "info"], timeout=10):
        return False
    return succeeds(["docker", "pull", "--quiet", _PROBE_IMAGE], timeout=60)


def _up() -> None:
    # In a process of its own: the cluster's processes shall not be children of a test run.
    words = [sys.executable, "-m", "e2e.cluster", "up"]
    if os.spawnve(os.P_WAIT, sys.executable, words, {**os.environ, "PYTHONPATH": str(REPOSITORY)}) != 0:
        raise HarnessError("the local cluster did not come up; the lines above say why")


def _kind() -> KindCluster:
    folder = cache_dir() / "kind"
    folder.mkdir(parents=True, exist_ok=True)
    toolchain.build({KIND.name})
    return KindCluster(_KIND_NAME, folder / "kubeconfig", kind_path=toolchain.tool(KIND.name))


def _docker_build(target: str) -> None:
    with step(f"docker build of carnelian/{target}:dev"):
        run(
            ["docker", "build", f"--target={target}", f"--tag=carnelian/{target}:dev", "."],
            cwd=REPOSITORY,
            timeout=1200,
        )


def _program(name: str) -> Path:
    found = shutil.which(name)
    return toolchain.tool(name) if toolchain.tool(name).exists() or found is None else Path(found)
