"""The nodes: containerd, kubelet and kube-proxy, each in the network namespace of its node."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import yaml

from e2e.cluster import cgroups, pki, processes
from e2e.cluster.control_plane import wait_for
from e2e.cluster.kube import Kube, KubeError
from e2e.cluster.layout import DOMAIN, HOST, NODES, PAUSE_IMAGE, PODS, Node
from e2e.cluster.ledger import Ledger
from e2e.cluster.paths import state_dir
from e2e.cluster.shell import run, succeeds
from e2e.cluster.toolchain import tool


def prepare(node: Node, ledger: Ledger) -> None:
    """Write the node's configuration and make its control groups."""
    for folder in ("run", "cni", "kubelet"):
        (node.folder / folder).mkdir(parents=True, exist_ok=True)
    (node.folder / "containerd.toml").write_text(render_containerd(node, snapshotter()))
    (node.folder / "cni" / "10-node.conflist").write_text(json.dumps(render_cni(node)))
    (node.folder / "resolv.conf").write_text(f"nameserver {HOST}\n")
    (node.folder / "kubelet.yaml").write_text(yaml.safe_dump(render_kubelet(node)))
    (node.folder / "proxy.yaml").write_text(yaml.safe_dump(render_proxy(node)))
    ledger.add("cgroup", node.name)
    cgroups.create(node.name)


def start_containerd(node: Node) -> None:
    """Start containerd and wait until it answers."""
    name = f"containerd-{node.index}"
    processes.spawn(name, [*node.enter, "containerd", "--config", str(node.folder / "containerd.toml")])
    wait_for(f"containerd of {node.name}", lambda: succeeds([*ctr(node), "version"], timeout=5), 30, name)


def ctr(node: Node) -> list[str]:
    """Command prefix of containerd's client for the node's Kubernetes containers."""
    return ["ctr", "--address", str(node.socket), "--namespace", "k8s.io"]


def import_images(node: Node, archives: list[Path]) -> None:
    """Import docker archives into the node."""
    for archive in archives:
        run([*ctr(node), "images", "import", "--snapshotter", snapshotter(), str(archive)], timeout=300)


def start_kubelet(node: Node) -> None:
    """Start the node's kubelet; it registers the node."""
    processes.spawn(
        f"kubelet-{node.index}",
        [
            *node.enter,
            str(tool("kubelet")),
            f"--config={node.folder / 'kubelet.yaml'}",
            f"--kubeconfig={pki.kubeconfig(node.name)}",
            f"--hostname-override={node.name}",
            f"--node-ip={node.address}",
            f"--root-dir={node.folder / 'kubelet'}",
            f"--cert-dir={node.folder / 'kubelet' / 'pki'}",
            f"--node-labels=topology.kubernetes.io/zone=zone-{node.index}",
        ],
    )


def start_proxy(node: Node) -> None:
    """Start the node's kube-proxy."""
    command = [*node.enter, str(tool("kube-proxy")), f"--config={node.folder / 'proxy.yaml'}"]
    processes.spawn(f"proxy-{node.index}", command)


def ready_nodes() -> list[str]:
    """Names of the nodes whose condition Ready is True."""
    try:
        found = Kube(pki.kubeconfig("admin")).list("/api/v1/nodes")
    except (OSError, KubeError):
        return []
    return [each["metadata"]["name"] for each in found if is_ready(each)]


def is_ready(node_object: dict[str, dict[str, list[dict[str, str]]]]) -> bool:
    """Whether a Node object's condition Ready is True."""
    conditions = node_object.get("status", {}).get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def wait_ready(seconds: float = 60) -> None:
    """Wait until every node is Ready."""
    wait_for("the nodes", lambda: len(ready_nodes()) == len(NODES), seconds, f"kubelet-{NODES[0].index}")


def snapshotter() -> str:
    """`overlayfs`, or `native` where the state lies on an overlay itself (inside a container)."""
    kind = run(["stat", "-f", "-c", "%T", str(state_dir())]).strip()
    return "native" if kind == "overlayfs" else "overlayfs"


def oom_restricted() -> bool:
    """Whether this machine forbids lower OOM scores (no CAP_SYS_RESOURCE): then every sandbox would die."""
    status = Path("/proc/self/status").read_text()
    capabilities = int(next(line.split()[1] for line in status.splitlines() if line.startswith("CapEff")), 16)
    return not capabilities >> 24 & 1


def render_containerd(node: Node, snapshotter_name: str) -> str:
    """containerd's configuration: everything below the node's folder, mounts of network namespaces too."""
    folder = node.folder
    return f"""version = 2
root = "{folder}/containerd"
state = "{folder}/run"
disabled_plugins = ["io.containerd.internal.v1.opt"]
[grpc]
  address = "{node.socket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE_IMAGE}"
  restrict_oom_score_adj = {str(oom_restricted()).lower()}
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{folder}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "{snapshotter_name}"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
"""


def render_cni(node: Node) -> dict[str, object]:
    """Pod network: one routed cable a pod. No bridge, so a Service's answer never bypasses its translation."""
    ranges = [[{"subnet": node.pods}]]
    ipam = {
        "type": "host-local",
        "dataDir": str(node.folder / "ipam"),
        "ranges": ranges,
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    cable = {"type": "ptp", "ipMasq": False, "ipam": ipam}
    ports = {"type": "portmap", "capabilities": {"portMappings": True}}
    return {"cniVersion": "1.0.0", "name": node.name, "plugins": [cable, ports]}


def render_kubelet(node: Node) -> dict[str, object]:
    """Configuration of a kubelet that shares the machine with others."""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "failSwapOn": False,
        "failCgroupV1": False,
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{node.name}",
        "clusterDNS": [HOST],
        "clusterDomain": DOMAIN,
        "resolvConf": str(node.folder / "resolv.conf"),
        "podLogsDir": str(node.folder / "pod-logs"),  # sharing one, kubelets delete each other's folders
        "volumePluginDir": str(node.folder / "volume-plugins"),
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": False},
            "x509": {"clientCAFile": str(pki.folder() / "ca.crt")},
        },
        "authorization": {"mode": "AlwaysAllow"},
        "containerRuntimeEndpoint": f"unix://{node.socket}",
        "podCIDR": node.pods,
        "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
        "maxPods": 200,
        "nodeStatusUpdateFrequency": "4s",
        "serializeImagePulls": False,
        "shutdownGracePeriod": "0s",
    }


def render_proxy(node: Node) -> dict[str, object]:
    """Configuration of kube-proxy; traffic from outside of the pods (the host's) is masqueraded."""
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(pki.kubeconfig("proxy"))},
        "hostnameOverride": node.name,
        "clusterCIDR": PODS,
        "mode": "iptables",
        "conntrack": {"maxPerCore": 0, "min": 0},
    }


def forget_shim_sockets() -> None:
    """Remove the sockets of the nodes' shims, which lie outside of the state; to be called before `run` is removed."""
    for node in NODES:
        for address in node.folder.glob("run/io.containerd.runtime.v2.task/k8s.io/*/address"):
            Path(address.read_text().removeprefix("unix://")).unlink(missing_ok=True)


def forget_traces() -> None:
    """Remove what kubelets and the CNI library left outside of the state: entries that carry our names only."""
    for result in Path("/var/lib/cni/results").glob("carn-node*"):
        result.unlink()
    logs = Path("/var/log/containers")
    if logs.is_dir():
        for link in logs.iterdir():
            if link.is_symlink() and str(link.readlink()).startswith(f"{state_dir()}/"):
                link.unlink()


def remove_folder(path: Path) -> None:
    """Remove a folder of the state, never crossing into a mount."""
    if path.exists():
        run(["rm", "-rf", "--one-file-system", str(path)], timeout=300)
    shutil.rmtree(path, ignore_errors=True)
