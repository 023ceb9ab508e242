"""Names and addresses of the local cluster, all of its own, so that nothing else on the machine is touched."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from e2e.cluster.paths import state_dir

BRIDGE = "carn0"
HOST = "172.31.250.1"  # the bridge's address: API server and DNS answer here
NETWORK = "172.31.250.0/24"
API_SERVER = f"https://{HOST}:6443"
ETCD = "http://127.31.250.1:2379"  # a loopback address of its own: other tests' etcds are on 127.0.0.1
ETCD_PEER = "http://127.31.250.1:2380"
SERVICES = "10.97.0.0/16"
PODS = "10.245.0.0/16"
DOMAIN = "cluster.local"
CGROUP_ROOT = Path("/sys/fs/cgroup")
STORAGE_CLASS = "carnelian-local"
PROVISIONER = "carnelian.dev/local"
PAUSE_IMAGE = "docker.io/carnelian/pause:1"


@dataclass(frozen=True)
class Node:
    """One node: a network namespace with its own containerd and kubelet."""

    index: int

    @property
    def name(self) -> str:
        """Name in Kubernetes, and of its network namespace and cgroup."""
        return f"carn-node{self.index}"

    @property
    def address(self) -> str:
        """Address on the bridge."""
        return f"172.31.250.{10 + self.index}"

    @property
    def pods(self) -> str:
        """Network of its pods."""
        return f"10.245.{self.index}.0/24"

    @property
    def link(self) -> str:
        """The host's end of its cable."""
        return f"carn-veth{self.index}"

    @property
    def folder(self) -> Path:
        """Its disk: containerd's data, kubelet's data, logs of pods."""
        return state_dir() / self.name

    @property
    def socket(self) -> Path:
        """Where its containerd listens."""
        return self.folder / "run" / "containerd.sock"

    @property
    def enter(self) -> list[str]:
        """Command prefix that runs a program in its network (`ip netns exec` would hide the cgroups)."""
        return ["nsenter", f"--net=/run/netns/{self.name}"]


NODES: tuple[Node, ...] = tuple(Node(index) for index in (1, 2, 3))


def node(name: str) -> Node:
    """The node with that name; the bare number is understood too.

    Raises:
        ValueError: There is none; names those that exist.
    """
    for each in NODES:
        if name in {each.name, str(each.index)}:
            return each
    raise ValueError(f"no node {name!r}; there are {', '.join(each.name for each in NODES)}")
