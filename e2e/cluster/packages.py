"""Debian packages that the harness needs, installed by apt-get when missing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping

from e2e.cluster.progress import step
from e2e.cluster.shell import HarnessError, run

# A file or program that shows the package is there → the package.
ROOTFS: Mapping[str, str] = {"mmdebstrap": "mmdebstrap"}
IMAGES: Mapping[str, str] = {**ROOTFS, "buildah": "buildah"}
CLUSTER: Mapping[str, str] = {
    **IMAGES,
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
    "iptables": "iptables",
    "ip": "iproute2",
    "conntrack": "conntrack",
    "nsenter": "util-linux",
    "mount": "mount",
    "sysctl": "procps",
}


def missing(needs: Mapping[str, str]) -> list[str]:
    """Names of the packages whose file or program is not on this machine, sorted."""
    search = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    return sorted({package for probe, package in needs.items() if shutil.which(probe, path=search) is None})


def ensure(needs: Mapping[str, str]) -> None:
    """Install what is missing.

    Raises:
        HarnessError: Packages are missing and cannot be installed here; names them and the command.
    """
    wanted = missing(needs)
    if not wanted:
        return
    command = f"apt-get install -y --no-install-recommends {' '.join(wanted)}"
    if shutil.which("apt-get") is None:
        raise HarnessError(f"missing: {', '.join(wanted)}. This machine has no apt-get; install them its own way.")
    if os.geteuid() != 0:
        raise HarnessError(f"missing: {', '.join(wanted)}. Install them as root: sudo {command}")
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    with step(f"installing Debian packages: {' '.join(wanted)}"):
        run(
            ["apt-get", "update", "-qq"], env=quiet, check=False
        )  # a stale index of a foreign source is no reason to stop
        run([*command.split(" "), "-qq", "-o", "DPkg::Lock::Timeout=300"], env=quiet)
    still = missing(needs)
    if still:
        raise HarnessError(f"installed, but still not found: {', '.join(still)}. Try by hand: {command}")
